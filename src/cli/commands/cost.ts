import type { Command } from 'commander';
import { defineErrors } from '../../base/errors.js';
import { parseDurationMs } from '../../base/units.js';
import { type Ask, type BilledLink, readMonthUsage } from '../../pipeline/month-usage.js';
import { readLedger } from '../../pipeline/read-ledger.js';
import { newestPlan } from '../../pipeline/stored-plans.js';
import type { LedgerDay } from '../../plan/index.js';
import { billingMonth, type InvoiceLine, invoiceOf, PriceBook } from '../../pricing/index.js';
import type { StoreClient } from '../../store/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';
import { registerPrices } from './cost-prices.js';
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
  const links = (await newestPlan(client, gateway))?.inputs?.links ?? [];
  return new Map(links.map((l) => [l.linkId, { capacityBps: l.capacityBps, tariffId: l.tariffId }]));
}

const asking =
  (client: StoreClient): Ask =>
  (sql, params) =>
    client.query(sql, { params, timeoutMs: 120_000 });

/** The links to bill: those with traffic and those of the newest plan. The function throws TG_CLI_COST_TARIFF. */
async function billedLinks(
  client: StoreClient,
  gateway: string,
  options: CostOptions,
): Promise<(withTraffic: readonly string[]) => BilledLink[]> {
  const known = await knownLinks(client, gateway);
  const book = PriceBook.load(options.priceBook);
  const named = assignments(options.tariff);
  const idOf = (linkId: string): string | undefined => named.get(linkId) ?? known.get(linkId)?.tariffId;
  return (withTraffic) => {
    const linkIds = [...new Set([...withTraffic, ...known.keys()])].sort();
    const missing = linkIds.filter((linkId) => idOf(linkId) === undefined);
    if (missing.length > 0) {
      throw fail('TG_CLI_COST_TARIFF', { links: missing.join(', '), known: book.tariffIds.join(', ') });
    }
    return linkIds.map((linkId) => ({
      linkId,
      capacityBps: known.get(linkId)?.capacityBps ?? Number.POSITIVE_INFINITY,
      tariff: book.tariff(idOf(linkId)!),
    }));
  };
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
  const month = billingMonth(options.month);
  const result = await withStore(options, async (client, gateway) => {
    const linksOf = await billedLinks(client, gateway, options);
    const { links, recordsFromMs } = await readMonthUsage(
      asking(client),
      gateway,
      options.month,
      linksOf,
      Date.now(),
    );
    return invoiceOf(month, links, recordsFromMs);
  });
  if (options.output === 'json') {
    context.stdout.write(`${toJson(result)}\n`);
    return;
  }
  printRows(context, options.output, result.lines, LINE_COLUMNS);
  if (options.output !== 'table') return;
  context.stdout.write(`total of ${result.month}: ${usd(result.totalUsd)}\n`);
  for (const note of result.notes) context.stdout.write(`note: ${note}\n`);
}

async function ledger(context: CliContext, options: CostOptions & { since: string }): Promise<void> {
  const untilMs = Date.now();
  const fromMs = untilMs - parseDurationMs(options.since);
  const book = PriceBook.load(options.priceBook);
  const days = await withStore(options, async (client, gateway) => {
    const linksOf = await billedLinks(client, gateway, options);
    return readLedger(asking(client), { gateway, fromMs, untilMs }, linksOf, (id) =>
      book.instanceIds.includes(id) ? book.instance(id) : undefined,
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
    money('instancesUsd'),
    { title: 'violationMinutes', value: (day) => day.violationMinutes, align: 'right' },
    { title: 'doNothingViolationMinutes', value: (day) => day.doNothingViolationMinutes, align: 'right' },
    { title: 'gb', value: (day) => day.gb, show: (day) => day.gb.toFixed(3), align: 'right' },
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
  registerPrices(cost, context);
}
