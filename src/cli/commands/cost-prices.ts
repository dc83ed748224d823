import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { defineErrors, messageOf } from '../../base/errors.js';
import { formatRate } from '../../base/units.js';
import { importAwsPriceList, importCsv, PriceBook, type Tariff } from '../../pricing/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';

const fail = defineErrors({
  TG_CLI_COST_FILE: { message: 'cannot read {file}: {reason}', hint: 'check the path', exitCode: 2 },
});

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

/** `tidegate cost prices|import`: the price book, and how to make one. */
export function registerPrices(cost: Command, context: CliContext): void {
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
