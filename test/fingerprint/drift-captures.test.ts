import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReplaySource } from '../../src/capture/replay.js';
import { fingerprintConfig } from '../../src/fingerprint/config.js';
import {
  type EndpointSummary,
  FingerprintEncoder,
  groupByEndpoint,
  WorkloadRegistry,
} from '../../src/fingerprint/index.js';

const root = resolve(import.meta.dirname, '../..');
const iot = join(process.env.TIDEGATE_DATA ?? join(root, '../shared/data'), 'captures/iot');
const addon = join(root, 'build/Release/tidegate.node');
const DEVICES = ['Aria', 'Withings', 'HueBridge', 'WeMoLink', 'D-LinkCam', 'TP-LinkPlugHS110'];
const missing = [iot, addon].find((path) => !existsSync(path));

describe.skipIf(missing)(
  `drift on captures of real devices${missing ? ` (skipped: ${missing} is missing)` : ''}`,
  () => {
    let encoder: FingerprintEncoder;
    /** What each capture says of one well-known port, as if one server had answered all of it. */
    const traffic = new Map<string, EndpointSummary[]>();

    beforeAll(async () => {
      encoder = await FingerprintEncoder.load();
      for (const device of DEVICES) {
        const files = readdirSync(join(iot, device)).map((name) => join(iot, device, name));
        const found: EndpointSummary[] = [];
        for (const file of files) {
          const source = new ReplaySource({ files: [file], slabs: 2, slabRows: 1024 });
          const encoded: Promise<void>[] = [];
          source.onBatch = (batch) => {
            encoded.push(
              encoder.encode(batch).then(() => {
                found.push(...groupByEndpoint(batch).endpoints);
                batch.release();
              }),
            );
          };
          await source.start();
          await source.done;
          await Promise.all(encoded);
          await source.stop();
        }
        traffic.set(
          device,
          found.filter((endpoint) => endpoint.protocol === 6 && endpoint.reversePackets > 0),
        );
      }
    });
    afterAll(() => encoder.release());

    const registry = () => new WorkloadRegistry({ ...fingerprintConfig.parse({}), modelId: encoder.info.id });
    const as = (key: string, of: readonly EndpointSummary[]): EndpointSummary[] =>
      of.map((endpoint) => ({ ...endpoint, key, address: '192.0.2.1', port: 443 }));
    const kinds = (of: WorkloadRegistry): string[] => of.takeEvents().map((event) => event.kind);
    /** Each capture's share in turn, until so many flows were seen. */
    function show(to: WorkloadRegistry, device: string, flows: number, fromMs: number): number {
      const summaries = as('6/443/192.0.2.1', traffic.get(device)!);
      let seen = 0;
      let nowMs = fromMs;
      for (let i = 0; seen < flows; i += 1) {
        const one = summaries[i % summaries.length]!;
        nowMs += 1000;
        to.observe([one], nowMs);
        seen += one.flows;
      }
      return nowMs;
    }

    test('the same device all the time is one workload without alarms', () => {
      for (const device of DEVICES) {
        const known = registry();
        show(known, device, 1500, 1_000_000);
        expect(kinds(known), device).toEqual(['new']);
      }
    });

    test('another device behind the same endpoint is a change of behaviour, told once', () => {
      const missed: string[] = [];
      for (const device of DEVICES)
        for (const other of DEVICES) {
          if (other === device) continue;
          const known = registry();
          const nowMs = show(known, device, 800, 1_000_000);
          expect(kinds(known)).toEqual(['new']);
          show(known, other, 200, nowMs);
          const events = kinds(known);
          expect(events.length).toBeLessThanOrEqual(1);
          if (events[0] !== 'changed') missed.push(`${device} → ${other}`);
        }
      // Of 30 pairs; a few speak so alike that 200 flows do not tell.
      expect(missed.length, missed.join(', ')).toBeLessThanOrEqual(4);
    });

    test('a device that is silent for days is told when it comes back', () => {
      const known = registry();
      const nowMs = show(known, 'Aria', 100, 1_000_000);
      expect(kinds(known)).toEqual(['new']);
      show(known, 'Aria', 20, nowMs + 3 * 86_400_000);
      expect(kinds(known)).toEqual(['returned']);
    });
  },
);
