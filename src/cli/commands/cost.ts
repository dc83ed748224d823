import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { defineErrors, messageOf } from '../../base/errors.js';
import { formatRate, parseDurationMs } from '../../base/units.js';
import { type LedgerDay, ledgerOf, type Plan } from '../../plan/index.js';
import {
  billingMonth,
  type InvoiceLine,
  importAwsPriceList,
  importCsv,
  invoiceOf,
  PriceBook,
  type Tariff,
} from '../../pricing/index.js';
import type { StoreClient } from '../../store/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';
import { withStore } from './query.js';

const fail = defineErrors({
  TG_CLI_COST_TARIFF: {
    message: 'no tariff is known for {links}',
    hint: 'name it with --tariff LINK=TARIFF; tariffs: {known}',
    exitCode: 2,
  },
  TG_CLI_COST_ASSIGNMENT: {
    message: '"{text}" does not assign a tariff',
    hint: 'write it like --tariff public-a=aws-internet-us',
    exitCode: 2,
  },
  TG_CLI_COST_FILE: { message: 'cannot read {file}: {reason}', hint: 'check the path', exitCode: 2 },
});

interface CostOptions {
  readonly gateway?: string;
  readonly tariff: readonly string[];
  readonly priceBook?: string;
  readonly output: OutputFormat;
}

interface KnownLink {
  readonly capacityBps: number;
  readonly tariffId: string | undefined;
}

const SAMPLE_MS = 300_000;
const usd = (amount: number, digits = 2): string => `$${amount.toFixed(digits)}`;

/** `--tariff public-a=transit`, as often as there are links. */
function assignments(texts: readonly string[]): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const [link, tariff] = text.split('=');
      if (!link || !tariff) throw fail('TG_CLI_COST_ASSIGNMENT', { text });
      return [link, tariff];
    }),
  );
}

/** The links as the newest plan knew them. */
async function knownLinks(client: StoreClient, gateway: string): Promise<Map<string, KnownLink>> {
  const [row] = await client.query<{ plan: string }>(
    'SELECT plan FROM plans WHERE gateway = {gateway:String} ORDER BY created DESC LIMIT 1',
    { params: { gateway } },
  );
  const links = row === undefined ? [] : ((JSON.parse(row.plan) as Plan).inputs?.links ?? []);
  return new Map(links.map((l) => [l.linkId, { capacityBps: l.capacityBps, tariffId: l.tariffId }]));
}

/** @throws TG_CLI_COST_TARIFF when some link has none */
function tariffsOf(
  linkIds: readonly string[],
  known: ReadonlyMap<string, KnownLink>,
  options: CostOptions,
): Map<string, Tariff> {
  const book = PriceBook.load(options.priceBook);
  const named = assignments(options.tariff);
  const idOf = (linkId: string): string | undefined => named.get(linkId) ?? known.get(linkId)?.tariffId;
  const missing = linkIds.filter((linkId) => idOf(linkId) === undefined);
  if (missing.length > 0) {
    throw fail('TG_CLI_COST_TARIFF', { links: missing.join(', '), known: book.tariffIds.join(', ') });
  }
  return new Map(linkIds.map((linkId) => [linkId, book.tariff(idOf(linkId)!)]));
}

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

const withCostOptions = (command: Command): Command =>
  command
    .option('--tariff <link=tariff>', 'tariff of a link, instead of the configured one', collect, [])
    .option('--price-book <file>', 'a price book of your own')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']));

const LINE_COLUMNS = [
  { title: 'linkId', value: (line: InvoiceLine) => line.linkId },
  { title: 'tariffId', value: (line: InvoiceLine) => line.tariffId },
  { title: 'item', value: (line: InvoiceLine) => line.item },
  {
    title: 'quantity',
    value: (line: InvoiceLine) => line.quantity,
    show: (line: InvoiceLine) => `${line.quantity.toFixed(3)} ${line.unit}`,
    align: 'right' as const,
  },
  { title: 'unitPriceUsd', value: (line: InvoiceLine) => line.unitPriceUsd, align: 'right' as const },
  {
    title: 'amountUsd',
    value: (line: InvoiceLine) => line.amountUsd,
    show: (line: InvoiceLine) => usd(line.amountUsd),
    align: 'right' as const,
  },
  { title: 'words', value: (line: InvoiceLine) => line.words },
];

