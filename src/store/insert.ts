import { createReadStream } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Readable } from 'node:stream';
import type { ClickHouseClient } from '@clickhouse/client';
import type { BlockFiles, InsertOptions } from './client.js';

/**
 * Settings of every INSERT of flow records. One block, one part, one token: no threads that would divide it. Bloom
 * filters are made when parts are merged, not here, where they would cost a third of the INSERT; a part that has none yet
 * is small, and is read without.
 */
const SETTINGS =
  'async_insert = 0, deduplicate_blocks_in_dependent_materialized_views = 1, max_insert_threads = 1, materialize_skip_indexes_on_insert = 0';

/** Characters that ClickHouse would take for a pattern in the name of a file. */
const PATTERN = /[{}*?,'\\]/;

/** The INSERT up to its data; `infile` is what {@link infileOf} gave. */
export const insertHead = (table: string, columns: readonly string[], token: string, infile = ''): string =>
  `INSERT INTO ${table} (${columns.join(', ')})${infile} SETTINGS insert_deduplication_token = '${token}', ${SETTINGS} FORMAT Native`;

/** The clause that lets an engine read files of one directory; `undefined` where their path cannot be written as such. */
export function infileOf({ paths }: BlockFiles): string | undefined {
  const directory = dirname(paths[0] ?? '');
  const names = paths.map((path) => basename(path));
  if (PATTERN.test(directory) || names.some((name) => PATTERN.test(name))) return undefined;
  const pattern = names.length === 1 ? names[0] : `{${names.join(',')}}`;
  return ` FROM INFILE '${directory}/${pattern}'`;
}

/** Files one after the other: blocks of the Native format, and frames of zstd, may be written behind one another. */
export function streamOf(paths: readonly string[]): Readable {
  async function* all(): AsyncGenerator<Uint8Array> {
    for (const path of paths) yield* createReadStream(path, { highWaterMark: 1 << 20 });
  }
  return Readable.from(all(), { objectMode: false });
}

/** Sends an INSERT's data, and resolves when ClickHouse has it. */
export async function insertStream(
  client: ClickHouseClient,
  query: string,
  values: Readable,
  { signal }: InsertOptions,
  headers?: Record<string, string>,
): Promise<void> {
  const { stream } = await client.exec({
    ...(signal ? { abort_signal: signal } : {}),
    ...(headers ? { http_headers: headers } : {}),
    query,
    values,
  });
  stream.resume();
  await new Promise<void>((resolve, reject) => {
    stream.once('end', resolve);
    stream.once('error', reject);
  });
}
