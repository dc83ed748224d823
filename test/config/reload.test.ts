import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { configJsonSchema, settingOrigins } from '../../src/config/describe.js';
import { loadConfig } from '../../src/config/load.js';
import { configChanges, withReloaded } from '../../src/config/reload.js';
import { gatewayConfig } from '../../src/config/schema.js';

const base = gatewayConfig.parse({});

describe('reloading', () => {
  test('what a running gateway can take over is taken over, and the rest is named', () => {
    const next = gatewayConfig.parse({
      logLevel: 'debug',
      plan: { maximumUtilisation: 0.5, instance: 'c5.large' },
      cycle: { every: '1m', enabled: false },
      api: { loopbackRole: 'read' },
      capture: { idleTimeout: '5s' },
      store: { url: 'http://127.0.0.1:8123' },
    });
    expect(configChanges(base, next)).toEqual({
      reloadable: ['api.loopbackRole', 'cycle.every', 'logLevel', 'plan.maximumUtilisation'],
      needRestart: ['capture.idleTimeout', 'cycle.enabled', 'plan.instance', 'store.url'],
    });
    const taken = withReloaded(base, next);
    expect(configChanges(base, taken).needRestart).toEqual([]);
    expect(configChanges(taken, next)).toEqual({
      reloadable: [],
      needRestart: ['capture.idleTimeout', 'cycle.enabled', 'plan.instance', 'store.url'],
    });
  });

  test('the same again changes nothing', () => {
    expect(configChanges(base, gatewayConfig.parse({}))).toEqual({ reloadable: [], needRestart: [] });
  });
});

describe('describing', () => {
  test('every setting has a value and an origin, and secrets are not shown', () => {
    const loaded = loadConfig(gatewayConfig, {
      environment: { TIDEGATE_STORE_PASSWORD: 'hush', TIDEGATE_API_LOOPBACK_ROLE: 'read' },
      flags: { gateway: 'edge' },
    });
    const settings = settingOrigins(loaded);
    const of = (name: string) => settings.find((s) => s.setting === name);
    expect(of('store.password')).toEqual({
      setting: 'store.password',
      value: '(secret)',
      origin: 'TIDEGATE_STORE_PASSWORD',
    });
    expect(of('api.loopbackRole')?.origin).toBe('TIDEGATE_API_LOOPBACK_ROLE');
    expect(of('gateway')?.origin).toBe('flag');
    expect(of('cycle.every')).toEqual({ setting: 'cycle.every', value: 300_000, origin: 'default' });
    expect(JSON.stringify(settings)).not.toContain('hush');
  });

  test('the JSON Schema takes what the gateway takes and refuses an unknown key', () => {
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(configJsonSchema());
    expect(validate({ gateway: 'edge', cycle: { every: '5m' }, api: { listen: ['127.0.0.1:1'] } })).toBe(
      true,
    );
    expect(validate({})).toBe(true);
    expect(validate({ gatewy: 'edge' })).toBe(false);
    expect(validate({ plan: { sizingQuantile: 2 } })).toBe(false);
  });
});
