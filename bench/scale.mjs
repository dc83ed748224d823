// What a network of gateways takes, computed from measured figures: docs/scale.md.
import { number, table } from './markdown.mjs';

/** Octets of traffic that make one flow record: the one assumption. */
const OCTETS_A_RECORD = 60_000;
/** A short flow stays in the table for so long after its last packet (`capture.idleTimeout`). */
const IDLE_SECONDS = 15;
const SERVER_CORES = 8;
const SERVER_TB = 40;
const REPLICAS = 2;
const RETENTION_DAYS = 15;

/** @param store result of `tidegate bench store` @param ring result of `tidegate bench ring` */
export function scaleTables(store, ring) {
  const { insert } = store;
  const rateOf = (gbps) => (gbps * 1e9) / 8 / OCTETS_A_RECORD;
  const coresFor = (rate) => (rate * insert.engineCpuMicrosPerRow) / 1e6;
  const terabytesFor = (rate) => (rate * 86_400 * RETENTION_DAYS * store.diskBytesPerRow) / 1e12;
  const measured = table(
    ['figure', 'measured', 'by'],
    [
      [
        'CPU time of ClickHouse for a full flow record, with all rollups and merges',
        `${number(insert.engineCpuMicrosPerRow, 1)} µs`,
        '`bench store`: `insert.engineCpuMicrosPerRow`',
      ],
      [
        'CPU time to encode, spool and send it',
        `${number(insert.writerCpuMicrosPerRow, 1)} µs`,
        '`insert.writerCpuMicrosPerRow`',
      ],
      [
        'octets of a record in the spool, as it is written',
        number(insert.bytesPerRow),
        '`insert.bytesPerRow`',
      ],
      [
        'the same when it has waited and is compressed',
        number(store.outage.backlogBytesPerRow),
        '`outage.backlogBytesPerRow`',
      ],
      ['octets of a record on disk', number(store.diskBytesPerRow), '`diskBytesPerRow`'],
      [
        `most memory of the engine while it took ${number(insert.rowsPerSecond)} records a second`,
        `${number(store.engineMemoryBytes / 2 ** 30, 2)} GiB`,
        '`engineMemoryBytes`',
      ],
      [
        'memory of a flow in the flow table',
        `${number(ring.bytesPerFlow.process)} octets`,
        '`bench ring`: `bytesPerFlow.process`',
      ],
    ],
  );
  const flowTable = (rate) => rate * IDLE_SECONDS * ring.bytesPerFlow.process;
  const gateway = (gbps) => {
    const rate = rateOf(gbps);
    return [
      `${gbps} Gbit/s`,
      number(rate),
      number((rate * insert.writerCpuMicrosPerRow) / 1e6, 2),
      number(flowTable(rate) / 2 ** 30, 2),
      number((flowTable(rate) + store.engineMemoryBytes) / 2 ** 30, 2),
      number((rate * 3600 * store.outage.backlogBytesPerRow) / 1e9),
      number(coresFor(rate), 2),
      number(terabytesFor(rate), 1),
    ];
  };
  const network = (gateways, gbps) => {
    const rate = gateways * rateOf(gbps);
    const cores = coresFor(rate);
    const disk = terabytesFor(rate);
    // A gateway writes into one shard, so there are never more of these.
    const shards = Math.min(gateways, Math.ceil(Math.max(cores / SERVER_CORES, disk / SERVER_TB)));
    return [
      `${gateways} × ${gbps} Gbit/s`,
      number(rate),
      number(cores, 1),
      number(shards),
      number(shards * REPLICAS),
      number(disk / shards, 1),
      number(disk * REPLICAS, 1),
    ];
  };
  const sizes = [1, 10, 100].flatMap((gateways) => [10, 100].map((gbps) => [gateways, gbps]));
  return [
    `Measured on ${store.machine.cpu}, ${store.machine.cpus} CPUs, Linux ${store.machine.kernel}:`,
    measured,
    'A gateway, **computed**:',
    table(
      [
        'traffic',
        'records/s',
        'cores to encode, spool and send',
        'GiB of flow table',
        'the same with the embedded engine',
        'GB of spool for an hour without ClickHouse',
        'cores of ClickHouse for its records',
        `TB of \`flows\` in ${RETENTION_DAYS} days`,
      ],
      [10, 100].map(gateway),
    ),
    `A cluster of servers with ${SERVER_CORES} cores and ${SERVER_TB} TB, every shard with ${REPLICAS} replicas, **computed**:`,
    table(
      [
        'gateways',
        'records/s',
        'cores for one copy',
        'shards',
        'servers',
        `TB of \`flows\` a server, ${RETENTION_DAYS} days`,
        'TB in all',
      ],
      sizes.map(([gateways, gbps]) => network(gateways, gbps)),
    ),
    `Assumptions: a flow record for every ${number(OCTETS_A_RECORD)} octets of traffic; a flow stays in the table for the ${IDLE_SECONDS} s of \`capture.idleTimeout\`.`,
  ].join('\n\n');
}
