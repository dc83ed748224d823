import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadAddon, UNPARSED_REASONS } from '../../src/capture/addon.js';
import { gatewayObjectPath } from '../../src/capture/bpf.js';
import { FLOW_COLUMNS } from '../../src/flow/columns.js';
import { DELTA_BYTES, DELTA_LAYOUT, KEY_LAYOUT } from './delta.js';
import { HEAD_LAYOUT } from './head.js';

interface BtfType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly members?: readonly {
    readonly name: string;
    readonly type_id: number;
    readonly bits_offset: number;
  }[];
}

const objectPath = gatewayObjectPath();
const haveTools = ((): string | undefined => {
  if (!existsSync(objectPath)) return 'needs the BPF programs (make bpf)';
  try {
    execFileSync('bpftool', ['version'], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'needs bpftool';
  }
})();

describe.skipIf(haveTools !== undefined)(
  `layouts shared by kernel, addon and TypeScript${haveTools === undefined ? '' : ` (skipped: ${haveTools})`}`,
  () => {
    const types = (): BtfType[] =>
      (
        JSON.parse(
          execFileSync('bpftool', ['btf', 'dump', '-j', 'file', objectPath], { encoding: 'utf8' }),
        ) as {
          types: BtfType[];
        }
      ).types;
    const struct = (name: string): BtfType => {
      const found = types().find((type) => type.kind === 'STRUCT' && type.name === name);
      if (found === undefined) throw new Error(`no struct ${name} in the object's BTF`);
      return found;
    };

    test('sizes agree between the object and the addon', () => {
      const { sizes } = loadAddon().layout;
      for (const [name, size] of Object.entries(sizes)) expect(struct(name).size, name).toBe(size);
      expect(sizes.tg_delta).toBe(DELTA_BYTES);
    });

    test.each([
      ['tg_delta', DELTA_LAYOUT],
      ['tg_flow_key', KEY_LAYOUT],
      ['tg_head', HEAD_LAYOUT],
    ] as const)('%s has the fields and offsets that TypeScript reads', (name, layout) => {
      const offsets = Object.fromEntries(struct(name).members!.map((m) => [m.name, m.bits_offset / 8]));
      expect(offsets).toEqual(Object.fromEntries(Object.entries(layout).map(([field, [at]]) => [field, at])));
      const end = Math.max(...Object.values(layout).map(([at, width, count]) => at + width * count));
      expect(end).toBe(struct(name).size);
    });

    test('every reason why a packet is unparsed has a name', () => {
      expect(loadAddon().layout.unparsedReasons).toBe(UNPARSED_REASONS.length);
    });

    test('the addon writes the columns that TypeScript reads', () => {
      const bytes = { u8: 1, u16: 2, u32: 4, u64: 8, i16: 2, f32: 4 } as const;
      expect(loadAddon().layout.columns).toEqual(
        FLOW_COLUMNS.map((column) => ({
          name: column.name,
          elementBytes: bytes[column.type],
          width: column.width,
        })),
      );
    });
  },
);
