import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { messageOf } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { fail } from './errors.js';
import { bookSchema, type Instance, type Tariff } from './schema.js';

/** Dated, sourced prices by name. */
export class PriceBook {
  readonly #tariffs: ReadonlyMap<string, Tariff>;
  readonly #instances: ReadonlyMap<string, Instance>;

  private constructor(tariffs: readonly Tariff[], instances: readonly Instance[]) {
    this.#tariffs = new Map(tariffs.map((tariff) => [tariff.tariffId, tariff]));
    this.#instances = new Map(instances.map((instance) => [instance.instanceId, instance]));
  }

  /** Reads a price book; without a file, the one that ships. @throws TG_PRICING_READ, TG_PRICING_INVALID */
  static load(file: string = PriceBook.defaultFile()): PriceBook {
    try {
      return PriceBook.parse(readFileSync(file, 'utf8'), file);
    } catch (error) {
      if (error instanceof Error && 'errno' in error) {
        throw fail('TG_PRICING_READ', { file, reason: messageOf(error) }, error);
      }
      throw error;
    }
  }

  /** A price book from YAML text. @throws TG_PRICING_INVALID with the line of the problem */
  static parse(text: string, file = 'price book'): PriceBook {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines });
    if (document.errors[0])
      throw fail('TG_PRICING_INVALID', { problem: `${file}: ${document.errors[0].message}` });
    const result = bookSchema.safeParse(document.toJS());
    if (!result.success) {
      const issue = result.error.issues[0]!;
      // A missing key has no place of its own; the entry that should hold it has.
      let node: { range?: [number, number, number] } | undefined;
      for (let depth = issue.path.length; depth >= 0 && node?.range === undefined; depth -= 1) {
        node = document.getIn(issue.path.slice(0, depth), true) as typeof node;
      }
      const position = node?.range ? `:${lines.linePos(node.range[0]).line}` : '';
      throw fail('TG_PRICING_INVALID', {
        problem: `${file}${position} ${issue.path.join('.')}: ${issue.message}`,
      });
    }
    return new PriceBook(result.data.tariffs, result.data.instances);
  }

  static defaultFile(): string {
    return join(packageRoot(), 'src', 'pricing', 'data', 'default.yaml');
  }

  get tariffIds(): readonly string[] {
    return [...this.#tariffs.keys()];
  }

  get instanceIds(): readonly string[] {
    return [...this.#instances.keys()];
  }

  /** @throws TG_PRICING_TARIFF */
  tariff(tariffId: string): Tariff {
    const found = this.#tariffs.get(tariffId);
    if (!found) throw fail('TG_PRICING_TARIFF', { tariffId, known: this.tariffIds.join(', ') });
    return found;
  }

  /** @throws TG_PRICING_INSTANCE */
  instance(instanceId: string): Instance {
    const found = this.#instances.get(instanceId);
    if (!found) throw fail('TG_PRICING_INSTANCE', { instanceId, known: this.instanceIds.join(', ') });
    return found;
  }
}
