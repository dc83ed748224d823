import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { messageOf } from '../../base/errors.js';
import { ReplaySource } from '../../capture/replay.js';
import { formatAddress } from '../../flow/address.js';
import type { FlowBatch } from '../../flow/batch.js';
import { fail } from '../errors.js';
import { extractFeatures } from '../features/extract.js';
import { mix } from '../features/hash.js';
import { recordColumns, wide } from '../features/record-columns.js';
import { type FeatureVariant, featureSchema } from '../features/schema.js';
import { serviceIsDestination } from '../features/services.js';
import { groupByEndpoint } from '../workloads/endpoint.js';
import type { WorkloadLabel } from '../workloads/types.js';
import { flowKey, portIdentity } from './flow-key.js';
import { type FlowLabel, type LabelFile, labelsOf, mergeNumberedFolders } from './labels.js';
import type { Matrix } from './normalisation.js';
import type { WeakKeys } from './sampler.js';

/** Flows of captures as rows: raw features of the richest schema (a leaner one is a prefix of it), labels, groups. */
export interface FlowDataset {
  /** [flows, features of `port+bytes`] */
  readonly features: Matrix;
  /** Capture of each flow, an index into `captures`. */
  readonly capture: Int32Array;
  /** Relative paths. */
  readonly captures: readonly string[];
  /** Label of each flow, empty = none. */
  readonly labels: readonly string[];
  /** Label of each capture when labels are of captures, else empty. */
  readonly captureLabels: readonly string[];
  readonly unit: 'capture' | 'flow';
  readonly weakKeys: WeakKeys;
  readonly startSeconds: Float64Array;
}

export type LabelSource = LabelFile | 'by-folder' | 'none';

export interface DatasetOptions {
  readonly directory: string;
  readonly labels: LabelSource;
  /** Flows kept of one capture and label (or of one capture without labels, times 20). */
  readonly perCaptureAndLabel: number;
  readonly onCapture?: (done: number, of: number) => void;
  readonly signal?: AbortSignal;
}

const RICHEST: FeatureVariant = 'port+bytes';
const CAPTURE_FILE = /\.(pcap|pcapng|cap)$/i;
/** One record a flow: labels are of whole flows. */
const WHOLE_FLOW_MS = 1_800_000;
const UNLABELLED_FACTOR = 20;
const DEEPEST = 8;
/** All that a meter may keep of a payload: only the features of `port+bytes` look at it. */
const HEAD_BYTES = 16;

/** Files under a folder, links followed, no deeper than `depth`: a link may point upwards. */
function filesUnder(directory: string, depth: number): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const entry = statSync(path, { throwIfNoEntry: false });
    if (entry?.isDirectory()) return depth > 0 ? filesUnder(path, depth - 1) : [];
    return entry?.isFile() && CAPTURE_FILE.test(name) ? [path] : [];
  });
}

/** Capture files under a folder, sorted, as relative paths. @throws TG_FINGERPRINT_CAPTURES */
export function listCaptures(directory: string): string[] {
  let files: string[];
  try {
    files = filesUnder(directory, DEEPEST)
      .map((path) => relative(directory, path))
      .sort();
  } catch (error) {
    throw fail('TG_FINGERPRINT_CAPTURES', { path: directory, reason: messageOf(error) }, error);
  }
  if (files.length === 0)
    throw fail('TG_FINGERPRINT_CAPTURES', { path: directory, reason: 'there is no .pcap or .pcapng file' });
  return files;
}

