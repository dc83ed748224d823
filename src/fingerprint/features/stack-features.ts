import { mix, signOf } from './hash.js';
import { WORD_LOG } from './logarithms.js';
import { ICMP, ICMP6, TCP, UDP } from './protocols.js';
import type { RecordColumns } from './record-columns.js';
import type { BlockOffsets } from './schema.js';

/** Start values of operating systems and what is left of them after a few hops. */
const HOP_STEPS = [0, 1, 4, 32, 64, 128, 254] as const;

/** What the two protocol stacks say of themselves: hop limits, windows, segment size, scale, and ICMP or EtherType. */
export function stack(c: RecordColumns, row: number, out: Float32Array, base: number, o: BlockOffsets): void {
  const exactAt = base + o.stackExact;
  const protocol = c.protocol[row]!;
  for (let d = 0; d < 2; d += 1) {
    const s = base + o.stack + d * 6;
    const ttl = c.ttlMax[d]![row]!;
    out[s] = ttl / 255;
    out[s + 1] = (c.service[d]![row]! >> 2) / 63;
    const h = base + o.hops + d * HOP_STEPS.length;
    for (let i = 0; i < HOP_STEPS.length; i += 1) if (ttl > HOP_STEPS[i]!) out[h + i] = 1;
    if (protocol !== TCP) continue;
    const windowMax = c.windowMax[d]![row]!;
    const segment = c.segment[d]![row]!;
    const scale = c.scale[d]![row]!;
    out[s + 2] = WORD_LOG[windowMax]!;
    out[s + 3] = WORD_LOG[c.windowMin[d]![row]!]!;
    out[s + 4] = segment / 1460;
    out[s + 5] = scale / 15;
    exactWord(windowMax, 0x200 + d, out, exactAt);
    exactWord(segment, 0x210 + d, out, exactAt);
    exactWord(scale, 0x220 + d, out, exactAt);
  }
  if (protocol === ICMP || protocol === ICMP6) exactWord(c.icmp[row]!, 0x230 + protocol, out, exactAt);
  if (c.version[row] === 0) exactWord(c.etherType[row]!, 0x240, out, exactAt);
  else if (protocol !== TCP && protocol !== UDP) exactWord(protocol, 0x250, out, exactAt);
}

function exactWord(value: number, salt: number, out: Float32Array, to: number): void {
  if (value === 0) return;
  const hash = mix(value, salt);
  out[to + (hash & 63)]! += signOf(hash);
}
