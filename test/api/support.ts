import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { actuateConfig } from '../../src/actuate/index.js';
import { apiConfig } from '../../src/api/config.js';
import type { ApiDependencies, PipelineFigures } from '../../src/api/dependencies.js';
import { Observations } from '../../src/api/observations.js';
import { ApiServer } from '../../src/api/server.js';
import { benchInput } from '../../src/cli/bench/plan-time.js';
import {
  FingerprintEncoder,
  fingerprintConfig,
  groupByEndpoint,
  WorkloadRegistry,
} from '../../src/fingerprint/index.js';
import { type CycleOutcome, unplanned } from '../../src/pipeline/cycle-plan.js';
import { PlanOperations } from '../../src/pipeline/plan-operations.js';
import { insertPlan } from '../../src/pipeline/records.js';
import { balanceOf, type GatewayStatus } from '../../src/pipeline/status.js';
import { type Plan, Planner } from '../../src/plan/index.js';
import { PriceBook } from '../../src/pricing/index.js';
import { encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';
import { makeBatch, type ServiceKind, serviceFlow } from '../fingerprint/support/batch.js';

export const logger = pino({ level: 'silent' });
export const GATEWAY = 'apitest';
const MINUTE_MS = 60_000;
const KINDS: readonly ServiceKind[] = ['backup', 'api', 'streaming', 'dns', 'batch'];

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Node leaves the length out where a method usually has no body; then the body would be read as a second request. */
const lengthOf = (body: string | undefined, headers: Ask['headers']): Record<string, string> => ({
  ...headers,
  ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
});

/** One request by hand, so that nothing corrects what a test wants to send. */
export function ask(
  target: { socketPath: string } | { host: string; port: number },
  what: Ask,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...target,
        method: what.method ?? 'GET',
        path: what.path,
        headers: lengthOf(what.body, what.headers),
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    call.on('error', reject);
    call.end(what.body);
  });
}

export const quietStatus = (plan: Plan | undefined, nowMs = Date.now()): GatewayStatus => ({
  gateway: GATEWAY,
  mode: 'lab',
  startedMs: nowMs - MINUTE_MS,
  nowMs,
  interfaces: [
    {
      name: 'eth1',
      index: 3,
      mode: 'native',
      rxPackets: 10,
      rxOctets: 1000,
      txPackets: 0,
      txOctets: 0,
      linkId: 'public-a',
    },
  ],
  packets: balanceOf(100, 80, { kernelCache: 5, rings: 0, flowTable: 6, slabs: 4, spool: 2 }, [
    { stage: 'kernel', reason: 'ring_full', packets: 3, octets: 300 },
  ]),
  rate: { packetsPerSecond: 5, bitsPerSecond: 4000 },
  flows: { active: 3, records: 50 },
  records: { written: 40 },
  workloads: [],
  forecasts: 2,
  plan:
    plan === undefined
      ? null
      : {
          id: plan.id,
          costUsd: plan.costUsd,
          doNothingUsd: plan.doNothingUsd,
          createdMs: plan.createdMs,
          next: null,
        },
  store: { kind: 'embedded', reachable: true, spoolBytes: 0 },
  warnings: [],
});

export const quietFigures = (): PipelineFigures => ({
  ringFill: 0.01,
  overloadLevel: 0,
  headsByOutcome: { used: 7, ring_full: 1 },
  inferQueue: 0,
  recordsByEndReason: { idle: 30, active: 10 },
  forecasts: [],
  actuations: [{ actuator: 'dry-run', result: 'applied', count: 2 }],
});

/** A gateway's API over a real store with real fingerprints, workloads, a forecast and plans; only packets are missing. */
export class ApiFixture {
  readonly directory = mkdtempSync(join(tmpdir(), 'tidegate-api-'));
  readonly socketPath = join(this.directory, 'api.sock');
  readonly store: Store;
  readonly registry = new WorkloadRegistry({ ...fingerprintConfig.parse({}), modelId: 'm' });
  readonly operations: PlanOperations;
  plans: Plan[] = [];
  /** What comes of asking for a plan now. */
  planned: CycleOutcome = unplanned('no-traffic');
  /** Octets of all flows that were stored. */
  octets = 0;
  #api: ApiServer | undefined;

  constructor() {
    this.store = new Store({
      config: storeConfig.parse({}),
      dataDirectory: this.directory,
      gateway: GATEWAY,
      logger,
    });
    this.operations = new PlanOperations({
      gateway: GATEWAY,
      config: actuateConfig.parse({}),
      links: [],
      dataDirectory: this.directory,
      client: () => this.store.client,
      endpointKeysOf: (workloadId) => this.registry.endpointsOf(workloadId),
      names: () => (workloadId) => `workload ${workloadId}`,
      logger,
    });
  }

