import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../src/config/load.js';

const schema = z.strictObject({
  name: z.string().default('edge'),
  store: z.strictObject({ url: z.string().optional(), retentionDays: z.number().default(15) }).prefault({}),
  links: z.array(z.strictObject({ linkId: z.string(), capacityBps: z.number() })).default([]),
});

const file = (text: string): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'tidegate-config-')), 'gateway.yaml');
  writeFileSync(path, text);
  return path;
};

test('an empty configuration is the defaults', () => {
  const { config, origins } = loadConfig(schema, {});
  expect(config).toEqual({ name: 'edge', store: { retentionDays: 15 }, links: [] });
  expect(origins.size).toBe(0);
});

test('flags win over the environment, the environment over the file', () => {
  const path = file('name: from-file\nstore:\n  retentionDays: 1\n  url: http://file\n');
  const { config, origins } = loadConfig(schema, {
    file: path,
    environment: { TIDEGATE_STORE_RETENTION_DAYS: '30', TIDEGATE_STORE_URL: 'http://env', PATH: '/bin' },
    flags: { 'store.url': 'http://flag', name: undefined },
  });
  expect(config.store).toEqual({ retentionDays: 30, url: 'http://flag' });
  expect(config.name).toBe('from-file');
  expect(origins.get('name')).toBe(`${path}:1:7`);
  expect(origins.get('store.retentionDays')).toBe('TIDEGATE_STORE_RETENTION_DAYS');
  expect(origins.get('store.url')).toBe('flag');
});

test('every problem is reported at once, each with its position and what was meant', () => {
  const path = file('nme: x\nlinks:\n  - linkId: a\n    capacityBps: 10 gigs\nstore:\n  retentionDay: 3\n');
  expect(() => loadConfig(schema, { file: path })).toThrowError(
    expect.objectContaining({ code: 'TG_CONFIG_INVALID', exitCode: 2 }),
  );
  try {
    loadConfig(schema, { file: path });
  } catch (error) {
    const lines = (error as Error).message.split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.join('\n')).toContain(`${path}:1:1 nme: unknown setting, did you mean "name"?`);
    expect(lines.join('\n')).toContain(`${path}:4:18 links.0.capacityBps`);
    expect(lines.join('\n')).toContain(
      `${path}:6:3 store.retentionDay: unknown setting, did you mean "retentionDays"?`,
    );
  }
});

test('YAML that cannot be read names line and column', () => {
  const path = file('name: [unclosed\nstore: {}\n');
  expect(() => loadConfig(schema, { file: path })).toThrowError(
    expect.objectContaining({
      code: 'TG_CONFIG_YAML',
      message: expect.stringMatching(/gateway\.yaml:\d+:\d+/),
    }),
  );
});

test('a missing file and an unknown variable are errors that say what to do', () => {
  expect(() => loadConfig(schema, { file: '/nonexistent.yaml' })).toThrowError(
    expect.objectContaining({ code: 'TG_CONFIG_READ' }),
  );
  expect(() => loadConfig(schema, { environment: { TIDEGATE_STOR_URL: 'x' } })).toThrowError(
    expect.objectContaining({
      code: 'TG_CONFIG_ENVIRONMENT',
      message: expect.stringContaining('did you mean "store"'),
    }),
  );
});