/** Reads labelled captures through the same meter and the same features as live traffic. */
export async function loadDataset(options: DatasetOptions): Promise<FlowDataset> {
  const { directory, labels } = options;
  const captures = listCaptures(directory);
  const folderClass = mergeNumberedFolders(captures.map((file) => basename(dirname(file))));
  const named = new Map<string, number>();
  for (const file of captures) named.set(basename(file), (named.get(basename(file)) ?? 0) + 1);
  const rows: CollectedFlow[] = [];
  const captureLabels: string[] = [];
  for (const [index, file] of captures.entries()) {
    options.signal?.throwIfAborted();
    const alone = named.get(basename(file)) === 1;
    const captureLabel =
      labels === 'by-folder'
        ? folderClass.get(basename(dirname(file)))!
        : labels !== 'none' && labels.unit === 'capture'
          ? (labelsOf(labels.captures, file, alone) ?? '')
          : '';
    captureLabels.push(captureLabel);
    const flowLabels = labels !== 'by-folder' && labels !== 'none' && labels.unit === 'flow';
    const labelOf = flowLabels ? labeller(labelsOf(labels.flows, file, alone) ?? []) : () => captureLabel;
    const flows = await collect(join(directory, file), index, labelOf);
    flows.sort((a, b) => a.startSeconds - b.startSeconds || (a.key < b.key ? -1 : 1));
    const kept = new Map<string, number>();
    for (const flow of flows) {
      const count = kept.get(flow.label) ?? 0;
      const limit = options.perCaptureAndLabel * (flowLabels && flow.label !== '' ? 1 : UNLABELLED_FACTOR);
      if (count >= limit) continue;
      kept.set(flow.label, count + 1);
      rows.push(flow);
    }
    options.onCapture?.(index + 1, captures.length);
  }
  return assemble(rows, {
    captures,
    captureLabels,
    unit: labels === 'by-folder' || (labels !== 'none' && labels.unit === 'capture') ? 'capture' : 'flow',
  });
}

export interface StoredFlowsOptions {
  /** Records ended within so long of each other are one "capture": what is held back is other times, not other rows. */
  readonly blockMs: number;
  /** The names that people and rules gave. */
  readonly labels: readonly WorkloadLabel[];
}

/**
 * Label of each record: that of its endpoint, else that of the workload it was stored with. After a split or a move the
 * endpoint knows better; an endpoint that is no longer known has left only its records.
 */
function storedLabels(batch: FlowBatch, labels: readonly WorkloadLabel[]): string[] {
  const byEndpoint = new Map(labels.flatMap((label) => label.endpoints.map((key) => [key, label.name])));
  const byId = new Map(labels.flatMap((label) => label.workloadIds.map((id) => [id, label.name])));
  const { endpointOfRow, endpoints } = groupByEndpoint(batch);
  const workloads = batch.column('workloadId', 'u32');
  return Array.from(
    endpointOfRow,
    (endpoint, row) => byEndpoint.get(endpoints[endpoint]!.key) ?? byId.get(workloads[row]!) ?? '',
  );
}

/** Stored flow records as a data set; the records of one flow stay on one side of every split. */
export function storedDataset(batch: FlowBatch, options: StoredFlowsOptions): FlowDataset {
  const flows = flowsOf(batch, 0, () => '');
  const columns = recordColumns(batch);
  const labels = storedLabels(batch, options.labels);
  const ids = batch.column('flowId', 'u64');
  const blockOfFlow = new Map<bigint, number>();
  const number = new Map<number, number>();
  const rows = flows.map((flow) => {
    const time = Math.floor(wide(columns.end, flow.row) / 1e6 / options.blockMs);
    const block = blockOfFlow.get(ids[flow.row]!) ?? time;
    blockOfFlow.set(ids[flow.row]!, block);
    if (!number.has(block)) number.set(block, number.size);
    return { ...flow, capture: number.get(block)!, label: labels[flow.row]! };
  });
  const captures = [...number.keys()].map((block) => new Date(block * options.blockMs).toISOString());
  return assemble(rows, { captures, captureLabels: captures.map(() => ''), unit: 'flow' });
}

function assemble(
  rows: readonly CollectedFlow[],
  of: Pick<FlowDataset, 'captures' | 'captureLabels' | 'unit'>,
): FlowDataset {
  const width = featureSchema(RICHEST).dimensions;
  const features = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    features.set(row.features, i * width);
  });
  const numbered = new Map<string, number>();
  const endpoint = Int32Array.from(rows, ({ endpoint: key }) => {
    if (!numbered.has(key)) numbered.set(key, numbered.size);
    return numbered.get(key)!;
  });
  return {
    ...of,
    features: { data: features, rows: rows.length, columns: width },
    capture: Int32Array.from(rows, (row) => row.capture),
    labels: rows.map((row) => row.label),
    weakKeys: { endpoint, port: Int32Array.from(rows, (row) => row.port) },
    startSeconds: Float64Array.from(rows, (row) => row.startSeconds),
  };
}

