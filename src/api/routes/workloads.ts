import { z } from 'zod';
import type { Workload } from '../../fingerprint/index.js';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { apiError } from '../errors.js';
import { Evidence } from '../evidence.js';
import { newSince } from '../newness.js';
import { plainText, sqlBehind, timeRange, workloadNumber } from '../schemas.js';
import type { Services } from '../services.js';
import { joined, readBehaviour, readEvents, type WorkloadBehaviour } from '../workload-query.js';
import { answers } from './answers.js';

const card = z.object({
  workloadId: z.number(),
  name: z.string(),
  namedBy: z.enum(['behaviour', 'rule', 'user']),
  service: z.string(),
  endpoints: z.number(),
  flows: z.number(),
  octets: z.number().describe('initiators to services, since it is known'),
  reverseOctets: z.number(),
  packets: z.number(),
  reversePackets: z.number(),
  firstSeenMs: z.number(),
  lastSeenMs: z.number(),
  isNew: z.boolean().describe('first seen within the range, and later than those that the gateway met first'),
  rateBps: z.number().describe('both directions, the last seconds'),
  confidence: z.number().nullable().describe('mean similarity of its flows to it, −1..1; null without flows'),
  reconstructionError: z.number().describe('how strange its flows are to the model'),
  sizeDrift: z.number().describe('population stability index of its packet sizes against its own past'),
  hasChanged: z
    .boolean()
    .describe('it behaves differently than before, which was reported, and has not settled'),
  recent: z.object({
    flows: z.number(),
    octetsOut: z.number(),
    octetsIn: z.number(),
    share: z.number().describe('of all octets in the range'),
    packetSizes: z.array(z.number()).describe('packets by size bin, both directions'),
    gaps: z.array(z.number()).describe('gaps between packets by bin, both directions'),
  }),
});

const histogramAxes = {
  sizeEdges: z
    .array(z.number())
    .describe('upper edges (exclusive) of the size bins, octets; the last bin is open'),
  gapEdgesMicroseconds: z.array(z.number()).describe('upper edges of the gap bins; the last bin is open'),
};

const GAP_BINS = 16;
/** Bin k holds gaps of [2^k, 2^(k+1)) ticks of 1.024 µs, bin 0 also shorter ones (`tg_iat_bin` in bpf/flow_key.h). */
const GAP_EDGES = Array.from({ length: GAP_BINS - 1 }, (_, k) => 1.024 * 2 ** (k + 1));

const name = plainText(80).trim().min(1);

