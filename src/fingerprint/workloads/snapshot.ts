import { z } from 'zod';
import { messageOf } from '../../base/errors.js';
import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import { fail } from '../errors.js';
import { forgetVectors, SIZE_HISTOGRAM_BINS, type WorkloadState } from './workload-state.js';

const VERSION = 1;
const floats = (length: number) => z.array(z.number()).length(length);
const id = z.int().min(1).max(0xffffffff);

const snapshotSchema = z.object({
  version: z.literal(VERSION),
  modelId: z.string(),
  nextId: id,
  workloads: z.array(
    z.object({
      id,
      name: z.string(),
      namedBy: z.enum(['behaviour', 'rule', 'user']),
      firstSeenMs: z.number(),
      lastSeenMs: z.number(),
      endpoints: z.int().min(0),
      flows: z.number().min(0),
      octets: z.number().min(0),
      packets: z.number().min(0),
      reverseOctets: z.number().min(0),
      reversePackets: z.number().min(0),
      durationMs: z.number().min(0),
      sum: floats(FINGERPRINT_DIMENSIONS),
      behaviour: floats(FINGERPRINT_DIMENSIONS).default(new Array(FINGERPRINT_DIMENSIONS).fill(0)),
      services: z.array(z.tuple([z.string(), z.number()])),
      drift: z.object({
        slow: floats(SIZE_HISTOGRAM_BINS),
        fast: floats(SIZE_HISTOGRAM_BINS),
        errorSlow: z.number(),
        errorFast: z.number(),
        distanceSlow: z.number(),
        distanceFast: z.number(),
        flows: z.number(),
        judged: z.number().default(0),
        alarmed: z.boolean(),
      }),
    }),
  ),
  endpoints: z.array(z.object({ key: z.string(), workloadId: id, lastMs: z.number(), service: z.string() })),
  aliases: z.array(z.tuple([id, id])),
});

/** A registry as plain JSON. */
export type RegistrySnapshot = z.infer<typeof snapshotSchema>;

interface EndpointRecord {
  workloadId: number;
  lastMs: number;
  service: string;
}

export interface RegistryContents {
  readonly modelId: string;
  readonly nextId: number;
  readonly workloads: ReadonlyMap<number, WorkloadState>;
  readonly endpoints: Iterable<readonly [string, EndpointRecord]>;
  readonly aliases: ReadonlyMap<number, number>;
}

export function writeSnapshot(contents: RegistryContents): RegistrySnapshot {
  return {
    version: VERSION,
    modelId: contents.modelId,
    nextId: contents.nextId,
    workloads: [...contents.workloads.values()].map((state) => ({
      ...state,
      sum: [...state.sum],
      behaviour: [...state.behaviour],
      services: [...state.services],
      drift: { ...state.drift, slow: [...state.drift.slow], fast: [...state.drift.fast] },
    })),
    endpoints: [...contents.endpoints].map(([key, state]) => ({ key, ...state })),
    aliases: [...contents.aliases],
  };
}

/** Checks and reads a snapshot; vectors of another model than `modelId` are left out. @throws TG_FINGERPRINT_SNAPSHOT */
export function readSnapshot(snapshot: unknown, modelId: string): RegistryContents {
  const parsed = snapshotSchema.safeParse(snapshot);
  if (!parsed.success) throw fail('TG_FINGERPRINT_SNAPSHOT', { reason: z.prettifyError(parsed.error) });
  const { data } = parsed;
  const workloads = new Map(
    data.workloads.map((w): [number, WorkloadState] => [
      w.id,
      {
        ...w,
        sum: Float32Array.from(w.sum),
        behaviour: Float32Array.from(w.behaviour),
        services: new Map(w.services),
        drift: { ...w.drift, slow: Float32Array.from(w.drift.slow), fast: Float32Array.from(w.drift.fast) },
      },
    ]),
  );
  if (data.modelId !== modelId) for (const workload of workloads.values()) forgetVectors(workload);
  const endpoints = new Map<string, EndpointRecord>();
  for (const { key, ...record } of data.endpoints) {
    if (!workloads.has(record.workloadId))
      throw fail('TG_FINGERPRINT_SNAPSHOT', { reason: messageOf(`endpoint ${key} has no workload`) });
    endpoints.set(key, record);
  }
  return { modelId, nextId: data.nextId, workloads, endpoints, aliases: new Map(data.aliases) };
}