interface CollectedFlow {
  /** In its batch. */
  readonly row: number;
  readonly capture: number;
  readonly key: string;
  readonly label: string;
  readonly startSeconds: number;
  readonly endpoint: string;
  readonly port: number;
  readonly features: Float32Array;
}

type Labeller = (key: string, startSeconds: number) => string;

/** The label of the flow with this key that began nearest to the asked time. */
function labeller(labels: readonly FlowLabel[]): Labeller {
  const byKey = new Map<string, FlowLabel[]>();
  for (const label of labels) {
    const { protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } = label;
    const key = flowKey(protocol, sourceAddress, sourcePort, destinationAddress, destinationPort);
    byKey.set(key, [...(byKey.get(key) ?? []), label]);
  }
  return (key, startSeconds) => {
    const distance = (label: FlowLabel): number => {
      const seconds = Math.abs(label.firstSeenSeconds - startSeconds);
      return Number.isNaN(seconds) ? 0 : seconds;
    };
    const candidates = byKey.get(key) ?? [];
    return [...candidates].sort((a, b) => distance(a) - distance(b))[0]?.label ?? '';
  };
}

async function collect(path: string, capture: number, labelOf: Labeller): Promise<CollectedFlow[]> {
  const source = new ReplaySource({
    files: [path],
    idleTimeoutMs: WHOLE_FLOW_MS,
    activeTimeoutMs: WHOLE_FLOW_MS,
    slabs: 2,
    slabRows: 1024,
    cacheEntries: 4096,
    maxFlows: 65_536,
    payloadHeadBytes: HEAD_BYTES,
    // The meter's hash must not decide which flow is first: the same captures give the same data set.
    secret: Uint32Array.from({ length: 13 }, (_, i) => mix(i, 0x7461)),
  });
  const flows: CollectedFlow[] = [];
  let failure: unknown;
  source.onBatch = (batch) => {
    try {
      flows.push(...flowsOf(batch, capture, labelOf));
    } catch (error) {
      failure ??= error;
    }
    batch.release();
  };
  await source.start();
  await source.done;
  await source.stop();
  if (failure !== undefined) throw failure;
  return flows;
}

const IP_KINDS: ReadonlySet<number> = new Set([4, 6]);

function flowsOf(batch: FlowBatch, capture: number, labelOf: Labeller): CollectedFlow[] {
  const schema = featureSchema(RICHEST);
  const columns = recordColumns(batch);
  const features = new Float32Array(batch.rows * schema.dimensions);
  extractFeatures(batch, features, schema);
  const flows: CollectedFlow[] = [];
  for (let row = 0; row < batch.rows; row += 1) {
    if (!IP_KINDS.has(columns.kind[row]!)) continue;
    const protocol = columns.protocol[row]!;
    const source = formatAddress(columns.addresses[0], row * 16);
    const destination = formatAddress(columns.addresses[1], row * 16);
    const sourcePort = columns.ports[0][row]!;
    const destinationPort = columns.ports[1][row]!;
    const startSeconds = wide(columns.start, row) / 1e9;
    const answers = serviceIsDestination(sourcePort, destinationPort);
    const servicePort = answers ? destinationPort : sourcePort;
    const key = flowKey(protocol, source, sourcePort, destination, destinationPort);
    flows.push({
      row,
      capture,
      key,
      label: labelOf(key, startSeconds),
      startSeconds,
      endpoint: `${protocol}|${answers ? destination : source}|${servicePort}`,
      port: portIdentity(protocol, servicePort),
      features: features.subarray(row * schema.dimensions, (row + 1) * schema.dimensions),
    });
  }
  return flows;
}
