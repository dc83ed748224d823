import { isIP } from 'node:net';
import type { Evidence } from './evidence.js';

/** IPv4 addresses without their mapping prefix. */
const address = (column: string): string => `replaceOne(toString(${column}), '::ffff:', '')`;

/** What flows can be grouped by: name in the API → SQL. */
export const DIMENSIONS = {
  workload: 'toString(workloadId)',
  link: 'linkId',
  source: address('sourceIPv6Address'),
  destination: address('destinationIPv6Address'),
  peer: address('if(outbound = 1, destinationIPv6Address, sourceIPv6Address)'),
  host: address('if(outbound = 1, sourceIPv6Address, destinationIPv6Address)'),
  port: 'toString(destinationTransportPort)',
  protocol: 'toString(protocolIdentifier)',
  vlan: 'toString(dot1qVlanId)',
  /** The name that clients asked for, where decoders are on. */
  server: "if(tlsServerName != '', tlsServerName, httpRequestHost)",
} as const;

export type Dimension = keyof typeof DIMENSIONS;
export const DIMENSION_NAMES = Object.keys(DIMENSIONS) as [Dimension, ...Dimension[]];
/** Dimensions that the rollups have; any other needs the flow records themselves. */
const ROLLED_UP: ReadonlySet<string> = new Set(['workload', 'link']);

export type Direction = 'both' | 'out' | 'in';

export interface FlowFilter {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly direction: Direction;
  readonly workload: readonly number[];
  readonly link: readonly string[];
  readonly source: readonly string[];
  readonly destination: readonly string[];
  readonly peer: readonly string[];
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly protocol: readonly number[];
}

/** Steps that people can read, seconds. */
const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400,
] as const;
const HOUR_MS = 3_600_000;
/** The rollups: own step, and how far back they go. */
const ROLLUPS = [
  { table: 'usage_1s', stepS: 1, keepsMs: 6 * HOUR_MS },
  { table: 'usage_1m', stepS: 60, keepsMs: 90 * 24 * HOUR_MS },
  { table: 'usage_5m', stepS: 300, keepsMs: 400 * 24 * HOUR_MS },
  { table: 'usage_1h', stepS: 3600, keepsMs: 1100 * 24 * HOUR_MS },
] as const;

export interface FlowAxis {
  readonly table: string;
  readonly fromS: number;
  readonly untilS: number;
  readonly stepS: number;
  readonly steps: number;
}

/** The table to read and the steps to show: the coarsest rollup that is fine enough, within its age. */
export function axisOf(
  filter: FlowFilter,
  by: readonly Dimension[],
  points: number,
  nowMs: number,
): FlowAxis {
  const rangeS = Math.max(1, (filter.untilMs - filter.fromMs) / 1000);
  const wanted = rangeS / points;
  let stepS: number = STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
  let table = 'flows';
  if (by.every((name) => ROLLED_UP.has(name)) && !needsRecords(filter)) {
    const ageMs = nowMs - filter.fromMs;
    const kept = ROLLUPS.filter((rollup) => ageMs <= rollup.keepsMs);
    const fit = kept.filter((rollup) => stepS % rollup.stepS === 0).at(-1) ?? kept[0] ?? ROLLUPS[3];
    table = fit.table;
    stepS = Math.ceil(stepS / fit.stepS) * fit.stepS;
  }
  const fromS = Math.floor(filter.fromMs / 1000 / stepS) * stepS;
  const untilS = Math.max(fromS + stepS, Math.ceil(filter.untilMs / 1000 / stepS) * stepS);
  return { table, fromS, untilS, stepS, steps: Math.round((untilS - fromS) / stepS) };
}

const needsRecords = (f: FlowFilter): boolean =>
  [f.source, f.destination, f.peer, f.host, f.port, f.protocol].some((values) => values.length > 0);

const OCTETS: Readonly<Record<Direction, string>> = {
  both: 'octetsOut + octetsIn',
  out: 'octetsOut',
  in: 'octetsIn',
};
const PACKETS: Readonly<Record<Direction, string>> = {
  both: 'packetsOut + packetsIn',
  out: 'packetsOut',
  in: 'packetsIn',
};

