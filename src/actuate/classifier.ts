import { parseAddress } from '../flow/parse-address.js';
import { ClassicBpf, MOST_INSTRUCTIONS } from './classic-bpf.js';
import { isIPv6, type ServiceEndpoint } from './link.js';

/** Loads from here on are counted from the network header, whatever link layer is in front: SKF_NET_OFF. */
const NETWORK = -0x100000;
/** The class that the filter names, cls_bpf(8); 0 = go on with the next filter. */
const MATCH = -1;
const MISS = 0;

const PROTOCOLS = { tcp: 6, udp: 17 } as const;
const IPV6_HEADER = 40;
/** Hop-by-hop, routing, destination options (RFC 8200): next header, length in 8 octets less one. */
const EXTENSIONS = [0, 43, 60] as const;
const MOST_EXTENSIONS = 6;
/** Fragments of IPv4 behind the first have no ports. */
const FRAGMENT_OFFSET = 0x1fff;

/** Where both sides have their address, from the network header, and their port, from the transport header. */
const SIDES = {
  4: [
    { address: 16, port: 2 },
    { address: 12, port: 0 },
  ],
  6: [
    { address: 24, port: 2 },
    { address: 8, port: 0 },
  ],
} as const;

/** The words of an address that a prefix covers: what is to be masked, and what must come out. */
function wordsOf(endpoint: ServiceEndpoint): { readonly offset: number; mask: number; value: number }[] {
  const v6 = isIPv6(endpoint);
  const octets = parseAddress(endpoint.address);
  if (octets === undefined) throw new RangeError(`${endpoint.address} is no address`);
  const own = v6 ? octets : octets.subarray(12);
  const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
  const length = endpoint.prefixLength ?? own.length * 8;
  return Array.from({ length: Math.ceil(length / 32) }, (_, i) => {
    const bits = Math.min(32, length - 32 * i);
    const mask = (0xffffffff << (32 - bits)) >>> 0;
    return { offset: 4 * i, mask, value: (view.getUint32(4 * i) & mask) >>> 0 };
  });
}

/** One endpoint's packets, either way. X is where the transport header begins. */
function matchEndpoint(program: ClassicBpf, endpoint: ServiceEndpoint): void {
  for (const { address, port } of SIDES[isIPv6(endpoint) ? 6 : 4]) {
    const next = program.unique();
    for (const { offset, mask, value } of wordsOf(endpoint)) {
      program.do('loadWord', NETWORK + address + offset);
      if (mask !== 0xffffffff) program.do('and', mask);
      program.jumpIf('jumpIfEqual', value, undefined, next);
    }
    program.do('loadHalfAtX', NETWORK + port).jumpIf('jumpIfEqual', endpoint.port, undefined, next);
    program.do('return', MATCH).label(next);
  }
}

/** Sets X to where the transport header begins, and leaves the protocol in A; goes to `miss` where there is none. */
function findTransport(program: ClassicBpf, v6: boolean): void {
  const found = program.unique();
  const lost = program.unique();
  if (!v6) {
    program.do('loadHalf', NETWORK + 6).jumpIf('jumpIfAny', FRAGMENT_OFFSET, lost);
    program.do('loadHeaderLength', NETWORK).do('loadByte', NETWORK + 9);
    program.jump(found);
  } else {
    program.do('setX', IPV6_HEADER).do('loadByte', NETWORK + 6);
    for (let i = 0; i < MOST_EXTENSIONS; i += 1) {
      const extension = program.unique();
      for (const kind of EXTENSIONS) program.jumpIf('jumpIfEqual', kind, extension);
      program.jump(found).label(extension);
      program.do('loadByteAtX', NETWORK).do('keep', 0);
      program.do('loadByteAtX', NETWORK + 1).do('add', 1);
      program.do('shiftLeft', 3).do('addX').do('moveToX').do('recall', 0);
    }
    program.jump(found);
  }
  program.label(lost).do('return', MISS).label(found);
}

function programOf(endpoints: readonly ServiceEndpoint[]): ClassicBpf {
  const program = new ClassicBpf();
  program.do('loadByte', NETWORK).do('shiftRight', 4).do('keep', 1);
  for (const v6 of [false, true]) {
    const family = endpoints.filter((endpoint) => isIPv6(endpoint) === v6);
    if (family.length === 0) continue;
    const [here, others] = [program.unique(), program.unique()];
    program.do('recall', 1).jumpIf('jumpIfEqual', v6 ? 6 : 4, here);
    program.jump(others).label(here);
    findTransport(program, v6);
    program.do('keep', 0);
    for (const [name, number] of Object.entries(PROTOCOLS)) {
      const [same, next] = [program.unique(), program.unique()];
      program.do('recall', 0).jumpIf('jumpIfEqual', number, same);
      program.jump(next).label(same);
      for (const endpoint of family) if (endpoint.protocol === name) matchEndpoint(program, endpoint);
      program.label(next).do('recall', 0);
    }
    program.do('return', MISS).label(others).do('recall', 1);
  }
  return program.do('return', MISS);
}

/** An endpoint takes at most so many instructions, the rest of a program fewer than 128. */
const MOST_PER_ENDPOINT = 32;
const MOST_ENDPOINTS = Math.floor((MOST_INSTRUCTIONS - 128) / MOST_PER_ENDPOINT);

/**
 * Programs for `tc filter … bpf bytecode` that match both directions of the endpoints' packets: to a service, or from
 * it. Options of IPv4 and extension headers of IPv6 are passed over; what has no ports, such as fragments behind the
 * first, matches nothing. One program for every 124 endpoints.
 */
export function classifierPrograms(endpoints: readonly ServiceEndpoint[]): string[] {
  const programs: string[] = [];
  for (let i = 0; i < endpoints.length; i += MOST_ENDPOINTS)
    programs.push(String(programOf(endpoints.slice(i, i + MOST_ENDPOINTS))));
  return programs;
}
