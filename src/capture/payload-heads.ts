/**
 * Which payload octets the kernel hands over (docs/datapath.md, "Payload heads"): nothing but what a rule or a decoder
 * asks for by transport and port.
 */

export const TRANSPORTS = { tcp: 6, udp: 17, sctp: 132 } as const;
export type Transport = keyof typeof TRANSPORTS;

/** TG_HEAD_TO_PORT and TG_HEAD_FROM_PORT of bpf/flow_abi.h. */
export const HEAD_SIDES = { toPort: 1, fromPort: 2 } as const;
export type HeadSide = keyof typeof HEAD_SIDES;

/** The longest payload head, TG_HEAD_MAX_OCTETS. */
export const MAX_HEAD_OCTETS = 2048;
export const MAX_HEAD_PACKETS = 14;

/** The first payloads of every flow of a service. */
export interface HeadWant {
  readonly transport: Transport;
  /** 0 = every port of the transport that has no entry of its own. */
  readonly port: number;
  /** Octets of each payload at most, 1 to 2048. */
  readonly octets: number;
  /** Payloads of each direction, 1 to 14. */
  readonly packets: number;
  readonly sides: readonly HeadSide[];
}

const add = (known: HeadWant, want: HeadWant): HeadWant => ({
  ...known,
  octets: Math.max(known.octets, want.octets),
  packets: Math.max(known.packets, want.packets),
  sides: [...new Set([...known.sides, ...want.sides])],
});

/**
 * One entry a service: the most that anybody wants of it. The kernel looks at the entry of every port only where a
 * port has none of its own, so what is wanted of every port is also part of each.
 */
export function mergeWants(wants: readonly HeadWant[]): HeadWant[] {
  const merged = new Map<string, HeadWant>();
  const keyOf = ({ transport, port }: HeadWant): string => `${transport}/${port}`;
  for (const want of wants)
    merged.set(keyOf(want), add(merged.get(keyOf(want)) ?? { ...want, sides: [] }, want));
  return [...merged.values()].map((want) => {
    const everywhere = merged.get(`${want.transport}/0`);
    return everywhere === undefined ? want : add(want, everywhere);
  });
}

/** The native form: protocol, port, octets, packets and sides of each. */
export const headWantWords = (wants: readonly HeadWant[]): Uint32Array =>
  Uint32Array.from(
    mergeWants(wants).flatMap(({ transport, port, octets, packets, sides }) => [
      TRANSPORTS[transport],
      port,
      octets,
      packets,
      sides.reduce((bits, side) => bits | HEAD_SIDES[side], 0),
    ]),
  );