/** `10.0.0.0/8` or an address → a condition on an IPv6 column, and its parameters. */
function addressCondition(
  column: string,
  name: string,
  values: readonly string[],
): readonly [string, Record<string, string>] {
  const parameters: Record<string, string> = {};
  const conditions = values.map((value, i) => {
    const [host = '', length] = value.split('/');
    const isV4 = isIP(host) === 4;
    const bits = length === undefined ? 128 : Number(length) + (isV4 ? 96 : 0);
    parameters[`${name}${i}`] = `${isV4 ? `::ffff:${host}` : host}/${bits}`;
    return `isIPAddressInRange(toString(${column}), {${name}${i}:String})`;
  });
  return [`(${conditions.join(' OR ')})`, parameters];
}

/** WHERE clause of a filter over a rollup or over `flows`, and its parameters. */
export function conditionsOf(
  gateway: string,
  filter: FlowFilter,
  axis: FlowAxis,
): readonly [string, Record<string, string | number | readonly number[] | readonly string[]>] {
  const parameters: Record<string, string | number | readonly number[] | readonly string[]> = {
    gateway,
    from: axis.fromS,
    until: axis.untilS,
  };
  const time = axis.table === 'flows' ? 'flowEndNanoseconds' : 'time';
  const conditions = [
    'gateway = {gateway:String}',
    `${time} >= toDateTime({from:UInt32})`,
    `${time} < toDateTime({until:UInt32})`,
  ];
  const among = (
    name: string,
    column: string,
    type: string,
    values: readonly number[] | readonly string[],
  ): void => {
    if (values.length === 0) return;
    conditions.push(`${column} IN {${name}:Array(${type})}`);
    parameters[name] = values;
  };
  among('workload', 'workloadId', 'UInt32', filter.workload);
  among('link', 'linkId', 'String', filter.link);
  among('port', 'destinationTransportPort', 'UInt16', filter.port);
  among('protocol', 'protocolIdentifier', 'UInt8', filter.protocol);
  for (const [name, column] of [
    ['source', 'sourceIPv6Address'],
    ['destination', 'destinationIPv6Address'],
    ['peer', 'if(outbound = 1, destinationIPv6Address, sourceIPv6Address)'],
    ['host', 'if(outbound = 1, sourceIPv6Address, destinationIPv6Address)'],
  ] as const) {
    if (filter[name].length === 0) continue;
    const [condition, more] = addressCondition(column, name, filter[name]);
    conditions.push(condition);
    Object.assign(parameters, more);
  }
  return [conditions.join(' AND '), parameters];
}

export interface FlowGroup {
  /** One value a dimension, as text. */
  readonly key: Readonly<Record<string, string>>;
  readonly octets: number;
  readonly packets: number;
  readonly flows: number;
  readonly minimumBps: number;
  readonly averageBps: number;
  readonly maximumBps: number;
  /** The 95 % quantile of the steps, silent ones counted as 0 (nearest rank). */
  readonly p95Bps: number;
  readonly bps: readonly number[];
}

interface StepRow {
  readonly key: readonly string[];
  readonly slot: number;
  readonly octets: number;
  readonly packets: number;
  readonly flows: number;
}

function groupOf(
  by: readonly string[],
  key: readonly string[],
  rows: readonly StepRow[],
  axis: FlowAxis,
): FlowGroup {
  const bps = new Array<number>(axis.steps).fill(0);
  let [octets, packets, flows] = [0, 0, 0];
  for (const row of rows) {
    if (row.slot >= 0 && row.slot < axis.steps) bps[row.slot]! += (row.octets * 8) / axis.stepS;
    octets += row.octets;
    packets += row.packets;
    flows += row.flows;
  }
  const sorted = [...bps].sort((a, b) => a - b);
  return {
    key: Object.fromEntries(by.map((name, i) => [name, key[i] ?? ''])),
    octets,
    packets,
    flows,
    minimumBps: sorted[0] ?? 0,
    averageBps: bps.reduce((sum, value) => sum + value, 0) / axis.steps,
    maximumBps: sorted.at(-1) ?? 0,
    p95Bps: sorted[Math.max(0, Math.ceil(0.95 * sorted.length) - 1)] ?? 0,
    bps,
  };
}

