import type { SchemaStatement } from './statement.js';

/** IPv4 addresses without their mapping prefix. */
const address = (column: string): string => `replaceOne(toString(${column}), '::ffff:', '')`;

const PAIR =
  'cityHash64(gateway, sourceIPv6Address, destinationIPv6Address, destinationTransportPort, protocolIdentifier)';

/** Records of a sample stand for all that it was drawn from. */
const ALL_OCTETS = 'sum((octetsOut + octetsIn) * samplingPacketInterval)';

/**
 * An hour has nearly as many pairs of hosts as records. So all of them are only added up under one number each, which
 * takes a third of the time that their addresses do; those of the 1000 largest numbers are read again and added up by
 * their addresses. The sums are exact; a pair could only be missed if another one of the hour had its 64-bit number.
 * Addresses become words last. GLOBAL, so that a cluster finds the numbers once, for all shards.
 */
const topTalkers = `WITH (SELECT now64(9) - INTERVAL 1 HOUR) AS since
SELECT gateway, ${address('sourceIPv6Address')} AS source, ${address('destinationIPv6Address')} AS destination,
  port, protocol, workloadId, octets, packets, records
FROM (
  SELECT gateway, sourceIPv6Address, destinationIPv6Address, destinationTransportPort AS port, protocolIdentifier AS protocol,
    any(workloadId) AS workloadId, ${ALL_OCTETS} AS octets,
    sum((packetsOut + packetsIn) * samplingPacketInterval) AS packets, count() AS records
  FROM flows WHERE flowEndNanoseconds >= since AND ${PAIR} GLOBAL IN (
    SELECT pair FROM (
      SELECT ${PAIR} AS pair, ${ALL_OCTETS} AS octets FROM flows WHERE flowEndNanoseconds >= since
      GROUP BY pair ORDER BY octets DESC LIMIT 1000
    )
  )
  GROUP BY gateway, sourceIPv6Address, destinationIPv6Address, port, protocol ORDER BY octets DESC LIMIT 1000
) ORDER BY octets DESC`;

/**
 * The measured rate of burstable billing as carriers compute it: for each link, month and direction, the traffic of all
 * workloads is added up in 5-minute samples, a sample without traffic is 0, the top 5 % of the month's samples are
 * free, and the highest one left is measured. The current month counts the samples so far.
 *
 * @param timeZone SQL for the time zone whose months are meant
 */
const burstable = (timeZone: string): string => `SELECT gateway, linkId, month, samples, freeSamples,
  arrayReverseSort(out)[freeSamples + 1] AS outP95Bps, arrayReverseSort(\`in\`)[freeSamples + 1] AS inP95Bps,
  greatest(outP95Bps, inP95Bps) AS p95Bps
FROM (
  SELECT gateway, linkId, month, groupArray(outBps) AS out, groupArray(inBps) AS \`in\`,
    toUInt32(intDiv(dateDiff('second', toDateTime(month, ${timeZone}), least(toDateTime(addMonths(month, 1), ${timeZone}), now(${timeZone}))), 300)) AS samples,
    intDiv(samples, 20) AS freeSamples
  FROM (
    SELECT gateway, linkId, toStartOfMonth(time, ${timeZone}) AS month, time,
      sum(octetsOut) * 8 / 300 AS outBps, sum(octetsIn) * 8 / 300 AS inBps
    FROM usage_5m WHERE linkId != '' GROUP BY gateway, linkId, month, time
  ) GROUP BY gateway, linkId, month
)`;

/** What an analyst would look for. */
export const views: readonly SchemaStatement[] = [
  { kind: 'view', name: 'top_talkers', select: topTalkers },
  {
    kind: 'view',
    name: 'workload_hourly',
    select: `SELECT u.time AS time, u.gateway AS gateway, u.workloadId AS workloadId, any(w.name) AS workload, u.linkId AS linkId,
  sum(u.octetsOut) AS octetsOut, sum(u.octetsIn) AS octetsIn, sum(u.octetsOut) * 8 / 3600 AS outBps, sum(u.octetsIn) * 8 / 3600 AS inBps,
  sum(u.packetsOut + u.packetsIn) AS packets, sum(u.flows) AS flows
FROM usage_1h AS u LEFT JOIN (SELECT gateway, workloadId, name FROM workloads FINAL) AS w ON w.gateway = u.gateway AND w.workloadId = u.workloadId
GROUP BY time, gateway, workloadId, linkId`,
  },
  { kind: 'view', name: 'burstable_p95', select: burstable("'UTC'") },
  { kind: 'view', name: 'burstable_p95_in', select: burstable('{timeZone:String}') },
  {
    kind: 'view',
    name: 'forecast_accuracy',
    select: `SELECT toDate(realised, 'UTC') AS day, gateway, toUInt32OrZero(splitByChar('/', seriesId)[2]) AS workloadId, splitByChar('/', seriesId)[3] AS signal,
  model, bucket, count() AS forecasts, avg(e.meanAbsoluteError) AS meanAbsoluteError, avg(e.scale) AS meanActual,
  if(sum(e.scale) > 0, sum(e.meanAbsoluteError) / sum(e.scale), NULL) AS relativeError, avgIf(arrayAvg(e.errors), notEmpty(e.errors)) AS bias
FROM forecast_errors AS e GROUP BY day, gateway, workloadId, signal, model, bucket`,
  },
  {
    kind: 'view',
    name: 'cost_daily',
    select: `SELECT day, gateway, linkId, sum(h.gigabytesOut) AS gigabytesOut, sum(h.gigabytesOut * h.usdPerGb) AS trafficUsd, sum(h.portHourUsd) AS portUsd,
  trafficUsd + portUsd AS costUsd, countIf(h.usdPerGb IS NULL) AS hoursWithoutPrice
FROM (
  SELECT toDate(u.time, 'UTC') AS day, u.gateway AS gateway, u.linkId AS linkId, u.octets / 1e9 AS gigabytesOut,
    if(p.tariffId = '', NULL, p.usdPerGb) AS usdPerGb, if(p.tariffId = '', NULL, p.portHourUsd) AS portHourUsd
  FROM (
    SELECT gateway, linkId, time, sum(octetsOut) AS octets, toDateTime64(time, 3, 'UTC') + INTERVAL 1 HOUR AS until
    FROM usage_1h WHERE linkId != '' GROUP BY gateway, linkId, time
  ) AS u
  ASOF LEFT JOIN (SELECT gateway, linkId, validFrom, tariffId, usdPerGb, portHourUsd FROM link_prices FINAL) AS p
  ON p.gateway = u.gateway AND p.linkId = u.linkId AND p.validFrom <= u.until
) AS h GROUP BY day, gateway, linkId`,
  },
];
