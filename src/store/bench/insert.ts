import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Piscina } from 'piscina';
import { workerFile } from '../../base/worker-file.js';
import type { Store } from '../store.js';
import { syntheticBatch } from './synthetic-batch.js';

export interface InsertFigures {
  readonly rowsPerSecond: number;
  readonly loopMaxMs: number;
  /** Of the spooled block. */
  readonly bytesPerRow: number;
  /** CPU time of the engine, user and system, merges that ran meanwhile included: steadier than rows a second on a busy machine. */
  readonly engineCpuMicrosPerRow: number;
  /** CPU time of the process that encodes, spools and sends. */
  readonly writerCpuMicrosPerRow: number;
}

const BATCH_ROWS = 50_000;

const round = (value: number): number => Math.round(value * 10) / 10;

/** User and system time of the engine's process; the kernel counts it in hundredths of a second. */
function engineCpuMs(store: Store): number {
  const stat = readFileSync(`/proc/${store.enginePid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** From column batch to committed row: encoded in threads, spooled, inserted, with all rollups. */
export async function benchInsert(store: Store, rows: number): Promise<InsertFigures> {
  const pool = new Piscina<SharedArrayBuffer, Uint8Array>({
    filename: workerFile(import.meta.url, './encode-worker'),
    maxThreads: 1,
  });
  const batches = Array.from({ length: 4 }, (_, i) => syntheticBatch(BATCH_ROWS, i + 1, Date.now()));
  const append = async (batch: (typeof batches)[number]): Promise<number> => {
    const block = await pool.run(batch.buffer, { name: 'encode' });
    await store.writer.append({ table: 'flows', block, rows: batch.rows, packets: 0, octets: 0 });
    return block.length;
  };
  // The first insert of a table is not like the others.
  await append(batches[0]!);
  await store.writer.drain(60_000);
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const engineBefore = engineCpuMs(store);
  const ownBefore = process.cpuUsage();
  const begin = performance.now();
  let bytes = 0;
  const count = Math.max(1, Math.round(rows / BATCH_ROWS));
  for (let i = 0; i < count; i += 1) bytes += await append(batches[i % batches.length]!);
  await store.writer.drain(600_000);
  const seconds = (performance.now() - begin) / 1000;
  loop.disable();
  const own = process.cpuUsage(ownBefore);
  const engine = engineCpuMs(store) - engineBefore;
  await pool.destroy();
  return {
    rowsPerSecond: Math.round((count * BATCH_ROWS) / seconds),
    loopMaxMs: Math.round(loop.max / 1e5) / 10,
    bytesPerRow: Math.round(bytes / (count * BATCH_ROWS)),
    engineCpuMicrosPerRow: round((engine * 1000) / (count * BATCH_ROWS)),
    writerCpuMicrosPerRow: round((own.user + own.system) / (count * BATCH_ROWS)),
  };
}
