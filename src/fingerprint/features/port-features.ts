import { mix } from './hash.js';
import { WORD_LOG } from './logarithms.js';
import { SCTP, TCP, UDP } from './protocols.js';
import type { RecordColumns } from './record-columns.js';
import { FIRST_DYNAMIC_PORT, isServicePort, serviceIsDestination } from './services.js';

const PORT_BITS = 48;
/** Three +-1 bit words of a port: ports are names, and near numbers must not be near vectors. */
const PORT_WORDS = Uint32Array.from({ length: 65536 * 2 }, (_, i) => mix(i >> 1, 0x51ed + (i & 1)));

/** The service's port: what sort it is, and 48 random bits of it unless it is a dynamic one. */
export function port(c: RecordColumns, row: number, out: Float32Array, to: number): void {
  const protocol = c.protocol[row]!;
  if (protocol !== TCP && protocol !== UDP && protocol !== SCTP) return;
  const source = c.ports[0][row]!;
  const destination = c.ports[1][row]!;
  const answers = serviceIsDestination(source, destination);
  const service = answers ? destination : source;
  const other = answers ? source : destination;
  if (service < 1024) out[to] = 1;
  else if (service < FIRST_DYNAMIC_PORT) out[to + 1] = 1;
  else out[to + 2] = 1;
  out[to + 3] = WORD_LOG[service]!;
  if (isServicePort(service)) out[to + 4] = 1;
  if (other < 1024) out[to + 5] = 1;
  if (service === other) out[to + 6] = 1;
  if (answers) out[to + 7] = 1;
  if (service >= FIRST_DYNAMIC_PORT || service === 0) return;
  const low = PORT_WORDS[service * 2]!;
  const high = PORT_WORDS[service * 2 + 1]!;
  for (let i = 0; i < PORT_BITS; i += 1) {
    const bit = i < 32 ? (low >>> i) & 1 : (high >>> (i - 32)) & 1;
    out[to + 8 + i] = bit === 1 ? 1 : -1;
  }
}