async function invoice(context: CliContext, options: CostOptions & { month: string }): Promise<void> {
  billingMonth(options.month);
  const result = await withStore(options, async (client, gateway) => {
    const known = await knownLinks(client, gateway);
    // A day more at both ends: the contract's month may lie in another zone.
    const wide = billingMonth(options.month);
    const rows = await client.query<{ linkId: string; slot: number; octetsOut: number; octetsIn: number }>(
      `SELECT linkId, toUInt32(toUnixTimestamp(time)) AS slot, toFloat64(sum(octetsOut)) AS octetsOut, toFloat64(sum(octetsIn)) AS octetsIn
       FROM usage_5m WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32})
       GROUP BY linkId, slot ORDER BY linkId, slot`,
      {
        params: { gateway, from: wide.startMs / 1000 - 86_400, until: wide.endMs / 1000 + 86_400 },
        timeoutMs: 120_000,
      },
    );
    const linkIds = [...new Set([...rows.map((row) => row.linkId), ...known.keys()])].sort();
    const tariffs = tariffsOf(linkIds, known, options);
    const links = linkIds.map((linkId) => {
      const tariff = tariffs.get(linkId)!;
      const month = billingMonth(options.month, tariff.burstable?.timeZone ?? 'UTC');
      const own = rows.filter(
        (row) => row.linkId === linkId && row.slot * 1000 >= month.startMs && row.slot * 1000 < month.endMs,
      );
      const rate = (octets: number): number => (octets * 8000) / SAMPLE_MS;
      return {
        tariff,
        usage: {
          linkId,
          octetsOut: own.reduce((sum, row) => sum + row.octetsOut, 0),
          octetsIn: own.reduce((sum, row) => sum + row.octetsIn, 0),
          samples: {
            outBps: Float64Array.from(own, (row) => rate(row.octetsOut)),
            inBps: Float64Array.from(own, (row) => rate(row.octetsIn)),
          },
        },
      };
    });
    return invoiceOf(wide, links);
  });
  if (options.output === 'json') {
    context.stdout.write(`${toJson(result)}\n`);
    return;
  }
  printRows(context, options.output, result.lines, LINE_COLUMNS);
  if (options.output === 'table') context.stdout.write(`total of ${result.month}: ${usd(result.totalUsd)}\n`);
}

async function ledger(context: CliContext, options: CostOptions & { since: string }): Promise<void> {
  const seconds = Math.ceil(parseDurationMs(options.since) / 1000);
  const days = await withStore(options, async (client, gateway) => {
    const known = await knownLinks(client, gateway);
    const rows = await client.query<{ slot: number; workloadId: number; linkId: string; octetsOut: number }>(
      `SELECT toUInt32(toUnixTimestamp(time)) AS slot, workloadId, linkId, toFloat64(sum(octetsOut)) AS octetsOut FROM usage_5m
       WHERE gateway = {gateway:String} AND time >= now() - INTERVAL {seconds:UInt32} SECOND
       GROUP BY slot, workloadId, linkId ORDER BY slot, workloadId, linkId`,
      { params: { gateway, seconds }, timeoutMs: 120_000 },
    );
    const linkIds = [...new Set([...rows.map((row) => row.linkId), ...known.keys()])].sort();
    const tariffs = tariffsOf(linkIds, known, options);
    return ledgerOf(
      linkIds.map((linkId) => ({
        linkId,
        capacityBps: known.get(linkId)?.capacityBps ?? Number.POSITIVE_INFINITY,
        tariff: tariffs.get(linkId)!,
      })),
      rows.map((row) => ({ ...row, stepStartMs: row.slot * 1000 })),
      SAMPLE_MS,
    );
  });
  const money = (title: keyof LedgerDay) => ({
    title,
    value: (day: LedgerDay) => day[title],
    show: (day: LedgerDay) => usd(Number(day[title]), 4),
    align: 'right' as const,
  });
  printRows<LedgerDay>(context, options.output, days, [
    { title: 'day', value: (day) => day.day },
    money('actualUsd'),
    money('doNothingUsd'),
    money('perfectUsd'),
    money('regretUsd'),
    money('savedUsd'),
    { title: 'violationMinutes', value: (day) => day.violationMinutes, align: 'right' },
    { title: 'doNothingViolationMinutes', value: (day) => day.doNothingViolationMinutes, align: 'right' },
    { title: 'gb', value: (day) => day.gb, show: (day) => day.gb.toFixed(3), align: 'right' },
  ]);
}

