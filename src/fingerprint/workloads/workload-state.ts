import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import { type DriftState, newDrift, sizeDriftOf } from './drift.js';
import { behaviourWords, serviceName } from './naming.js';
import type { EndpointSummary, Workload } from './types.js';
import { cosine, unit } from './vectors.js';

export const SIZE_HISTOGRAM_BINS = 32;
/** Flows after which a centre forgets half of what it was. */
const HALF_LIFE_FLOWS = 5000;

export interface WorkloadState {
  readonly id: number;
  /** Empty = named by behaviour. */
  name: string;
  namedBy: Workload['namedBy'];
  firstSeenMs: number;
  lastSeenMs: number;
  endpoints: number;
  flows: number;
  octets: number;
  packets: number;
  reverseOctets: number;
  reversePackets: number;
  durationMs: number;
  /** Sum of fingerprints with decaying weight; its direction is the centre. */
  sum: Float32Array;
  /** The same of vectors without ports; zero = the encoder gives none. */
  behaviour: Float32Array;
  /** `protocol/port` → flows seen on it. */
  services: Map<string, number>;
  drift: DriftState;
}

export const newWorkload = (id: number, nowMs: number): WorkloadState => ({
  id,
  name: '',
  namedBy: 'behaviour',
  firstSeenMs: nowMs,
  lastSeenMs: nowMs,
  endpoints: 0,
  flows: 0,
  octets: 0,
  packets: 0,
  reverseOctets: 0,
  reversePackets: 0,
  durationMs: 0,
  sum: new Float32Array(FINGERPRINT_DIMENSIONS),
  behaviour: new Float32Array(FINGERPRINT_DIMENSIONS),
  services: new Map(),
  drift: newDrift(SIZE_HISTOGRAM_BINS),
});

/** The service an endpoint offers; endpoints of one service differ in address only. */
export const serviceKey = (endpoint: EndpointSummary): string =>
  endpoint.key.startsWith('ethernet/') || endpoint.key.startsWith('unparsed/')
    ? endpoint.key
    : `${endpoint.protocol}/${endpoint.port}`;

export function absorb(workload: WorkloadState, endpoint: EndpointSummary, nowMs: number): void {
  workload.lastSeenMs = Math.max(workload.lastSeenMs, nowMs);
  workload.flows += endpoint.flows;
  workload.octets += endpoint.octets;
  workload.packets += endpoint.packets;
  workload.reverseOctets += endpoint.reverseOctets;
  workload.reversePackets += endpoint.reversePackets;
  workload.durationMs += endpoint.durationMs;
  const keep = 0.5 ** (endpoint.flows / HALF_LIFE_FLOWS);
  for (let i = 0; i < FINGERPRINT_DIMENSIONS; i += 1) {
    workload.sum[i] = workload.sum[i]! * keep + endpoint.pooled[i]! * endpoint.flows;
    workload.behaviour[i] = workload.behaviour[i]! * keep + (endpoint.behaviour?.[i] ?? 0) * endpoint.flows;
  }
  const service = serviceKey(endpoint);
  workload.services.set(service, (workload.services.get(service) ?? 0) + endpoint.flows);
}

/** Everything of `from` becomes part of `into`. */
export function mergeInto(into: WorkloadState, from: WorkloadState): void {
  into.firstSeenMs = Math.min(into.firstSeenMs, from.firstSeenMs);
  into.lastSeenMs = Math.max(into.lastSeenMs, from.lastSeenMs);
  into.endpoints += from.endpoints;
  into.flows += from.flows;
  into.octets += from.octets;
  into.packets += from.packets;
  into.reverseOctets += from.reverseOctets;
  into.reversePackets += from.reversePackets;
  into.durationMs += from.durationMs;
  for (let i = 0; i < FINGERPRINT_DIMENSIONS; i += 1) {
    into.sum[i]! += from.sum[i]!;
    into.behaviour[i]! += from.behaviour[i]!;
  }
  for (const [service, flows] of from.services)
    into.services.set(service, (into.services.get(service) ?? 0) + flows);
  for (let i = 0; i < SIZE_HISTOGRAM_BINS; i += 1) {
    into.drift.slow[i]! += from.drift.slow[i]!;
    into.drift.fast[i]! += from.drift.fast[i]!;
  }
}

/** Whether the workload has a centre under the encoder in use. */
export const hasVector = (workload: WorkloadState): boolean => workload.sum.some((value) => value !== 0);

/** Drops what an earlier encoder said: the centre, its errors and distances. Packet sizes are no encoder's. */
export function forgetVectors(workload: WorkloadState): void {
  workload.sum.fill(0);
  workload.behaviour.fill(0);
  const { slow, fast, flows } = workload.drift;
  workload.drift = { ...newDrift(SIZE_HISTOGRAM_BINS), slow, fast, flows };
}

/** Similarity of an endpoint's mean vector to the workload's centre. */
export const similarityTo = (workload: WorkloadState, vector: ArrayLike<number>): number =>
  cosine(workload.sum, vector, FINGERPRINT_DIMENSIONS);

/** The same whatever the port; where the encoder does not tell behaviour from port, as {@link similarityTo}. */
export function behaviourSimilarity(workload: WorkloadState, endpoint: EndpointSummary): number {
  const { behaviour } = endpoint;
  return behaviour === undefined || workload.behaviour.every((value) => value === 0)
    ? similarityTo(workload, endpoint.pooled)
    : cosine(workload.behaviour, behaviour, FINGERPRINT_DIMENSIONS);
}

/** How much an endpoint is like its workload: by its port, too, if that is the port that the workload is mostly seen on. */
export function likeness(workload: WorkloadState, endpoint: EndpointSummary): number {
  // Without a vector, as after a change of the encoder, there is nothing to be far from.
  if (!hasVector(workload)) return 1;
  const similarity = similarityTo(workload, endpoint.pooled);
  return isMain(workload, serviceKey(endpoint))
    ? similarity
    : Math.max(similarity, behaviourSimilarity(workload, endpoint));
}

/** Whether a workload is mostly seen on this service, of equals the first. Ends early: a scan has thousands of services. */
function isMain({ services }: WorkloadState, key: string): boolean {
  const flows = services.get(key);
  if (flows === undefined) return false;
  let before = true;
  for (const [service, others] of services) {
    if (service === key) before = false;
    else if (others > flows || (before && others === flows)) return false;
  }
  return true;
}

function mainService(workload: WorkloadState): string {
  let best = '';
  let most = -1;
  for (const [service, flows] of workload.services) {
    if (flows <= most) continue;
    best = service;
    most = flows;
  }
  if (best.startsWith('ethernet/') || best.startsWith('unparsed/')) return serviceName(0, 0, best);
  const [protocol, port] = best.split('/');
  return serviceName(Number(protocol), Number(port));
}

/** What others see of a workload. */
export function describe(workload: WorkloadState): Workload {
  const service = mainService(workload);
  return {
    workloadId: workload.id,
    name: workload.name || `${service} ${behaviourWords(workload)}`,
    namedBy: workload.namedBy,
    endpoints: workload.endpoints,
    flows: workload.flows,
    octets: workload.octets,
    reverseOctets: workload.reverseOctets,
    packets: workload.packets,
    reversePackets: workload.reversePackets,
    firstSeenMs: workload.firstSeenMs,
    lastSeenMs: workload.lastSeenMs,
    fingerprint: unit(workload.sum),
    service,
    reconstructionError: workload.drift.errorSlow,
    sizeDrift: sizeDriftOf(workload.drift),
    hasChanged: workload.drift.alarmed,
  };
}
