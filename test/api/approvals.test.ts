import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Approvals } from '../../src/api/approvals.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-approvals-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('approvals', () => {
  const plan = { id: 'a'.repeat(64), expiresMs: 2000 };
  const old = { id: 'b'.repeat(64), expiresMs: 1100 };

  test('outlive the process until their plans expire', () => {
    const file = join(directory, 'approvals.json');
    new Approvals(file).give(old, 'yesterday', 900);
    new Approvals(file).give(plan, 'owner', 1000);
    const later = new Approvals(file);
    expect(later.require(plan, 1500)).toEqual({ by: 'owner', atMs: 1000 });
    expect(() => later.require(old, 1500)).toThrow(/expired/);
    expect(() => later.require(plan, 2000)).toThrow(/expired/);
    expect(() => later.require({ id: 'c'.repeat(64), expiresMs: 2000 }, 1500)).toThrow(/was not approved/);
    later.give({ id: 'd'.repeat(64), expiresMs: 3000 }, 'owner', 2500);
    expect(readFileSync(file, 'utf8')).not.toContain(plan.id);
  });

  test('that cannot be read are asked for again, and none is given that cannot be written', () => {
    const file = join(directory, 'damaged.json');
    writeFileSync(file, '[["a",{"by":');
    expect(new Approvals(file).of('a')).toBeUndefined();
    const nowhere = new Approvals(join(directory, 'missing', 'approvals.json'));
    expect(() => nowhere.give(plan, 'owner', 1000)).toThrow(/ENOENT/);
    expect(nowhere.of(plan.id)).toBeUndefined();
  });
});
