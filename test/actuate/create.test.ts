import { describe, expect, test } from 'vitest';
import { actuateConfig, guardLimitsOf, makeActuators, policyOf, SurgeRule } from '../../src/actuate/index.js';

const parts = { gateway: 'g', links: [], endpointsOf: () => [] };

describe('configuration', () => {
  test('{} is dry-run by recommendation', () => {
    const config = actuateConfig.parse({});
    expect(makeActuators(config, parts).map((a) => a.name)).toEqual(['dry-run']);
    expect(policyOf(config).mode).toBe('recommend');
    expect(guardLimitsOf(config)).toMatchObject({ rttMs: 500, holdOffMs: 60_000, watchMs: 600_000 });
  });

  test('makes what is named, in order, and says what lacks settings', () => {
    const config = actuateConfig.parse({
      actuators: ['route', 'htb', 'webhook', 'exec'],
      webhook: { url: 'https://192.0.2.1/x', secret: '0123456789abcdef' },
      exec: { command: ['true'] },
    });
    expect(makeActuators(config, parts).map((a) => a.name)).toEqual(['route', 'htb', 'webhook', 'exec']);
    for (const name of ['webhook', 'exec'] as const)
      expect(() => makeActuators(actuateConfig.parse({ actuators: [name] }), parts)).toThrowError(
        expect.objectContaining({
          code: 'TG_ACTUATE_CONFIG',
          message: `the actuator ${name} has no settings`,
        }),
      );
  });

  test.each([
    [{ blackout: [{ from: '25:00', until: '01:00' }] }],
    [{ webhook: { url: 'no url', secret: '0123456789abcdef' } }],
    [{ webhook: { url: 'https://192.0.2.1/', secret: 'short' } }],
    [{ exec: { command: [] } }],
    [{ maxShareMoved: 2 }],
    [{ guard: { rtt: 'long' } }],
    [{ unknown: 1 }],
  ])('%o is refused', (bad) => {
    expect(actuateConfig.safeParse(bad).success).toBe(false);
  });
});

describe('surge rule', () => {
  test('acts only outside the band, on a full link, some samples in a row', () => {
    const rule = new SurgeRule({ capacityBps: 10e6 });
    for (const rate of [1e6, 2e6, 1.5e6]) rule.learn(rate);
    expect(rule.upperBps).toBe(3e6);
    expect(rule.observe(9e6)).toBe(false); // once is chance
    expect(rule.observe(9e6)).toBe(true);
    expect(rule.observe(5e6)).toBe(false); // out of the band, but there is room
    expect(rule.observe(9e6)).toBe(false);
    rule.expect(9.5e6); // a forecast knew it
    expect(rule.observe(9e6)).toBe(false);
    expect(rule.observe(9e6)).toBe(false);
  });
});
