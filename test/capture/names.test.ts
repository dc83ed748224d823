import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { ALL_DECODERS } from '../../src/capture/applications.js';
import { XdpSource } from '../../src/capture/xdp.js';
import { type FlowRecord, RecordReader } from '../../src/flow/record.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair } from '../support/veth.js';

const skip = bpfSkipReason();
const QUESTIONS = 2_000;

/** Asks the far side so many questions, each from a port of its own, faster than their names can be read. */
const ask = (veth: VethPair): void => {
  const script = `
    const { createSocket } = require('node:dgram');
    const question = (name) => Buffer.concat([Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.length]),
      Buffer.from(name), Buffer.from([0, 0, 1, 0, 1]), Buffer.alloc(400)]);
    (async () => {
      for (let i = 0; i < ${QUESTIONS}; i += 1) {
        const socket = createSocket('udp4');
        await new Promise((resolve) => socket.bind(20000 + i, '10.9.0.1', resolve));
        await new Promise((resolve) => socket.send(question('q' + i), 53, '10.9.0.2', resolve));
        socket.close();
      }
    })();`;
  execFileSync('nsenter', [`--net=/run/netns/${veth.near}`, process.execPath, '-e', script]);
};

describe.skipIf(skip !== undefined)(
  `names over veth${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    const meter = async (tag: string, mode: 'native' | 'generic') => {
      const veth = new VethPair(tag);
      cleanups.push(() => veth.remove());
      const source = new XdpSource({
        interfaces: [veth.metered],
        mode,
        applications: {
          decoders: ALL_DECODERS,
          headerRules: [
            { name: 'id', transport: 'udp', port: 53, direction: 'toPort', offset: 0, length: 2 },
          ],
        },
      });
      cleanups.push(() => source.stop());
      const records: FlowRecord[] = [];
      source.onBatch = (batch) => {
        const reader = new RecordReader(batch);
        for (let row = 0; row < reader.rows; row += 1) records.push(reader.record(row));
        batch.release();
      };
      await source.start();
      ask(veth);
      await source.flush();
      return { records, source };
    };

    test.each(['native', 'generic'] as const)('%s XDP: each flow has its question', async (mode) => {
      const { records } = await meter(`name${mode.slice(0, 3)}`, mode);
      const asked = records.filter((record) => record.destinationTransportPort === 53);
      expect(asked).toHaveLength(QUESTIONS);
      for (const record of asked) {
        expect(record.dnsQName).toBe(`q${Number(record.sourceTransportPort) - 20_000}`);
        expect(record.headerFields).toEqual({ id: '0001' });
      }
    });
  },
);
