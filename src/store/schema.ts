import { FLOW_COLUMNS } from '../flow/columns.js';
import { columnType } from './native-block.js';

/** One numbered change of the schema. Each statement is idempotent, so a migration that was cut off runs again. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
}

/** Re-sent blocks are recognised for this many inserts, in the base table and in every view's target. */
const DEDUPLICATION = 'non_replicated_deduplication_window = 100000';

const CODECS: Readonly<Record<string, string>> = {
  flowStartNanoseconds: ' CODEC(Delta, ZSTD(1))',
  flowEndNanoseconds: ' CODEC(Delta, ZSTD(1))',
  sourceIPv6Address: ' CODEC(ZSTD(1))',
  destinationIPv6Address: ' CODEC(ZSTD(1))',
  // Compressed vectors are slower to search and hardly smaller.
  fingerprint: ' CODEC(NONE)',
};

const codecOf = (name: string, type: string): string =>
  CODECS[name] ??
  (type === 'UInt64' ? ' CODEC(T64, ZSTD(1))' : type.startsWith('Array') ? ' CODEC(ZSTD(1))' : '');

const flowColumns = FLOW_COLUMNS.map(({ name, type, width, description }) => {
  const clickhouse = columnType(name, type, width);
  return `  ${name} ${clickhouse} COMMENT '${description.replaceAll("'", "''")}'${codecOf(name, clickhouse)}`;
}).join(',\n');

const SUMS = ['octetsOut', 'octetsIn', 'packetsOut', 'packetsIn', 'flows'] as const;

const usageTable = (name: string, retention: string): string => `CREATE TABLE IF NOT EXISTS ${name} (
  time DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)), gateway LowCardinality(String), workloadId UInt32, linkId LowCardinality(String),
  ${SUMS.map((sum) => `${sum} SimpleAggregateFunction(sum, UInt64)`).join(', ')}
) ENGINE = AggregatingMergeTree PARTITION BY toYYYYMMDD(time) ORDER BY (gateway, workloadId, linkId, time)
TTL time + INTERVAL ${retention} SETTINGS ttl_only_drop_parts = 1, ${DEDUPLICATION}`;

const usageView = (
  name: string,
  from: string,
  seconds: number,
): string => `CREATE MATERIALIZED VIEW IF NOT EXISTS ${name}_view TO ${name} AS
SELECT toStartOfInterval(t.time, INTERVAL ${seconds} SECOND, 'UTC') AS time, t.gateway AS gateway, t.workloadId AS workloadId, t.linkId AS linkId,
  ${SUMS.map((sum) => `sum(t.${sum}) AS ${sum}`).join(', ')}
FROM ${from} AS t GROUP BY time, gateway, workloadId, linkId`;