/** A price list as a price book, on stdout. */
function importPrices(context: CliContext, file: string, options: { region: string }): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fail('TG_CLI_COST_FILE', { file, reason: messageOf(error) }, error);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const imported =
    json === undefined
      ? { tariffs: importCsv(text, file), instances: [] }
      : importAwsPriceList(json, options.region, file);
  context.stdout.write(stringify({ version: 1, ...imported }));
}

function prices(context: CliContext, options: { priceBook?: string; output: OutputFormat }): void {
  const book = PriceBook.load(options.priceBook);
  if (options.output === 'json') {
    const all = {
      tariffs: book.tariffIds.map((id) => book.tariff(id)),
      instances: book.instanceIds.map((id) => book.instance(id)),
    };
    context.stdout.write(`${toJson(all)}\n`);
    return;
  }
  const perGb = (t: Tariff): string =>
    t.egress
      .map((tier) => `$${tier.usdPerGb}${tier.upToGb === undefined ? '' : ` to ${tier.upToGb} GB`}`)
      .join(', ');
  const more = (t: Tariff): string =>
    [
      t.burstable &&
        `p${t.burstable.percentile} $${t.burstable.usdPerMbpsMonth}/Mbit/s above ${formatRate(t.burstable.commitMbps * 1e6)}`,
      t.circuit && `circuit ${t.circuit.steps.map((s) => formatRate(s.mbps * 1e6)).join(', ')}`,
    ]
      .filter(Boolean)
      .join('; ');
  const tariffs = book.tariffIds.map((id) => book.tariff(id));
  printRows<Tariff>(context, options.output, tariffs, [
    { title: 'tariff', value: (t) => t.tariffId },
    { title: 'per GB out', value: perGb },
    { title: 'port $/h', value: (t) => t.portHourUsd, align: 'right' },
    { title: 'more', value: more },
    { title: 'as of', value: (t) => t.date.slice(0, 10) },
    { title: 'source', value: (t) => t.source },
  ]);
}

/** `tidegate cost invoice|show|prices|import`: what the traffic costs, and what the plans saved. */
export function register(program: Command, context: CliContext): void {
  const cost = program
    .command('cost')
    .description('bills from stored usage, and the ledger of what was saved');
  withCostOptions(
    cost
      .command('invoice')
      .description('the bill of a month from stored usage, to the cent, every line explained')
      .requiredOption('--month <YYYY-MM>', 'which month'),
  ).action((options: CostOptions & { month: string }) => invoice(context, options));
  withCostOptions(
    cost
      .command('show')
      .description('per day: what it cost, what doing nothing and perfect foresight would have cost')
      .option('--since <duration>', 'how far back', '30d'),
  ).action((options: CostOptions & { since: string }) => ledger(context, options));
  cost
    .command('prices')
    .description('the price book')
    .option('--price-book <file>', 'a price book of your own')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action((options: { priceBook?: string; output: OutputFormat }) => prices(context, options));
  cost
    .command('import')
    .description("turn AWS's public price list (JSON) or a CSV of tiers into a price book on stdout")
    .argument('<file>', 'offer file or CSV')
    .option('--region <code>', 'AWS region', 'us-east-1')
    .action((file: string, options: { region: string }) => importPrices(context, file, options));
}
