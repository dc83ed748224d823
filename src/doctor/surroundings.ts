import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { messageOf, TidegateError } from '../base/errors.js';
import { formatBytes } from '../base/units.js';
import { loadBpfAddon } from '../capture/bpf.js';
import { listDaemons, runDirectory } from '../config/runtime-file.js';
import type { GatewayConfig } from '../config/schema.js';
import { FingerprintEncoder } from '../fingerprint/index.js';
import { PriceBook } from '../pricing/index.js';
import { DirectoryLock } from '../store/directory-lock.js';
import { StoreClient } from '../store/index.js';
import { blocker, type Check, info, ok, unknown, warning } from './finding.js';
import { outputOf } from './try.js';

const remedyOf = (error: unknown, otherwise: string): string =>
  error instanceof TidegateError ? error.hint : otherwise;

/** The directory itself, or the nearest one above it that exists. */
function existing(directory: string): string {
  return existsSync(directory) ? directory : existing(dirname(directory));
}

/** The outermost directory that would have to be made; nothing where all are there. */
function firstMissing(directory: string): string | undefined {
  if (existsSync(directory)) return undefined;
  return firstMissing(dirname(directory)) ?? directory;
}

/** tmpfs and ramfs of linux/magic.h. */
const MEMORY_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]);

const disk = (config: GatewayConfig) => async () => {
  const { store, dataDirectory } = config;
  const at = existing(dataDirectory);
  const stats = statfsSync(at);
  const free = stats.bavail * stats.bsize;
  const budgets = store.url === undefined ? Object.values(store.retention) : [];
  const history = budgets.reduce((sum, bytes) => sum + bytes, 0);
  const wanted = history + store.spoolLimit;
  if (MEMORY_FILE_SYSTEMS.has(stats.type))
    return [warning(`${at} is in memory: history ends with the host`, 'set dataDirectory to a disk')];
  const words = `${formatBytes(free)} free at ${at}, up to ${formatBytes(wanted)} wanted (store.retention and store.spoolLimit)`;
  return free >= wanted
    ? [ok(words)]
    : [
        warning(
          words,
          `make room, or lower store.retention and store.spoolLimit to ${formatBytes(Math.floor(free * 0.8))} together`,
        ),
      ];
};

const lock = (config: GatewayConfig) => async () => {
  const directory = new DirectoryLock(join(config.dataDirectory, 'gateway.lock'));
  const first = firstMissing(config.dataDirectory);
  try {
    directory.acquire();
    directory.release();
    if (first !== undefined) rmSync(first, { recursive: true });
    return [ok(`${config.dataDirectory} is free`)];
  } catch (error) {
    const running = listDaemons().find((daemon) => daemon.dataDirectory === config.dataDirectory);
    return running === undefined
      ? [blocker(messageOf(error), remedyOf(error, 'check the permissions of the directory'))]
      : [info(`the gateway ${running.gateway} (process ${running.pid}) runs there`)];
  }
};

const run = async () => {
  const directory = runDirectory();
  try {
    mkdirSync(directory, { recursive: true });
    const probe = join(directory, `.doctor-${process.pid}`);
    writeFileSync(probe, '');
    rmSync(probe);
    return [ok(`${directory} is writable`)];
  } catch (error) {
    return [blocker(messageOf(error), 'run as root, or set TIDEGATE_RUN_DIRECTORY')];
  }
};

const engine = (config: GatewayConfig) => async () => {
  const { url, replicas, user, password } = config.store;
  if (url === undefined) {
    try {
      // Looked up, not loaded: a process that has loaded the engine cannot get rid of it.
      createRequire(import.meta.url).resolve('chdb');
      return [ok('the embedded ClickHouse engine is installed')];
    } catch {
      return [blocker('the embedded ClickHouse engine is not installed', 'run `npm ci`, or set store.url')];
    }
  }
  const client = new StoreClient({ url, replicas, user, password, database: 'default' });
  try {
    const [row] = await client.query<{ version: string }>('SELECT version() AS version', { timeoutMs: 5000 });
    return [ok(`ClickHouse ${row?.version ?? ''} answers at ${url}`)];
  } catch (error) {
    return [
      warning(`${messageOf(error)}; records would wait in the spool`, remedyOf(error, 'check store.url')),
    ];
  } finally {
    await client.close();
  }
};

const model = (config: GatewayConfig) => async () => {
  try {
    const encoder = await FingerprintEncoder.load(config.fingerprint.model);
    const { id } = encoder.info;
    await encoder.release();
    return [ok(`the fingerprint model ${id} loads, its checksum is right`)];
  } catch (error) {
    return [blocker(messageOf(error), remedyOf(error, 'leave fingerprint.model out'))];
  }
};

const prices = (config: GatewayConfig) => async () => {
  try {
    const book = PriceBook.load(config.plan.priceBook);
    for (const link of config.links) book.tariff(link.tariff);
    book.instance(config.plan.instance);
    return [ok('the price book has every tariff and instance that is named')];
  } catch (error) {
    return [blocker(messageOf(error), remedyOf(error, 'check plan.priceBook'))];
  }
};

/** What the kernel knows; a hardened unit (ProtectClock) may not ask. */
function kernelClock(): ReturnType<ReturnType<typeof loadBpfAddon>['clockState']> | undefined {
  try {
    return loadBpfAddon().clockState();
  } catch {
    return undefined;
  }
}

const clock = async () => {
  const kernel = kernelClock();
  if (kernel?.synchronised)
    return [ok(`the clock is kept, at most ${kernel.maximumErrorSeconds.toPrecision(2)} s off`)];
  // In a virtual machine the host may keep it without telling the kernel.
  if ((await outputOf('chronyc', '-c', 'tracking')) !== undefined) return [ok('chrony keeps the clock')];
  if (kernel !== undefined)
    return [
      warning(
        'nobody tells the kernel that the clock is synchronised: samples at the edges of a billing month may be wrong',
        'run chrony, systemd-timesyncd or phc2sys',
      ),
    ];
  const said = await outputOf('timedatectl', 'show', '--property=NTPSynchronized', '--value');
  return said?.trim() === 'yes'
    ? [ok('the clock is synchronised')]
    : [
        unknown(
          'nothing here says whether the clock is synchronised',
          'see `timedatectl`, outside of the service',
        ),
      ];
};

/** What else a gateway needs: room, its directories, engine, model, prices, time. */
export const surroundingChecks = (config: GatewayConfig): Check[] => [
  { id: 'S-DISK', words: 'disk space against retention', run: disk(config) },
  { id: 'S-LOCK', words: 'data directory', run: lock(config) },
  { id: 'S-RUN', words: 'run directory', run },
  { id: 'S-STORE', words: 'ClickHouse', run: engine(config) },
  { id: 'M-ONNX', words: 'fingerprint model', run: model(config) },
  { id: 'P-BOOK', words: 'price book', run: prices(config) },
  { id: 'T-CLK', words: 'clock', run: clock },
];