/** Every change so far, in order. A number is never reused, and a published migration is never edited. */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'flows and usage rollups',
    statements: [
      `CREATE TABLE IF NOT EXISTS flows (
  gateway LowCardinality(String), linkId LowCardinality(String) COMMENT 'the way out that the flow used',
  outbound UInt8 COMMENT '1 = the initiator is on the private side',
  clockCorrectionNanoseconds Int64 COMMENT 'stored end minus measured end; not 0 when the clock could not be right' CODEC(ZSTD(1)),
  octetsOut UInt64 COMMENT 'from the private side' CODEC(T64, ZSTD(1)), octetsIn UInt64 COMMENT 'towards the private side' CODEC(T64, ZSTD(1)),
  packetsOut UInt64 CODEC(T64, ZSTD(1)), packetsIn UInt64 CODEC(T64, ZSTD(1)),
${flowColumns},
  INDEX sourceIndex sourceIPv6Address TYPE bloom_filter(0.001) GRANULARITY 4,
  INDEX destinationIndex destinationIPv6Address TYPE bloom_filter(0.001) GRANULARITY 4
) ENGINE = MergeTree PARTITION BY toDate(flowEndNanoseconds, 'UTC')
ORDER BY (gateway, toStartOfFiveMinutes(toDateTime(flowEndNanoseconds, 'UTC')), workloadId, sourceIPv6Address, destinationIPv6Address)
TTL toDateTime(flowEndNanoseconds, 'UTC') + INTERVAL 15 DAY SETTINGS ttl_only_drop_parts = 1, ${DEDUPLICATION}`,
      usageTable('usage_1s', '6 HOUR'),
      `CREATE MATERIALIZED VIEW IF NOT EXISTS usage_1s_view TO usage_1s AS
SELECT toDateTime(f.flowEndNanoseconds, 'UTC') AS time, f.gateway AS gateway, f.workloadId AS workloadId, f.linkId AS linkId,
  ${SUMS.map((sum) => (sum === 'flows' ? 'count() AS flows' : `sum(f.${sum} * f.samplingPacketInterval) AS ${sum}`)).join(', ')}
FROM flows AS f GROUP BY time, gateway, workloadId, linkId`,
      usageTable('usage_1m', '90 DAY'),
      usageView('usage_1m', 'usage_1s', 60),
      usageTable('usage_5m', '400 DAY'),
      usageView('usage_5m', 'usage_1m', 300),
      usageTable('usage_1h', '1100 DAY'),
      usageView('usage_1h', 'usage_5m', 3600),
    ],
  },
  {
    version: 2,
    name: 'workloads, fingerprints, forecasts, plans, journal',
    statements: [
      `CREATE TABLE IF NOT EXISTS workloads (
  gateway LowCardinality(String), workloadId UInt32, name String, fingerprint Array(Float32) CODEC(NONE), modelId String,
  firstSeen DateTime64(3, 'UTC'), lastSeen DateTime64(3, 'UTC'), flows UInt64, details String CODEC(ZSTD(3)), updated DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(updated) ORDER BY (gateway, workloadId)`,
      `CREATE TABLE IF NOT EXISTS fingerprints (
  time DateTime64(9, 'UTC'), gateway LowCardinality(String), flowId UInt64, workloadId UInt32, fingerprint Array(Float32) CODEC(NONE)
) ENGINE = MergeTree PARTITION BY toDate(time, 'UTC') ORDER BY (gateway, time)
TTL toDateTime(time, 'UTC') + INTERVAL 7 DAY SETTINGS ttl_only_drop_parts = 1, ${DEDUPLICATION}`,
      `CREATE MATERIALIZED VIEW IF NOT EXISTS fingerprints_view TO fingerprints AS
SELECT flowEndNanoseconds AS time, gateway, flowId, workloadId, fingerprint FROM flows WHERE flowKind IN (4, 6) AND notEmpty(fingerprint)`,
      `CREATE TABLE IF NOT EXISTS resource_usage (
  time DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)), gateway LowCardinality(String), workloadId UInt32, cpuCores Float64, memoryBytes Float64, source LowCardinality(String)
) ENGINE = ReplacingMergeTree ORDER BY (gateway, workloadId, time) TTL time + INTERVAL 400 DAY SETTINGS ttl_only_drop_parts = 0`,
      `CREATE TABLE IF NOT EXISTS forecasts (
  created DateTime64(3, 'UTC'), gateway LowCardinality(String), seriesId String, workloadId UInt32, signal LowCardinality(String),
  start DateTime64(3, 'UTC'), stepMs UInt32, median Array(Float64) CODEC(ZSTD(1)), levels Array(Float64), quantiles Array(Array(Float64)) CODEC(ZSTD(1)),
  mix String CODEC(ZSTD(3)), members String CODEC(ZSTD(3)), historySteps UInt32, relativeToSeasonalNaive Nullable(Float64),
  coverageP90 Nullable(Float64), coverageP99 Nullable(Float64), status LowCardinality(String), refusal String
) ENGINE = MergeTree PARTITION BY toYYYYMM(created) ORDER BY (gateway, workloadId, signal, created) TTL toDateTime(created, 'UTC') + INTERVAL 90 DAY`,
      `CREATE TABLE IF NOT EXISTS forecast_errors (
  created DateTime64(3, 'UTC'), gateway LowCardinality(String), seriesId String, model LowCardinality(String), bucket LowCardinality(String),
  meanAbsoluteError Float64, scale Float64, errors Array(Float64) CODEC(ZSTD(1)), realised DateTime64(3, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(created) ORDER BY (gateway, seriesId, created) TTL toDateTime(created, 'UTC') + INTERVAL 400 DAY`,
      `CREATE TABLE IF NOT EXISTS plans (
  created DateTime64(3, 'UTC'), gateway LowCardinality(String), planId String, expires DateTime64(3, 'UTC'),
  costUsd Float64, doNothingUsd Float64, expectedViolationMinutes Float64, plan String CODEC(ZSTD(3))
) ENGINE = MergeTree ORDER BY (gateway, created)`,
      `CREATE TABLE IF NOT EXISTS actuations (
  time DateTime64(3, 'UTC'), gateway LowCardinality(String), planId String, actuator LowCardinality(String), stepId String,
  event LowCardinality(String), before String, after String, words String
) ENGINE = MergeTree ORDER BY (gateway, time)`,
      `CREATE TABLE IF NOT EXISTS prices (
  valid Date, tariffId LowCardinality(String), item LowCardinality(String), price Float64, currency LowCardinality(String), source String, updated DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(updated) ORDER BY (tariffId, item, valid)`,
      `CREATE TABLE IF NOT EXISTS events (
  time DateTime64(3, 'UTC'), gateway LowCardinality(String), kind LowCardinality(String), workloadId UInt32, words String, details String
) ENGINE = MergeTree ORDER BY (gateway, time) TTL toDateTime(time, 'UTC') + INTERVAL 400 DAY`,
    ],
  },
];
