import { FLOW_COLUMNS } from '../../flow/columns.js';
import { columnType } from '../native-block.js';
import type { RollupStatement, SchemaStatement, TableStatement } from './statement.js';

/**
 * Records are written once and mostly never read: the table's default, LZ4, compresses them for half the CPU time of ZSTD
 * (docs/scale.md). Times differ little from row to row; compressed vectors are slower to search and hardly smaller.
 */
const CODECS: Readonly<Record<string, string>> = {
  flowStartNanoseconds: ' CODEC(Delta, LZ4)',
  flowEndNanoseconds: ' CODEC(Delta, LZ4)',
  fingerprint: ' CODEC(NONE)',
};

const codecOf = (name: string): string => CODECS[name] ?? '';

const flowColumns = FLOW_COLUMNS.map(({ name, type, width, description }) => {
  const clickhouse = columnType(name, type, width);
  return `  ${name} ${clickhouse} COMMENT '${description.replaceAll("'", "''")}'${codecOf(name)}`;
}).join(',\n');

const flows: TableStatement = {
  kind: 'table',
  name: 'flows',
  columns: `  gateway LowCardinality(String) COMMENT 'the gateway that measured it',
  linkId LowCardinality(String) COMMENT 'the way out that the flow used',
  outbound UInt8 COMMENT '1 = the initiator is on the private side',
  clockCorrectionNanoseconds Int64 COMMENT 'stored end minus measured end; not 0 when the clock could not be right',
  octetsOut UInt64 COMMENT 'octets from the private side',
  octetsIn UInt64 COMMENT 'octets towards the private side',
  packetsOut UInt64 COMMENT 'packets from the private side',
  packetsIn UInt64 COMMENT 'packets towards the private side',
${flowColumns},
  INDEX sourceIndex sourceIPv6Address TYPE bloom_filter(0.001) GRANULARITY 4,
  INDEX destinationIndex destinationIPv6Address TYPE bloom_filter(0.001) GRANULARITY 4`,
  engine: 'MergeTree',
  layout: `PARTITION BY toDate(flowEndNanoseconds, 'UTC')
ORDER BY (gateway, toStartOfFiveMinutes(toDateTime(flowEndNanoseconds, 'UTC')), workloadId, sourceIPv6Address, destinationIPv6Address)
TTL toDateTime(flowEndNanoseconds, 'UTC') + INTERVAL 15 DAY`,
  // A part of an INSERT is one file, not two for each of its columns; the merged ones are wide.
  settings: ['ttl_only_drop_parts = 1', `min_bytes_for_wide_part = ${256 << 20}`],
  deduplicated: true,
};

const SUMS = ['octetsOut', 'octetsIn', 'packetsOut', 'packetsIn', 'flows'] as const;
const MEANING: Readonly<Record<(typeof SUMS)[number], string>> = {
  octetsOut: 'octets from the private side',
  octetsIn: 'octets towards the private side',
  packetsOut: 'packets from the private side',
  packetsIn: 'packets towards the private side',
  flows: 'flow records that ended in the step',
};

const usageTable = (
  name: string,
  retention: string,
  partition: 'toYYYYMMDD' | 'toYYYYMM',
): TableStatement => ({
  kind: 'table',
  name,
  columns: `  time DateTime('UTC') COMMENT 'begin of the step' CODEC(DoubleDelta, ZSTD(1)),
  gateway LowCardinality(String) COMMENT 'the gateway that measured it',
  workloadId UInt32 COMMENT 'workload of the service endpoint, 0 unclassified',
  linkId LowCardinality(String) COMMENT 'the way out that was used',
${SUMS.map((sum) => `  ${sum} SimpleAggregateFunction(sum, UInt64) COMMENT '${MEANING[sum]}'`).join(',\n')}`,
  engine: 'AggregatingMergeTree',
  layout: `PARTITION BY ${partition}(time) ORDER BY (gateway, workloadId, linkId, time)
TTL time + INTERVAL ${retention}`,
  settings: ['ttl_only_drop_parts = 1'],
  deduplicated: true,
});

const usageRollup = (to: string, from: string, seconds: number): RollupStatement => ({
  kind: 'rollup',
  to,
  from,
  // Qualified by t, because an alias that is also a column would make an aggregate of an aggregate.
  select: `SELECT toStartOfInterval(t.time, INTERVAL ${seconds} SECOND, 'UTC') AS time, t.gateway AS gateway, t.workloadId AS workloadId, t.linkId AS linkId,
  ${SUMS.map((sum) => `sum(t.${sum}) AS ${sum}`).join(', ')}
FROM {from} AS t GROUP BY time, gateway, workloadId, linkId`,
});

/** Flow records and the rollups that every block of them also goes to, each from the one before. */
export const flowsAndUsage: readonly SchemaStatement[] = [
  flows,
  usageTable('usage_1s', '6 HOUR', 'toYYYYMMDD'),
  {
    kind: 'rollup',
    to: 'usage_1s',
    from: 'flows',
    select: `SELECT toDateTime(t.flowEndNanoseconds, 'UTC') AS time, t.gateway AS gateway, t.workloadId AS workloadId, t.linkId AS linkId,
  ${SUMS.map((sum) => (sum === 'flows' ? 'count() AS flows' : `sum(t.${sum} * t.samplingPacketInterval) AS ${sum}`)).join(', ')}
FROM {from} AS t GROUP BY time, gateway, workloadId, linkId`,
  },
  usageTable('usage_1m', '90 DAY', 'toYYYYMM'),
  usageRollup('usage_1m', 'usage_1s', 60),
  usageTable('usage_5m', '400 DAY', 'toYYYYMM'),
  usageRollup('usage_5m', 'usage_1m', 300),
  usageTable('usage_1h', '1100 DAY', 'toYYYYMM'),
  usageRollup('usage_1h', 'usage_5m', 3600),
];

/**
 * Large INSERTs make wide parts: those are merged a column at a time, which takes less CPU time than row by row, and with
 * small buffers, of which each column has its own, cost no more to write. Small ones stay one file.
 */
export const widerFlows: readonly SchemaStatement[] = [
  {
    kind: 'settings',
    table: 'flows',
    settings: [`min_bytes_for_wide_part = ${32 << 20}`, `max_compress_block_size = ${128 << 10}`],
  },
];
