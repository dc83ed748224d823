import { Piscina } from 'piscina';
import { workerFile } from '../base/worker-file.js';
import { FlowBatch } from '../flow/batch.js';
import { FLOW_COLUMNS, SLAB_HEADER, slabLayout } from '../flow/columns.js';
import { fingerprintConfig } from './config.js';
import { FingerprintEncoder } from './encoder.js';
import { extractFeatures } from './features/extract.js';
import { mix } from './features/hash.js';
import { groupByEndpoint } from './workloads/endpoint.js';
import { WorkloadRegistry } from './workloads/registry.js';
import type { EndpointGroups } from './workloads/types.js';

export interface InferenceBench {
  readonly modelId: string;
  readonly batchRows: number;
  /** Rows per second of each stage alone, on this thread. */
  readonly rowsPerSecond: {
    readonly features: number;
    readonly network: number;
    readonly encode: number;
    readonly group: number;
    readonly assign: number;
    /** encode + group + assign, one after the other on one thread. */
    readonly endToEnd: number;
    /** The whole encode in one worker thread, many batches under way. */
    readonly oneWorker: number;
    readonly twoWorkers: number;
    /** End to end through a pool of two threads: encode and group there, assign here. */
    readonly pool: number;
  };
  /** One worker against the same work on this thread; both include features. */
  readonly workerToInProcess: number;
}

type PoolRun = (name: 'encode' | 'recognise', batch: FlowBatch) => Promise<unknown>;

const ROWS = 1024;
const BATCHES = 24;
const ENDPOINTS = 64;
const REPEATS = 3;

/** A batch of plausible TCP flows to a few dozen services. */
function syntheticBatch(seed: number): FlowBatch {
  const buffer = new SharedArrayBuffer(slabLayout(ROWS).byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.capacity] = ROWS;
  header[SLAB_HEADER.rows] = ROWS;
  const batch = new FlowBatch(buffer);
  const noise = (row: number, salt: number): number => mix(row + seed * ROWS, salt);
  for (const [salt, { name, type, width, origin }] of FLOW_COLUMNS.entries()) {
    if (origin !== 'metered' || type === 'u64') continue;
    const view = batch.column(name, type);
    for (let i = 0; i < ROWS * width; i += 1) view[i] = noise(i, salt) % 200;
  }
  const start = batch.column('flowStartNanoseconds', 'u64');
  const end = batch.column('flowEndNanoseconds', 'u64');
  for (let row = 0; row < ROWS; row += 1) {
    start[row] = 1_700_000_000_000_000_000n;
    end[row] = start[row]! + BigInt(noise(row, 1) % 1e9);
    for (const name of ['octetDeltaCount', 'reverseOctetDeltaCount'])
      batch.column(name, 'u64')[row] = BigInt(noise(row, 2) % 100_000);
    for (const name of ['packetDeltaCount', 'reversePacketDeltaCount'])
      batch.column(name, 'u64')[row] = BigInt(1 + (noise(row, 3) % 200));
    const endpoint = noise(row, 4) % ENDPOINTS;
    batch.column('destinationIPv6Address', 'u8').fill(endpoint, row * 16, row * 16 + 16);
    batch.column('destinationTransportPort', 'u16')[row] = 8000 + (endpoint % 16);
    batch.column('sourceTransportPort', 'u16')[row] = 40_000 + (noise(row, 5) % 20_000);
    batch.column('biflowDirection', 'u8')[row] = 1;
    batch.column('protocolIdentifier', 'u8')[row] = 6;
    batch.column('ipVersion', 'u8')[row] = 6;
    batch.column('flowKind', 'u8')[row] = 6;
  }
  return batch;
}

/** Best of a few repeats, in rows per second: the machine is never quiet. */
async function best(rows: number, work: () => Promise<void> | void): Promise<number> {
  await work();
  let most = 0;
  for (let i = 0; i < REPEATS; i += 1) {
    const started = performance.now();
    await work();
    most = Math.max(most, (rows * 1000) / (performance.now() - started));
  }
  return Math.round(most);
}

/** Measures the way of a batch through features, network, grouping and registry, alone and in worker threads. */
export async function benchInference(): Promise<InferenceBench> {
  const batches = Array.from({ length: BATCHES }, (_, i) => syntheticBatch(i));
  const rows = ROWS * BATCHES;
  const encoder = await FingerprintEncoder.load();
  const features = new Float32Array(ROWS * encoder.schema.dimensions);
  const extract = await best(rows, () => {
    for (const batch of batches) extractFeatures(batch, features, encoder.schema);
  });
  const network = await best(rows, async () => {
    for (let i = 0; i < BATCHES; i += 1) await encoder.run(features, ROWS);
  });
  const encode = await best(rows, async () => {
    for (const batch of batches) await encoder.encode(batch);
  });
  const group = await best(rows, () => {
    for (const batch of batches) groupByEndpoint(batch);
  });
  const registry = new WorkloadRegistry({ ...fingerprintConfig.parse({}), modelId: encoder.info.id });
  const groups = batches.map((batch) => groupByEndpoint(batch).endpoints);
  let nowMs = 0;
  const assign = await best(rows, () => {
    for (const endpoints of groups) {
      nowMs += 1000;
      registry.observe(endpoints, nowMs);
    }
  });
  const endToEnd = await best(rows, async () => {
    for (const batch of batches) {
      const behaviours = await encoder.encode(batch);
      nowMs += 1000;
      registry.observe(groupByEndpoint(batch, behaviours).endpoints, nowMs);
    }
  });
  const modelId = encoder.info.id;
  await encoder.release();
  const pooled = async (threads: number, work: (run: PoolRun) => Promise<unknown>): Promise<number> => {
    const pool = new Piscina({
      filename: workerFile(import.meta.url, './bench-worker'),
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 2,
    });
    const result = await best(rows, async () => {
      await work((name, batch) => pool.run({ buffer: batch.buffer }, { name }));
    });
    await pool.destroy();
    return result;
  };
  const encodeAll = (run: PoolRun): Promise<unknown> =>
    Promise.all(batches.map((batch) => run('encode', batch)));
  const oneWorker = await pooled(1, encodeAll);
  const twoWorkers = await pooled(2, encodeAll);
  const pool = await pooled(2, (run) =>
    Promise.all(
      batches.map(async (batch) => {
        const { endpoints } = (await run('recognise', batch)) as EndpointGroups;
        nowMs += 1000;
        registry.observe(endpoints, nowMs);
      }),
    ),
  );
  return {
    modelId,
    batchRows: ROWS,
    rowsPerSecond: {
      features: extract,
      network,
      encode,
      group,
      assign,
      endToEnd,
      oneWorker,
      twoWorkers,
      pool,
    },
    workerToInProcess: oneWorker / encode,
  };
}