/** The biggest groups of flows as series, what is left of them, and all of it. */
export async function readFlows(
  evidence: Evidence,
  gateway: string,
  filter: FlowFilter,
  by: readonly Dimension[],
  axis: FlowAxis,
  limit: number,
): Promise<{ groups: FlowGroup[]; others: FlowGroup; total: FlowGroup }> {
  const [where, parameters] = conditionsOf(gateway, filter, axis);
  const records = axis.table === 'flows';
  const time = records ? 'toDateTime(flowEndNanoseconds)' : 'time';
  const scale = records ? ' * samplingPacketInterval' : '';
  const sums = `toFloat64(sum((${OCTETS[filter.direction]})${scale})) AS octets,
    toFloat64(sum((${PACKETS[filter.direction]})${scale})) AS packets, toFloat64(${records ? 'count()' : 'sum(flows)'}) AS flows`;
  const slot = `intDiv(toUnixTimestamp(${time}) - {from:UInt32}, {step:UInt32}) AS slot`;
  const all = { ...parameters, step: axis.stepS, limit };
  const totalRows = await evidence.query<Omit<StepRow, 'key'>>(
    `SELECT ${slot}, ${sums} FROM ${axis.table} WHERE ${where} GROUP BY slot ORDER BY slot`,
    all,
  );
  const total = groupOf(
    [],
    [],
    totalRows.map((row) => ({ ...row, key: [] })),
    axis,
  );
  if (by.length === 0) return { groups: [], others: groupOf([], [], [], axis), total };
  const key = `[${by.map((name) => DIMENSIONS[name]).join(', ')}]`;
  const rows = await evidence.query<StepRow>(
    `SELECT ${key} AS key, ${slot}, ${sums} FROM ${axis.table}
     WHERE ${where} AND key IN (SELECT ${key} AS key FROM ${axis.table} WHERE ${where}
       GROUP BY key ORDER BY sum(${OCTETS[filter.direction]}) DESC, key LIMIT {limit:UInt32})
     GROUP BY key, slot ORDER BY key, slot`,
    all,
  );
  const byKey = new Map<string, StepRow[]>();
  for (const row of rows) {
    const id = JSON.stringify(row.key);
    byKey.set(id, [...(byKey.get(id) ?? []), row]);
  }
  const groups = [...byKey.values()]
    .map((own) => groupOf(by, own[0]!.key, own, axis))
    .sort((a, b) => b.octets - a.octets || JSON.stringify(a.key).localeCompare(JSON.stringify(b.key)));
  return { groups, others: remainder(total, groups, axis), total };
}

/** What is in the total and in none of the groups. */
function remainder(total: FlowGroup, groups: readonly FlowGroup[], axis: FlowAxis): FlowGroup {
  const rows = total.bps.map((bps, slot): StepRow => {
    const shown = groups.reduce((sum, group) => sum + group.bps[slot]!, 0);
    return { key: [], slot, octets: Math.max(0, ((bps - shown) * axis.stepS) / 8), packets: 0, flows: 0 };
  });
  const rest = groupOf([], [], rows, axis);
  const left = (of: (group: FlowGroup) => number): number =>
    Math.max(0, of(total) - groups.reduce((sum, group) => sum + of(group), 0));
  return {
    ...rest,
    octets: left((g) => g.octets),
    packets: left((g) => g.packets),
    flows: left((g) => g.flows),
  };
}

export interface SankeyRow {
  readonly link: string;
  readonly workload: string;
  readonly peer: string;
  readonly octets: number;
}

/** Octets by link, workload and peer; peers beyond the biggest are one, named `others`. */
export async function readSankey(
  evidence: Evidence,
  gateway: string,
  filter: FlowFilter,
  peers: number,
): Promise<SankeyRow[]> {
  const axis: FlowAxis = {
    table: 'flows',
    fromS: Math.floor(filter.fromMs / 1000),
    untilS: Math.max(Math.floor(filter.fromMs / 1000) + 1, Math.ceil(filter.untilMs / 1000)),
    stepS: 1,
    steps: 1,
  };
  const [where, parameters] = conditionsOf(gateway, filter, axis);
  const sum = `sum((${OCTETS[filter.direction]}) * samplingPacketInterval)`;
  return evidence.query<SankeyRow>(
    `SELECT linkId AS link, toString(workloadId) AS workload,
       if(${DIMENSIONS.peer} IN (SELECT ${DIMENSIONS.peer} AS p FROM flows WHERE ${where} GROUP BY p ORDER BY ${sum} DESC, p LIMIT {peers:UInt32}),
         ${DIMENSIONS.peer}, 'others') AS peer,
       toFloat64(${sum}) AS octets
     FROM flows WHERE ${where} GROUP BY link, workload, peer HAVING octets > 0 ORDER BY octets DESC, link, workload, peer`,
    { ...parameters, peers },
  );
}
