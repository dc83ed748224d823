import type { Decoders, HeaderRule } from './application-config.js';
import type { CaptureCounters } from './bpf.js';
import {
  HEAD_SIDES,
  type HeadWant,
  headWantWords,
  MAX_HEAD_OCTETS,
  TRANSPORTS,
  type Transport,
} from './payload-heads.js';

/** What is to be found out about applications; the default is nothing. */
export interface ApplicationSettings {
  readonly decoders: Decoders;
  readonly headerRules: readonly HeaderRule[];
}

/** Every decoder on every port: for captures, which somebody reads on purpose. */
export const ALL_DECODERS: Decoders = { tls: 'any', http: 'any', dns: 'any', quic: 'any' };

/** The ports of `known`, by IANA's registry and common use. */
const KNOWN_PORTS = {
  tls: [
    443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 3269, 5061, 5223, 5671, 6443, 6697, 8443, 8883,
  ],
  http: [80, 591, 3128, 8000, 8008, 8080, 8081, 8088, 8888],
  dns: [53, 5353, 5355],
  quic: [443, 853, 8443],
} as const satisfies Record<keyof Decoders, readonly number[]>;

/** Flows of which something is known at once; the longest silent are forgotten first. */
const MAX_FLOWS = 65_536;

interface DecoderWants {
  readonly transports: readonly Transport[];
  readonly want: Pick<HeadWant, 'octets' | 'packets' | 'sides'>;
}

/** A ClientHello with post-quantum keys takes two segments, an HTTP request with cookies may take two. */
const WANTS: Readonly<Record<keyof Decoders, readonly DecoderWants[]>> = {
  tls: [{ transports: ['tcp'], want: { octets: MAX_HEAD_OCTETS, packets: 3, sides: ['toPort'] } }],
  http: [{ transports: ['tcp'], want: { octets: MAX_HEAD_OCTETS, packets: 2, sides: ['toPort'] } }],
  dns: [
    { transports: ['udp'], want: { octets: 512, packets: 1, sides: ['toPort', 'fromPort'] } },
    { transports: ['tcp'], want: { octets: 512, packets: 2, sides: ['toPort', 'fromPort'] } },
  ],
  quic: [{ transports: ['udp'], want: { octets: MAX_HEAD_OCTETS, packets: 3, sides: ['toPort'] } }],
};

const DECODERS = Object.keys(WANTS) as (keyof Decoders)[];

/** What the kernel is asked for: no more than rules and decoders need. */
export function wantsOf({ decoders, headerRules }: ApplicationSettings): HeadWant[] {
  const wants: HeadWant[] = headerRules.map((rule) => ({
    transport: rule.transport,
    port: rule.port,
    octets: rule.offset + rule.length,
    packets: 1,
    sides: [rule.direction],
  }));
  for (const name of DECODERS) {
    if (decoders[name] === 'off') continue;
    const ports = decoders[name] === 'any' ? [0] : KNOWN_PORTS[name];
    for (const { transports, want } of WANTS[name])
      for (const transport of transports) for (const port of ports) wants.push({ ...want, transport, port });
  }
  return wants;
}

/** The native form: what each head is for. */
export interface NativeApplications {
  readonly decoders: Readonly<Record<keyof Decoders, { readonly any: boolean; readonly ports: Uint32Array }>>;
  readonly rules: readonly {
    readonly name: string;
    readonly protocol: number;
    readonly port: number;
    readonly side: number;
    readonly offset: number;
    /** As long as the field. */
    readonly mask: Uint8Array;
  }[];
  readonly maxFlows: number;
}

export interface ApplicationOptions {
  readonly headWants?: Uint32Array;
  readonly applications?: NativeApplications;
}

/** What became of each payload head that the kernel was asked for, and what was given up for want of room. */
export const headOutcomes = (native: CaptureCounters): Readonly<Record<string, number>> => ({
  used: native.headsUsed,
  foreign: native.headsForeign,
  unneeded: native.headsUnneeded,
  repeated: native.headsRepeated,
  orphaned: native.headsOrphaned,
  no_room: native.headsNoRoom,
  ring_full: native.heads_lost,
  overload: native.heads_withheld,
  cut: native.heads_cut,
  flow_evicted: native.flowsEvicted,
  field_short: native.fieldsShort,
  field_no_room: native.fieldsNoRoom,
});

/** Whether anything is to be found out. */
export const looksForNames = (settings: ApplicationSettings): boolean => wantsOf(settings).length > 0;

/** Native options of a meter; none where nothing is wanted, so that heads cost nothing. */
export function applicationOptions(settings: ApplicationSettings | undefined): ApplicationOptions {
  const wants = settings === undefined ? [] : wantsOf(settings);
  if (settings === undefined || wants.length === 0) return {};
  const { decoders, headerRules } = settings;
  const decoder = (name: keyof Decoders) => ({
    any: decoders[name] === 'any',
    ports: Uint32Array.from(decoders[name] === 'known' ? KNOWN_PORTS[name] : []),
  });
  return {
    headWants: headWantWords(wants),
    applications: {
      decoders: {
        tls: decoder('tls'),
        http: decoder('http'),
        dns: decoder('dns'),
        quic: decoder('quic'),
      },
      rules: headerRules.map(({ name, transport, port, direction, offset, length, mask }) => ({
        name,
        protocol: TRANSPORTS[transport],
        port,
        side: HEAD_SIDES[direction],
        offset,
        mask: mask === undefined ? new Uint8Array(length).fill(0xff) : Buffer.from(mask, 'hex'),
      })),
      maxFlows: MAX_FLOWS,
    },
  };
}
