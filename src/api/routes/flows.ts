import { isIP } from 'node:net';
import { z } from 'zod';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { axisOf, DIMENSION_NAMES, type FlowFilter, readFlows, readSankey } from '../flow-query.js';
import { listOf, plainText, sqlBehind, timeRange, wholeNumber } from '../schemas.js';
import { answers } from './answers.js';

const address = z.string().refine((text) => {
  const [host = '', length, more] = text.split('/');
  const family = isIP(host);
  const most = family === 4 ? 32 : 128;
  return (
    family > 0 &&
    more === undefined &&
    (length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= most))
  );
}, 'expected an address or a prefix such as 10.0.0.0/8');

const numbersOf = (maximum: number) =>
  listOf(z.string().regex(/^\d{1,10}$/, 'expected whole numbers'))
    .transform((texts) => texts.map(Number))
    .pipe(z.array(z.int().min(0).max(maximum)))
    .prefault('');
const addresses = listOf(address).prefault('');

const filters = {
  ...timeRange,
  direction: z.enum(['both', 'out', 'in']).default('both').describe('from or towards the private side'),
  workload: numbersOf(0xffff_ffff).describe('numbers of workloads'),
  link: listOf(plainText(64)).prefault('').describe('ids of links'),
  source: addresses.describe('initiator: addresses or prefixes'),
  destination: addresses.describe('responder: addresses or prefixes'),
  peer: addresses.describe('the public side: addresses or prefixes'),
  host: addresses.describe('the private side: addresses or prefixes'),
  port: numbersOf(65_535).describe('ports of the responder'),
  protocol: numbersOf(255).describe('IANA protocols'),
};

const group = z.object({
  key: z.record(z.string(), z.string()).describe('value of each dimension'),
  label: z.string().describe('the key for people'),
  octets: z.number(),
  packets: z.number(),
  flows: z.number().describe('flow records'),
  minimumBps: z.number(),
  averageBps: z.number(),
  maximumBps: z.number(),
  p95Bps: z.number().describe('95 % quantile of the steps, silent ones counted as 0'),
  bps: z.array(z.number()).describe('rate in each step, bit/s'),
});

/** `/api/flows…`: traffic by any dimension, as series, as table and as way through the gateway. */
export function registerFlows(app: ApiApp, dependencies: ApiDependencies): void {
  const labelOf = (key: Readonly<Record<string, string>>): string =>
    Object.entries(key)
      .map(([name, value]) => (name === 'workload' ? workloadName(dependencies, Number(value)) : value))
      .join(' · ');

  app.get(
    '/api/flows',
    {
      schema: {
        tags: ['flows'],
        summary: 'The biggest groups of flows, as series and with their average, maximum and 95 % quantile',
        querystring: z.object({
          ...filters,
          by: listOf(z.enum(DIMENSION_NAMES))
            .prefault('workload')
            .describe(`dimensions: ${DIMENSION_NAMES.join(', ')}; empty = the total only`),
          points: wholeNumber(1, 2000).prefault('120').describe('about so many steps'),
          limit: wholeNumber(1, 100).prefault('10').describe('so many groups; the rest is `others`'),
        }),
        response: answers(
          z.object({
            table: z.string().describe('what was read: a rollup, or the flow records'),
            fromMs: z.number(),
            untilMs: z.number(),
            stepMs: z.number(),
            groups: z.array(group),
            others: group,
            total: group,
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const { by, points, limit, ...rest } = request.query;
      const filter = orderly(rest);
      const evidence = new Evidence(dependencies.reader());
      const dimensions = [...new Set(by)] as (typeof DIMENSION_NAMES)[number][];
      const axis = axisOf(filter, dimensions, points, Date.now());
      const read = await readFlows(evidence, dependencies.gateway, filter, dimensions, axis, limit);
      return {
        table: axis.table,
        fromMs: axis.fromS * 1000,
        untilMs: axis.untilS * 1000,
        stepMs: axis.stepS * 1000,
        groups: read.groups.map((g) => ({ ...g, key: { ...g.key }, bps: [...g.bps], label: labelOf(g.key) })),
        others: { ...read.others, key: {}, bps: [...read.others.bps], label: 'others' },
        total: { ...read.total, key: {}, bps: [...read.total.bps], label: 'total' },
        sql: evidence.statements,
      };
    },
  );

  app.get(
    '/api/flows/sankey',
    {
      schema: {
        tags: ['flows'],
        summary: 'What flows from link to workload to peer',
        querystring: z.object({
          ...filters,
          peers: wholeNumber(1, 100).prefault('12').describe('so many peers; the rest is `others`'),
        }),
        response: answers(
          z.object({
            fromMs: z.number(),
            untilMs: z.number(),
            nodes: z.array(
              z.object({
                id: z.string(),
                kind: z.enum(['link', 'workload', 'peer']),
                value: z.string(),
                label: z.string(),
                octets: z.number(),
              }),
            ),
            links: z.array(
              z.object({
                source: z.string(),
                target: z.string(),
                octets: z.number(),
                averageBps: z.number(),
              }),
            ),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const { peers, ...rest } = request.query;
      const filter = orderly(rest);
      const evidence = new Evidence(dependencies.reader());
      const rows = await readSankey(evidence, dependencies.gateway, filter, peers);
      const seconds = Math.max(1, (filter.untilMs - filter.fromMs) / 1000);
      const nodes = new Map<string, { kind: 'link' | 'workload' | 'peer'; value: string; octets: number }>();
      const links = new Map<string, { source: string; target: string; octets: number }>();
      const node = (kind: 'link' | 'workload' | 'peer', value: string, octets: number): string => {
        const id = `${kind}:${value}`;
        nodes.set(id, { kind, value, octets: (nodes.get(id)?.octets ?? 0) + octets });
        return id;
      };
      const flow = (source: string, target: string, octets: number): void => {
        const id = `${source} ${target}`;
        links.set(id, { source, target, octets: (links.get(id)?.octets ?? 0) + octets });
      };
      for (const row of rows) {
        const link = node('link', row.link, row.octets);
        const workload = node('workload', row.workload, row.octets);
        const peer = node('peer', row.peer, row.octets);
        flow(link, workload, row.octets);
        flow(workload, peer, row.octets);
      }
      return {
        fromMs: filter.fromMs,
        untilMs: filter.untilMs,
        nodes: [...nodes].map(([id, n]) => ({
          id,
          ...n,
          label: n.kind === 'workload' ? workloadName(dependencies, Number(n.value)) : n.value,
        })),
        links: [...links.values()].map((l) => ({ ...l, averageBps: (l.octets * 8) / seconds })),
        sql: evidence.statements,
      };
    },
  );
}

/** Name of a workload for people, also of one that was merged away. */
export function workloadName(dependencies: ApiDependencies, workloadId: number): string {
  if (workloadId === 0) return 'unclassified';
  const registry = dependencies.workloads();
  const id = registry.resolve(workloadId);
  return registry.workloads().find((w) => w.workloadId === id)?.name ?? `workload ${workloadId}`;
}

type Parsed = Omit<FlowFilter, 'fromMs' | 'untilMs'> & { readonly from: number; readonly until: number };

/** A range that was given the wrong way round is meant the right way round. */
const orderly = ({ from, until, ...rest }: Parsed): FlowFilter => ({
  ...rest,
  fromMs: Math.min(from, until),
  untilMs: Math.max(from, until),
});
