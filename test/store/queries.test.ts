import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { benchNearest, benchQueries, fillFlows, fillVectors, settle } from '../../src/store/bench/queries.js';
import { Store, storeConfig } from '../../src/store/index.js';
import { logger } from './support.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-queries-'));
const store = new Store({ config: storeConfig.parse({}), dataDirectory: directory, gateway: 'g', logger });
beforeAll(() => store.start());
afterAll(async () => {
  await store.stop();
  rmSync(directory, { recursive: true, force: true });
});

test('top_talkers finds by numbers what adding up every pair by its addresses gives', async () => {
  // Some 40000 pairs with a few records each at three gateways, samples among them; half of the records are older.
  await store.client.command(
    `INSERT INTO flows (gateway, octetsOut, octetsIn, packetsOut, packetsIn, sourceIPv6Address, destinationIPv6Address,
       destinationTransportPort, protocolIdentifier, samplingPacketInterval, flowEndNanoseconds)
     SELECT concat('g', toString(sipHash64(number, 1) % 3)), sipHash64(number, 2) % 100000, sipHash64(number, 3) % 100000, number % 50, number % 60,
       if(number % 2 = 0, toIPv6(concat('10.0.0.', toString(sipHash64(number, 4) % 200))), toIPv6(concat('2001:db8::', hex(sipHash64(number, 4) % 200)))),
       toIPv6(concat('192.0.2.', toString(sipHash64(number, 5) % 200))), if(number % 3 = 0, 443, 53), if(number % 3 = 0, 6, 17),
       if(number % 7 = 0, 16, 1), fromUnixTimestamp64Nano(toInt64(now()) * 1000000000 - toInt64(sipHash64(number, 6) % 7200) * 1000000000)
     FROM numbers(100000)`,
  );
  const found = await store.reader.query<{ octets: string }>('SELECT * FROM top_talkers');
  expect(found).toHaveLength(1000);
  const wanted = await store.reader.query<{ octets: string }>(
    `SELECT gateway, replaceOne(toString(sourceIPv6Address), '::ffff:', '') AS source, replaceOne(toString(destinationIPv6Address), '::ffff:', '') AS destination,
       destinationTransportPort AS port, protocolIdentifier AS protocol, any(workloadId) AS workloadId,
       sum((octetsOut + octetsIn) * samplingPacketInterval) AS octets, sum((packetsOut + packetsIn) * samplingPacketInterval) AS packets, count() AS records
     FROM flows WHERE flowEndNanoseconds >= now64(9) - INTERVAL 1 HOUR
     GROUP BY gateway, sourceIPv6Address, destinationIPv6Address, port, protocol ORDER BY octets DESC LIMIT 1100`,
  );
  // A record that left the hour between both queries can change a pair or two.
  const all = new Set(wanted.map((row) => JSON.stringify(row)));
  expect(found.filter((row) => !all.has(JSON.stringify(row))).length).toBeLessThanOrEqual(5);
  const sorted = found.map(({ octets }) => Number(octets));
  expect(sorted).toEqual([...sorted].sort((a, b) => b - a));
});

test('the bench asks of different vectors with an index, and of as many records as it says', async () => {
  await store.client.command('TRUNCATE TABLE flows');
  await fillFlows(store, 20_000);
  expect(await fillVectors(store, 5_000)).toBeGreaterThan(0);
  const [row] = await store.reader.query<Record<string, string>>(
    `SELECT (SELECT count() FROM flows) AS rows, count() AS vectors, uniqExact(fingerprint) AS distinct,
       (SELECT sum(secondary_indices_uncompressed_bytes) > 0 FROM system.parts WHERE active AND table = 'reference_fingerprints') AS indexed
     FROM reference_fingerprints`,
  );
  expect(row).toMatchObject({ rows: '20000', vectors: '5000', distinct: '5000', indexed: 1 });
  await settle(store);
  const { recallAt10 } = await benchNearest(store);
  expect(recallAt10).toBeGreaterThan(0.9);
  const figures = await benchQueries(store);
  for (const [name, ms] of Object.entries(figures)) expect(ms, name).toBeGreaterThan(0);
});
