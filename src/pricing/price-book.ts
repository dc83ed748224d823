import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { defineErrors, messageOf } from '../base/errors.js';

const fail = defineErrors({
  TG_PRICING_READ: {
    message: 'cannot read the price book {file}: {reason}',
    hint: 'check the path',
    exitCode: 2,
  },
  TG_PRICING_INVALID: { message: 'price book {problem}', hint: 'correct the entry named', exitCode: 2 },
  TG_PRICING_TARIFF: { message: 'there is no tariff "{tariffId}"', hint: 'name one of {known}', exitCode: 2 },
  TG_PRICING_INSTANCE: {
    message: 'there is no instance "{instanceId}"',
    hint: 'name one of {known}',
    exitCode: 2,
  },
});

const price = z.number().nonnegative('a price cannot be negative');

const tariffSchema = z.strictObject({
  tariffId: z.string().min(1),
  description: z.string(),
  source: z.string().min(1),
  date: z.union([z.string(), z.date()]).transform(String),
  portHourUsd: price.default(0),
  freeGbPerMonth: z.number().nonnegative().default(0),
  egress: z
    .array(z.strictObject({ upToGb: z.number().positive().optional(), usdPerGb: price }))
    .min(1)
    .superRefine((tiers, context) => {
      for (const [i, tier] of tiers.entries()) {
        const last = i === tiers.length - 1;
        if (last !== (tier.upToGb === undefined)) {
          context.addIssue({
            code: 'custom',
            path: [i],
            message: 'every tier but the last needs upToGb, and the last has none',
          });
        } else if (i > 0 && tier.upToGb !== undefined && tier.upToGb <= tiers[i - 1]!.upToGb!) {
          context.addIssue({ code: 'custom', path: [i], message: 'tiers must grow' });
        }
      }
    }),
});

const instanceSchema = z.strictObject({
  instanceId: z.string().min(1),
  description: z.string(),
  source: z.string().min(1),
  date: z.union([z.string(), z.date()]).transform(String),
  cpuCores: z.number().positive(),
  memoryGiB: z.number().positive(),
  usdPerHour: price,
});

const bookSchema = z.strictObject({
  version: z.literal(1),
  tariffs: z.array(tariffSchema),
  instances: z.array(instanceSchema),
});

export type Tariff = z.infer<typeof tariffSchema>;
export type Instance = z.infer<typeof instanceSchema>;

/** Dated, sourced prices, and what they make of a volume. */
export class PriceBook {
  readonly #tariffs: ReadonlyMap<string, Tariff>;
  readonly #instances: ReadonlyMap<string, Instance>;

  private constructor(tariffs: readonly Tariff[], instances: readonly Instance[]) {
    this.#tariffs = new Map(tariffs.map((tariff) => [tariff.tariffId, tariff]));
    this.#instances = new Map(instances.map((instance) => [instance.instanceId, instance]));
  }

  /** Reads a price book; without a file, the one that ships. @throws TG_PRICING_READ, TG_PRICING_INVALID */
  static load(file: string = PriceBook.defaultFile()): PriceBook {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      throw fail('TG_PRICING_READ', { file, reason: messageOf(error) }, error);
    }
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines });
    if (document.errors[0])
      throw fail('TG_PRICING_INVALID', { problem: `${file}: ${document.errors[0].message}` });
    const result = bookSchema.safeParse(document.toJS());
    if (!result.success) {
      const issue = result.error.issues[0]!;
      const node = document.getIn(issue.path, true) as { range?: [number, number, number] } | undefined;
      const position = node?.range ? `:${lines.linePos(node.range[0]).line}` : '';
      throw fail('TG_PRICING_INVALID', {
        problem: `${file}${position} ${issue.path.join('.')}: ${issue.message}`,
      });
    }
    return new PriceBook(result.data.tariffs, result.data.instances);
  }

  static defaultFile(): string {
    const path = join('pricing', 'data', 'default.yaml');
    let directory = dirname(fileURLToPath(import.meta.url));
    while (!existsSync(join(directory, 'src', path))) directory = dirname(directory);
    return join(directory, 'src', path);
  }

  get tariffIds(): readonly string[] {
    return [...this.#tariffs.keys()];
  }

  tariff(tariffId: string): Tariff {
    const found = this.#tariffs.get(tariffId);
    if (!found) throw fail('TG_PRICING_TARIFF', { tariffId, known: this.tariffIds.join(', ') });
    return found;
  }

  instance(instanceId: string): Instance {
    const found = this.#instances.get(instanceId);
    if (!found)
      throw fail('TG_PRICING_INSTANCE', { instanceId, known: [...this.#instances.keys()].join(', ') });
    return found;
  }
}

/** Cost in dollars of the first `gb` decimal gigabytes of a month. Piecewise linear, from zero. */
export function monthEgressUsd(tariff: Tariff, gb: number): number {
  let cost = 0;
  let from = 0;
  // Free volume shifts nothing: it is the part of the first tiers that is not billed.
  const free = tariff.freeGbPerMonth;
  for (const tier of tariff.egress) {
    const until = Math.min(gb, tier.upToGb ?? Number.POSITIVE_INFINITY);
    const billed = Math.max(0, until - Math.max(from, free));
    cost += billed * tier.usdPerGb;
    from = until;
    if (until >= gb) break;
  }
  return cost;
}

/** Cost of `gb` more, when `soFarGb` were sent this month. */
export const egressUsd = (tariff: Tariff, soFarGb: number, gb: number): number =>
  monthEgressUsd(tariff, soFarGb + gb) - monthEgressUsd(tariff, soFarGb);

/** Price of the next gigabyte, when `soFarGb` were sent this month. */
export function marginalUsdPerGb(tariff: Tariff, soFarGb: number): number {
  if (soFarGb < tariff.freeGbPerMonth) return 0;
  return tariff.egress.find((tier) => tier.upToGb === undefined || soFarGb < tier.upToGb)!.usdPerGb;
}