  get url(): { host: string; port: number } {
    const { hostname, port } = new URL(this.#api?.addresses[0] ?? '');
    return { host: hostname, port: Number(port) };
  }

  dependencies(settings: Record<string, unknown>): ApiDependencies {
    return {
      gateway: GATEWAY,
      config: apiConfig.parse({
        listen: ['127.0.0.1:0'],
        requestsPerMinute: 1_000_000,
        sql: { perMinute: 1_000_000 },
        ...settings,
      }),
      socket: this.socketPath,
      logger,
      status: () => quietStatus(this.plans.at(-1)),
      figures: quietFigures,
      observations: new Observations(),
      notReady: () => ({}),
      links: ['private', 'public-a', 'public-b'].map((linkId, i) => ({
        linkId,
        interface: `eth${i}`,
        network: linkId === 'private' ? 'private' : 'public',
        wayOut: linkId !== 'private',
        capacityBps: 1e9,
        tariff: linkId === 'public-b' ? 'gcp-premium' : 'free',
      })),
      prices: PriceBook.load(),
      reader: () => this.store.reader,
      readerAccess: () => this.store.endpoint(),
      writer: () => this.store.client,
      workloads: () => this.registry,
      reloadModel: async () => ({ id: 'm', schema: 'flow-2-port', trainedOn: 'nothing', seed: 1 }),
      plans: this.operations,
      planNow: async () => this.planned,
      doctor: async () => [],
      sizeEdges: [64, 128],
    };
  }

  async start(settings: Record<string, unknown> = {}): Promise<void> {
    await this.store.start();
    await this.#fill();
    await this.operations.start();
    this.#api = new ApiServer(this.dependencies(settings));
    await this.#api.start();
  }

  async stop(): Promise<void> {
    await this.#api?.stop();
    await this.operations.stop();
    await this.store.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #fill(): Promise<void> {
    const startMs = Date.now() - 4 * MINUTE_MS;
    const encoder = await FingerprintEncoder.load();
    const batch = makeBatch(
      KINDS.flatMap((kind) =>
        Array.from({ length: 24 }, (_, i) =>
          serviceFlow(kind, i, { startMs: startMs + i * 4000, durationMs: 500 }),
        ),
      ),
    );
    await encoder.encode(batch);
    await encoder.release();
    const { endpointOfRow, endpoints } = groupByEndpoint(batch);
    const assigned = this.registry.observe(endpoints, Date.now());
    for (let row = 0; row < batch.rows; row += 1) {
      const assignment = assigned[endpointOfRow[row]!]!;
      batch.column('workloadId', 'u32')[row] = assignment.workloadId;
      batch.column('workloadScore', 'f32')[row] = assignment.score;
      batch.column('samplingPacketInterval', 'u32')[row] = 1;
      batch.column('ingressInterface', 'u32')[row] = 2;
      batch.column('egressInterface', 'u32')[row] = 3 + (row % 2);
      this.octets += Number(
        batch.column('octetDeltaCount', 'u64')[row]! + batch.column('reverseOctetDeltaCount', 'u64')[row]!,
      );
    }
    const block = encodeFlowBlock(batch, {
      gateway: GATEWAY,
      links: {
        2: { linkId: 'private', network: 'private' },
        3: { linkId: 'public-a', network: 'public' },
        4: { linkId: 'public-b', network: 'public' },
      },
    });
    await this.store.writer.append({ table: 'flows', block, rows: batch.rows, packets: 0, octets: 0 });
    if (!(await this.store.writer.drain(60_000))) throw new Error('the flows did not reach the store');
    const created = new Date().toISOString();
    for (const of of ['1', 'link:public-a'])
      await this.store.client.insertRows('forecasts', [
        {
          created,
          gateway: GATEWAY,
          seriesId: `${GATEWAY}/${of}/bandwidthOutBps`,
          workloadId: of === '1' ? 1 : 0,
          signal: 'bandwidthOutBps',
          start: created,
          stepMs: 60_000,
          median: [5, 7, 6],
          levels: [0.5, 0.9, 0.95],
          quantiles: [
            [5, 7, 6],
            [8, 9, 8],
            [9, 10, 9],
          ],
          mix: '[{"model":"naive","weight":1,"error":2}]',
          members: '[{"model":"prophet","reason":"took longer than 30 s"}]',
          historySteps: 10,
          status: 'ok',
        },
      ]);
    const planner = new Planner({ logger });
    await planner.start();
    const nowMs = Date.now();
    const input = benchInput(4, 3);
    for (const capacityBps of [1e9, 4e9]) {
      const plan = await planner.plan({
        ...input,
        gateway: GATEWAY,
        nowMs: nowMs - 1e10 / capacityBps,
        expiresMs: nowMs + 3_600_000,
        links: input.links.map((link) => ({ ...link, capacityBps })),
        periods: input.periods.map((p) => ({ ...p, startMs: p.startMs + nowMs })),
      });
      this.plans.push(plan);
      await insertPlan(this.store.client, plan);
    }
    await planner.stop();
  }
}
