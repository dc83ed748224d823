import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReplayedFile } from '../../src/capture/addon.js';
import { type ReplayOptions, ReplaySource } from '../../src/capture/replay.js';
import type { SourceCounters } from '../../src/capture/source.js';
import { type FlowRecord, RecordReader } from '../../src/flow/record.js';

export interface Collected {
  readonly records: readonly FlowRecord[];
  readonly counters: SourceCounters;
  readonly files: readonly ReplayedFile[];
}

/** Replays capture files that are given as bytes and returns every record. */
export async function collect(
  captures: readonly Uint8Array[],
  options: Partial<ReplayOptions> = {},
): Promise<Collected> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-native-'));
  const files = captures.map((bytes, i) => {
    const path = join(directory, `${i}.pcap`);
    writeFileSync(path, bytes);
    return path;
  });
  const source = new ReplaySource({ slabs: 2, slabRows: 64, cacheEntries: 256, ...options, files });
  const records: FlowRecord[] = [];
  source.onBatch = (batch) => {
    const reader = new RecordReader(batch);
    for (let row = 0; row < reader.rows; row += 1) records.push(reader.record(row));
    batch.release();
  };
  try {
    await source.start();
    await source.done;
    return { records, counters: source.counters(), files: source.files() };
  } finally {
    await source.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

export const numberOf = (record: FlowRecord, name: string): number => Number(record[name] ?? 0);

/** Packets in both directions. */
export const packetsOf = (record: FlowRecord): number =>
  numberOf(record, 'packetDeltaCount') + numberOf(record, 'reversePacketDeltaCount');

export const totalPackets = (records: readonly FlowRecord[]): number =>
  records.reduce((sum, record) => sum + packetsOf(record), 0);
