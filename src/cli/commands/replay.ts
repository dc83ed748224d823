import { once } from 'node:events';
import { statSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { formatCount, parseDurationMs } from '../../base/units.js';
import { looksForNames } from '../../capture/applications.js';
import { ReplaySource } from '../../capture/replay.js';
import { RECORD_NAMES, RecordReader } from '../../flow/record.js';
import { ipfixConfig } from '../../ipfix/index.js';
import { createLogger } from '../../telemetry/log.js';
import type { CliContext, OutputFormat } from '../context.js';
import { readHeaderRules } from '../header-rules.js';
import { ipfixOutput } from '../ipfix-output.js';
import { outputOption } from '../options.js';
import { csvLine, toJson } from '../output.js';
import { progressOn } from '../progress.js';

const PROGRESS_MS = 200;
/** Octets of pcap's header of a packet. */
const PACKET_HEADER = 16;

interface ReplayFlags {
  readonly output: OutputFormat;
  readonly idleTimeout: string;
  readonly activeTimeout: string;
  readonly decode: 'any' | 'known' | 'off';
  readonly headerRules?: string;
  readonly to?: string;
  readonly transport?: 'udp' | 'tcp';
  readonly standardOnly?: boolean;
}

/** `tidegate replay FILE…`: flow records of capture files, through the same meter as the kernel's. */
export function register(program: Command, context: CliContext): void {
  program
    .command('replay')
    .description('meter pcap and pcapng files: one flow record a line, a summary on stderr; no privileges')
    .argument('<files...>', 'capture files')
    .option('--idle-timeout <duration>', 'a flow ends after this much silence', '15s')
    .option('--active-timeout <duration>', 'a long flow is reported this often', '60s')
    .addOption(
      new Option(
        '--decode <ports>',
        'read TLS, HTTP, DNS and QUIC for names: on any port, on known ones, or not',
      )
        .choices(['any', 'known', 'off'])
        .default('any'),
    )
    .option('--header-rules <file>', 'JSON list of header fields to carry, as in capture.headerRules')
    .addOption(outputOption(['json', 'csv', 'ipfix', 'none']))
    .option('--to <host:port>', 'with --output ipfix: a collector; absent = an IPFIX file on stdout')
    .addOption(new Option('--transport <transport>', 'how to reach the collector').choices(['udp', 'tcp']))
    .option('--standard-only', 'with --output ipfix: leave out histograms, workloads and fingerprints')
    .action(async (files: string[], flags: ReplayFlags) => {
      process.exitCode = await replay(context, files, flags);
    });
}

async function replay(context: CliContext, files: readonly string[], flags: ReplayFlags): Promise<number> {
  const applications = {
    decoders: { tls: flags.decode, http: flags.decode, dns: flags.decode, quic: flags.decode },
    headerRules: await readHeaderRules(flags.headerRules),
  };
  const source = new ReplaySource({
    files,
    idleTimeoutMs: parseDurationMs(flags.idleTimeout),
    activeTimeoutMs: parseDurationMs(flags.activeTimeout),
    applications,
  });
  const ipfix =
    flags.output === 'ipfix'
      ? ipfixOutput(
          context,
          ipfixConfig.parse({
            collector: flags.to,
            transport: flags.transport,
            standardOnly: flags.standardOnly,
          }),
          createLogger({ level: 'warn', pretty: process.stderr.isTTY === true }),
          looksForNames(applications),
        )
      : undefined;
  await ipfix?.start();
  let writing = Promise.resolve();
  if (flags.output === 'csv') context.stdout.write(csvLine(RECORD_NAMES));
  source.onBatch = (batch) => {
    if (flags.output === 'none') {
      batch.release();
      return;
    }
    if (ipfix !== undefined) {
      writing = writing.then(() => ipfix.write(batch)).finally(() => batch.release());
      return;
    }
    // A slow reader of stdout holds the batch, and with it the reading of the file.
    writing = writing.then(async () => {
      const records = new RecordReader(batch);
      let text = '';
      for (let row = 0; row < records.rows; row += 1) {
        const record = records.record(row);
        text +=
          flags.output === 'csv' ? csvLine(RECORD_NAMES.map((name) => record[name])) : `${toJson(record)}\n`;
      }
      batch.release();
      if (!context.stdout.write(text)) await once(context.stdout, 'drain');
    });
  };
  context.signal.addEventListener('abort', () => void source.stop(), { once: true });
  const progress = progressOn(context);
  const octets = files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
  const watching = setInterval(() => {
    const { seenPackets, seenOctets } = source.counters();
    // Beside its octets, a packet has a header of its own in the file. A compressed file is through before it seems.
    const read = seenOctets + PACKET_HEADER * seenPackets;
    progress.show('replay', Math.min(read, octets), octets, `${formatCount(seenPackets)} packets`);
  }, PROGRESS_MS);
  try {
    await source.start();
    await source.done;
  } finally {
    clearInterval(watching);
    progress.end();
  }
  await writing;
  await ipfix?.stop();

  const counters = source.counters();
  const damage = source
    .files()
    .filter((file) => file.damage !== '')
    .map(({ path, damage: reason, damageOffset }) => ({ path, reason, offset: damageOffset }));
  const { cpuSeconds } = source;
  await source.stop();
  for (const { path, reason, offset } of damage) {
    context.stderr.write(
      `TG_CAPTURE_DAMAGED: ${path}: ${reason} at octet ${offset}; everything before it was used\n`,
    );
  }
  const packetsParsed = counters.seenPackets - (counters.kinds.unparsed ?? 0);
  const summary = {
    packetsRead: counters.seenPackets,
    packetsParsed,
    notParsed: counters.unparsed,
    octets: counters.seenOctets,
    kinds: counters.kinds,
    flowRecords: counters.flowRecords,
    packetsInRecords: counters.deliveredPackets,
    damage,
    cpuSeconds,
    packetsPerCpuSecond: cpuSeconds > 0 ? Math.round(counters.seenPackets / cpuSeconds) : null,
  };
  context.stderr.write(`${toJson(summary)}\n`);
  return damage.length > 0 ? 1 : 0;
}