/** `/api/workloads…`: what was recognised, and what people call it. */
export function registerWorkloads(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  const range = z.object({ ...timeRange, from: timeRange.from.prefault('15m') });

  app.get(
    '/api/workloads',
    {
      schema: {
        tags: ['workloads'],
        summary: 'Every workload: how busy, how sure, how it behaves; busiest first',
        querystring: range,
        response: answers(z.object({ workloads: z.array(card), ...histogramAxes, sql: sqlBehind })),
      },
    },
    async (request) => {
      const evidence = new Evidence(dependencies.reader());
      const behaviour = await readBehaviour(evidence, dependencies.gateway, request.query);
      const known = dependencies.workloads();
      const all = known.workloads();
      const newMs = newSince(all, request.query.from);
      const workloads = all
        .map((w) => cardOf(w, behaviour, (id) => known.resolve(id), dependencies, newMs))
        .sort(
          (a, b) => b.rateBps - a.rateBps || b.recent.flows - a.recent.flows || a.workloadId - b.workloadId,
        );
      return { workloads, ...axes(dependencies), sql: evidence.statements };
    },
  );

  app.get(
    '/api/workloads/:workloadId',
    {
      schema: {
        tags: ['workloads'],
        summary: 'One workload with its endpoints, its nearest kin and what happened to it',
        params: z.object({ workloadId: workloadNumber }),
        querystring: range,
        response: answers(
          z.object({
            workload: card,
            endpoints: z.array(z.string()).describe('keys: protocol/port/address; the first 500'),
            nearest: z.array(z.object({ workloadId: z.number(), name: z.string(), similarity: z.number() })),
            events: z.array(z.object({ timeMs: z.number(), kind: z.string(), words: z.string() })),
            ...histogramAxes,
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const known = dependencies.workloads();
      const workload = known.workload(request.params.workloadId);
      const evidence = new Evidence(dependencies.reader());
      const behaviour = await readBehaviour(evidence, dependencies.gateway, request.query);
      const events = await readEvents(evidence, dependencies.gateway, workload.workloadId);
      return {
        workload: cardOf(
          workload,
          behaviour,
          (id) => known.resolve(id),
          dependencies,
          newSince(known.workloads(), request.query.from),
        ),
        endpoints: known.endpointsOf(workload.workloadId).slice(0, 500),
        nearest: known
          .nearest(workload.fingerprint, 6)
          .filter((near) => near.workload.workloadId !== workload.workloadId)
          .map((near) => ({
            workloadId: near.workload.workloadId,
            name: near.workload.name,
            similarity: near.similarity,
          })),
        events,
        ...axes(dependencies),
        sql: evidence.statements,
      };
    },
  );

  const changed = answers(z.object({ workloadId: z.number(), name: z.string(), sql: sqlBehind }));
  const short = (w: Workload) => ({ workloadId: w.workloadId, name: w.name, sql: [] });

  app.post(
    '/api/workloads/:workloadId/label',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['workloads'],
        summary: 'Give a workload a name; it keeps it',
        params: z.object({ workloadId: workloadNumber }),
        body: z.strictObject({ name }),
        response: changed,
      },
    },
    async (request) => {
      const { workloadId } = request.params;
      const before = dependencies.workloads().workload(workloadId);
      return services.audit.around(
        request.caller,
        {
          action: 'label',
          words: `names "${before.name}" "${request.body.name}"`,
          workloadId: before.workloadId,
          details: { before: before.name, after: request.body.name },
        },
        async () => short(dependencies.workloads().label(workloadId, request.body.name)),
      );
    },
  );

  app.post(
    '/api/workloads/:workloadId/merge',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['workloads'],
        summary: 'Make another workload part of this one',
        params: z.object({ workloadId: workloadNumber }),
        body: z.strictObject({ from: z.int().min(1).max(0xffff_ffff).describe('the one that goes') }),
        response: changed,
      },
    },
    async (request) => {
      const into = dependencies.workloads().workload(request.params.workloadId);
      const from = dependencies.workloads().workload(request.body.from);
      return services.audit.around(
        request.caller,
        {
          action: 'merge',
          words: `makes "${from.name}" part of "${into.name}"`,
          workloadId: into.workloadId,
          details: { into: into.workloadId, from: from.workloadId },
        },
        async () => short(dependencies.workloads().merge(into.workloadId, from.workloadId, Date.now())),
      );
    },
  );

  app.post(
    '/api/workloads/:workloadId/split',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['workloads'],
        summary: 'Move endpoints of a workload to a new one',
        params: z.object({ workloadId: workloadNumber }),
        body: z.strictObject({
          endpoints: z.array(plainText(120).min(1)).min(1).max(1000),
          name,
        }),
        response: changed,
      },
    },
    async (request) => {
      const known = dependencies.workloads();
      const of = known.workload(request.params.workloadId);
      const own = new Set(known.endpointsOf(of.workloadId));
      const endpoints = [...new Set(request.body.endpoints)];
      const foreign = endpoints.find((key) => !own.has(key));
      return services.audit.around(
        request.caller,
        {
          action: 'split',
          words: `splits "${request.body.name}" off "${of.name}"`,
          workloadId: of.workloadId,
          details: { endpoints, name: request.body.name },
        },
        async () => {
          if (foreign !== undefined)
            throw apiError('TG_API_ENDPOINT', { endpoint: foreign, workload: of.name });
          return short(known.split(endpoints, request.body.name, Date.now()));
        },
      );
    },
  );
}

const axes = (dependencies: ApiDependencies) => ({
  sizeEdges: [...dependencies.sizeEdges],
  gapEdgesMicroseconds: [...GAP_EDGES],
});

function cardOf(
  w: Workload,
  all: readonly WorkloadBehaviour[],
  resolve: (workloadId: number) => number,
  dependencies: ApiDependencies,
  newMs: number,
): z.output<typeof card> {
  // Records keep the number that they were stored with; a merge gives it another meaning.
  const own = joined(all.filter((part) => resolve(part.workloadId) === w.workloadId));
  const octets = all.reduce((sum, part) => sum + part.octetsOut + part.octetsIn, 0);
  const mine = own === undefined ? 0 : own.octetsOut + own.octetsIn;
  const rate = dependencies.status().workloads.find((known) => known.workloadId === w.workloadId);
  return {
    workloadId: w.workloadId,
    name: w.name,
    namedBy: w.namedBy,
    service: w.service,
    endpoints: w.endpoints,
    flows: w.flows,
    octets: w.octets,
    reverseOctets: w.reverseOctets,
    packets: w.packets,
    reversePackets: w.reversePackets,
    firstSeenMs: w.firstSeenMs,
    lastSeenMs: w.lastSeenMs,
    isNew: w.firstSeenMs >= newMs,
    rateBps: rate?.rateBps ?? 0,
    confidence: own?.confidence ?? null,
    reconstructionError: w.reconstructionError,
    sizeDrift: w.sizeDrift,
    hasChanged: w.hasChanged,
    recent: {
      flows: own?.flows ?? 0,
      octetsOut: own?.octetsOut ?? 0,
      octetsIn: own?.octetsIn ?? 0,
      share: octets > 0 ? mine / octets : 0,
      packetSizes: [...(own?.packetSizes ?? [])],
      gaps: [...(own?.gaps ?? [])],
    },
  };
}
