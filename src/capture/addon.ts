import { createRequire } from 'node:module';
import { join } from 'node:path';
import { defineErrors, messageOf } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import type { ApplicationOptions } from './applications.js';

const fail = defineErrors({
  TG_CAPTURE_ADDON: {
    message: 'the native addon does not load: {reason}',
    hint: 'build it with `make build`',
  },
});

/** Counters of the meter and its table; packets and octets are exact up to 2^53. */
export interface MeterCounters {
  readonly rx_packets: number;
  readonly rx_octets: number;
  readonly kind_ipv4: number;
  readonly kind_ipv6: number;
  readonly kind_non_ip: number;
  readonly kind_fragment: number;
  readonly kind_unparsed: number;
  readonly exported_records: number;
  readonly exported_packets: number;
  readonly exported_octets: number;
  readonly ring_lost_records: number;
  readonly ring_lost_packets: number;
  readonly ring_lost_octets: number;
  /** Unparsed packets by reason, in the order of {@link UNPARSED_REASONS}. */
  readonly unparsed: readonly number[];
  readonly mergedRecords: number;
  readonly mergedPackets: number;
  readonly emittedRecords: number;
  readonly emittedPackets: number;
  readonly flowsCreated: number;
  readonly flowsActive: number;
  readonly foldedRecords: number;
  readonly heads_sent: number;
  /** The frame, or what a capture kept of it, ends before. */
  readonly heads_cut: number;
  /** What became of each payload head that was read, and what was given up; see native/src/applications.h. */
  readonly headsUsed: number;
  readonly headsForeign: number;
  readonly headsUnneeded: number;
  readonly headsRepeated: number;
  readonly headsOrphaned: number;
  readonly headsNoRoom: number;
  readonly flowsEvicted: number;
  readonly fieldsShort: number;
  readonly fieldsNoRoom: number;
  /** Flows of which something is known. */
  readonly applicationFlows: number;
}

export interface ReplayedFile {
  readonly path: string;
  readonly packets: number;
  /** Empty for a sound file. */
  readonly damage: string;
  readonly damageOffset: number;
}

/** What every meter is told. Times in ns unless named otherwise; ticks are ns >> 10. */
export interface MeterOptions extends ApplicationOptions {
  readonly cacheEntries: number;
  readonly exportTicks: number;
  readonly idleTicks: number;
  /** 13 random words. */
  readonly secret: Uint32Array;
  /** Size bin of an IP length = sizeLut[length >> 4]. */
  readonly sizeLut: Uint8Array;
  /** Bits of TUNNELS: these are entered, so that the flow is the inner one. */
  readonly tunnels: number;
  /** Payload octets kept per direction, at most 16. */
  readonly headBytes: number;
  /** 0 = as they are, 1 = cut to prefixes, 2 = pseudonyms under a key. */
  readonly addressMode: number;
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
  /** 16 octets. */
  readonly addressKey: Uint8Array;
  readonly idleNs: number;
  readonly activeNs: number;
  readonly graceNs: number;
  readonly maxFlows: number;
  /** Views of whole SharedArrayBuffers. */
  readonly slabs: readonly Uint8Array[];
  readonly slabRows: number;
}

export interface NativeReplay {
  start(paths: readonly string[]): void;
  stop(): void;
  counters(): MeterCounters & { readonly cpuSeconds: number };
  files(): readonly ReplayedFile[];
}

export interface NativeLayout {
  readonly columns: readonly {
    readonly name: string;
    readonly elementBytes: number;
    readonly width: number;
  }[];
  readonly abiVersion: number;
  /** How many values enum tg_unparsed has. */
  readonly unparsedReasons: number;
  readonly sizes: Readonly<Record<string, number>>;
  readonly libbpf: string;
}

export interface NativeAddon {
  readonly layout: NativeLayout;
  /** Every thread gives up what is not in the mask. @throws NativeFailure, ETIMEDOUT when a thread did not answer */
  keepCapabilities(mask: bigint): void;
  /** This thread uses only these of what it holds, until the next call. @throws NativeFailure */
  useCapabilities(mask: bigint): void;
  readonly Replay: new (options: MeterOptions, onEvent: (event: number) => void) => NativeReplay;
}

/** Names of `enum tg_unparsed` in bpf/flow_abi.h. */
export const UNPARSED_REASONS = [
  'none',
  'shortEthernet',
  'shortVlan',
  'shortIp',
  'badIpHeader',
  'shortExtension',
  'deepExtension',
  'shortTransport',
  'badTcpHeader',
  'shortTunnel',
  'linkType',
] as const;

/** Events that the native side posts besides slab numbers. */
export const EVENT_FLUSHED = -1;
export const EVENT_DONE = -2;

/** Loads the addon. @throws TG_CAPTURE_ADDON */
export function loadAddon<Addon extends NativeAddon = NativeAddon>(): Addon {
  const path = join(packageRoot(), 'build', 'Release', 'tidegate.node');
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (error) {
    throw fail('TG_CAPTURE_ADDON', { reason: messageOf(error) }, error);
  }
}
