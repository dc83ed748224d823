import { existsSync, readdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../base/package-root.js';
import { loadAddon, type MeterCounters, type MeterOptions, type NativeAddon } from './addon.js';

/**
 * The typed surface of the addon's kernel part: libbpf, the gateway programs and the thread that reads their
 * rings. Usable on its own; {@link XdpSource} is the component that Tidegate runs.
 */

/** What the kernel datapath is told besides the meter itself. */
export interface CaptureOptions extends MeterOptions {
  /** The compiled bpf/gateway.bpf.c. */
  readonly objectPath: string;
  readonly sweepPeriodNs: number;
  /** Cache slots looked at per sweep. */
  readonly sweepSlice: number;
  /** Slots swept at the first packet of each run of a NIC's poll loop; 0 = the timer alone sweeps. */
  readonly sweepPerBatch: number;
  /** The clock is read once in so many packets of a run; 1 = for every packet. */
  readonly clockPackets: number;
  /** Bytes of each CPU's ring: a power of two, at least a page. */
  readonly ringBytes: number;
  /** Whether the program for what this host itself sends is loaded too. */
  readonly egress: boolean;
  /** Whether the program is loaded that meters what another's XDP program lets pass. */
  readonly behindXdp: boolean;
  /** Directory in a bpffs where maps and links are pinned and found again after a crash; '' = nothing is pinned. */
  readonly pinDirectory: string;
  /** A file in a tmpfs where flows and batches that nobody has taken yet outlive this process; '' = they do not. */
  readonly stateFile: string;
  /** A batch that is not full is handed over after so many ms. */
  readonly batchMs: number;
  /** Packets may be sent on by XDP, see bpf/steer.h. Without it, steering costs nothing. */
  readonly steering: boolean;
}

/** Every term of the conservation law, in packets unless named otherwise. */
export interface CaptureCounters extends MeterCounters {
  readonly unmetered_packets: number;
  readonly unmetered_octets: number;
  readonly sampled_out_packets: number;
  readonly sampled_out_octets: number;
  readonly folded_packets: number;
  readonly egress_packets: number;
  readonly multi_buffer: number;
  readonly heads_lost: number;
  readonly heads_withheld: number;
  readonly inserts: number;
  readonly evictions: number;
  readonly overflows: number;
  readonly aged: number;
  readonly idle_exports: number;
  readonly timer_ticks: number;
  /** Written to slabs, handed over or not. */
  readonly writtenPackets: number;
  readonly writtenRows: number;
  /** Gaps in the numbers of the records that arrived; equals ring_lost_records once the rings are read. */
  readonly missingRecords: number;
}

/** The same, with what is resident counted entry by entry. */
export interface ScannedCounters extends CaptureCounters {
  readonly scannedCache: number;
  readonly scannedRings: number;
  readonly scannedTable: number;
  /** Nothing moved while scanning, so that scanned and derived terms must agree. */
  readonly quiet: boolean;
}

/** What earlier processes left in pinned maps: what they took and did not deliver died with them. */
export interface Inheritance {
  readonly adopted: boolean;
  /** Flows and batches of an earlier process were taken over, none is lost. */
  readonly recovered: boolean;
  /** Names the memory in which batches outlive the process; '' when they do not. */
  readonly stateName: string;
  /** Why they do not although that was asked for. */
  readonly stateProblem: string;
  readonly takenPackets: number;
  readonly takenOctets: number;
  readonly deliveredPackets: number;
  readonly deliveredOctets: number;
  /** Packets that pinned datapaths of other layouts still held, and that are in this process now. */
  readonly drainedPackets: number;
  /** Seen and not delivered by datapaths whose layout nobody here can read: lost. */
  readonly unreadPackets: number;
  readonly unreadOctets: number;
}

/** What a CPU gives up when the reader cannot keep up: struct tg_overload of bpf/flow_abi.h. */
export interface OverloadStep {
  readonly level: number;
  /** Idle and export times are so many times doubled. */
  readonly timeoutShift: number;
  readonly withoutHeads: boolean;
  /** A packet whose flow has no entry is metered under its prefixes. */
  readonly foldNew: boolean;
  /** One packet in so many is metered; 1 = all. */
  readonly sampling: number;
}

/** Of one interface: what came in, and what this host itself sent. */
export interface InterfaceCounters {
  readonly packets: number;
  readonly octets: number;
  readonly txPackets: number;
  readonly txOctets: number;
}

export interface NativeCapture {
  /**
   * Attaches to an interface of a network namespace (a path, or '' for our own); its ifindex, and whether VLAN tags that
   * the NIC takes off are read.
   */
  attach(name: string, netns: string, native: boolean): { readonly index: number; readonly tagged: boolean };
  /** Meters what this host itself sends by an interface that `attach` attached to. */
  attachEgress(name: string, netns: string): void;
  /** Instead of `attach`: meters at tc ingress what the XDP program of somebody else lets pass; its ifindex. */
  attachBehindXdp(name: string, netns: string): number;
  /** Whether `attachBehindXdp` would take over a link that an earlier process left. */
  hasPinnedBehindXdp(name: string, netns: string): boolean;
  /** What every CPU gives up from now on; see {@link OverloadStep}. */
  overload(step: OverloadStep): void;
  /** How full the fullest ring is, 0..1. */
  ringFill(): number;
  /** Arms the sweep timers, starts reading; how many CPUs are swept. */
  start(): number;
  /** Runs the flushing program over no entry: whether it can be run. @throws {@link NativeFailure} */
  tryFlush(): void;
  /** Posts EVENT_FLUSHED once everything that was resident has been handed over. */
  flush(): void;
  detach(): void;
  stop(): void;
  /** Removes every pin. */
  unpin(): void;
  /** Whether `attach` would take over a link that an earlier process left. */
  hasPinnedLink(name: string, netns: string): boolean;
  /** What earlier processes took from the rings and delivered. After `start`. */
  inherited(): Inheritance;
  /** Remembers beyond this process that a batch was given back. */
  delivered(packets: number, octets: number, slab: number): void;
  counters(scan: false): CaptureCounters;
  counters(scan: true): ScannedCounters;
  interfaceCounters(ifindex: number): InterfaceCounters;
  /** Runs the real XDP program over one frame, without a NIC; its verdict (2 = XDP_PASS). */
  runXdp(frame: Uint8Array): number;
  /** Makes a link known, or changes it. With `steering` only, as all that follows. @throws {@link NativeFailure} */
  steerLink(link: NativeSteerLink): void;
  /** Makes the rules exactly these. Rejects with {@link NativeFailure}; then nothing has changed. */
  steerApply(rules: readonly NativeSteerRule[]): Promise<NativeSteerReport>;
  /** Forgets pins of flows that ended; how many are left. */
  steerMaintain(): Promise<number>;
  /** Says that somebody is alive; without it for `deadmanNs` nothing is steered. 0 = steer on. */
  steerHeartbeat(deadmanNs: number): void;
  steerState(): NativeSteerState;
}

export interface NativeSteerLink {
  /** 1..31 */
  readonly number: number;
  readonly name: string;
  readonly device: string;
  readonly netns: string;
  /** 4 octets; zero = none. */
  readonly nextHopIPv4: Uint8Array;
  /** 16 octets; zero = none. */
  readonly nextHopIPv6: Uint8Array;
  readonly viaStack: boolean;
  readonly drained: boolean;
  readonly outside: boolean;
}

/** struct tg_steer_rule of bpf/steer_abi.h, without its buckets. */
export interface NativeSteerRule {
  readonly workload: number;
  /** 1 = way out, 2 = placement. */
  readonly kind: number;
  readonly hard: boolean;
  /** 0 = any. */
  readonly protocol: number;
  /** Of the IPv4-mapped or IPv6 address. */
  readonly prefixLength: number;
  /** 0 = any. */
  readonly port: number;
  /** 16 octets. */
  readonly address: Uint8Array;
  /** By link number, 0 = the routing table. */
  readonly weights: Uint32Array;
}

export interface NativeSteerReport {
  readonly movedBuckets: number;
  readonly knownFlows: number;
  readonly pinnedFlows: number;
  readonly heldNs: number;
  /** CLOCK_MONOTONIC when it was asked for … */
  readonly askedNs: number;
  /** … and when new flows followed; 0 when nothing was to be moved. */
  readonly doneNs: number;
}

export interface NativeSteerState {
  readonly links: readonly {
    readonly number: number;
    readonly name: string;
    readonly ifindex: number;
    readonly drained: boolean;
    /** By the kernel's stack: as was asked for, or because the driver takes no redirected frames. */
    readonly viaStack: boolean;
    /** enum tg_link_state: 0 down, 1 ready, 2 by the kernel's stack. As of the last packet. */
    readonly ipv4: number;
    readonly ipv6: number;
  }[];
  readonly rules: readonly NativeSteerRule[];
  /** Whether frames that XDP only marks are sent too; false before Linux 6.6. */
  readonly defers: boolean;
  readonly counters: Readonly<
    Record<'redirected' | 'deferred' | 'drained' | 'stranded' | 'learned' | 'unlearned' | 'asleep', number>
  >;
}

export interface InterfaceFacts {
  readonly index: number;
  readonly mtu: number;
  /** Empty when the driver does not say. */
  readonly driver: string;
  readonly up: boolean;
  readonly xdp: 'none' | 'native' | 'generic' | 'offload';
  readonly programId: number;
  /** The NIC takes the VLAN tags of received frames off, and native XDP can ask for them. */
  readonly stripsVlan: boolean;
  readonly tellsVlan: boolean;
  /** NETDEV_XDP_ACT_* of linux/netdev.h: what the driver can do with XDP; null before Linux 6.3. */
  readonly xdpFeatures: number | null;
}

export interface BpfAddon extends NativeAddon {
  /** Loads programs and maps at once. @throws {@link NativeFailure} */
  readonly Capture: new (
    options: CaptureOptions,
    onEvent: (event: number) => void,
  ) => NativeCapture;
  /** @throws {@link NativeFailure} */
  probeInterface(name: string, netns: string): InterfaceFacts;
  /** Whether somebody keeps the wall clock, and how far it may be off. @throws {@link NativeFailure} */
  clockState(): { readonly synchronised: boolean; readonly maximumErrorSeconds: number };
}

/** What the addon throws: which operation, the errno, and what libbpf and the verifier said. */
export interface NativeFailure extends Error {
  readonly operation: string;
  readonly errno: number;
  readonly log: string;
}

export const isNativeFailure = (error: unknown): error is NativeFailure =>
  error instanceof Error && 'operation' in error && 'errno' in error;

/** The addon with its kernel part. @throws TG_CAPTURE_ADDON */
export const loadBpfAddon = (): BpfAddon => loadAddon<BpfAddon>();

/** Where `make bpf` puts the programs. */
export const gatewayObjectPath = (): string => join(packageRoot(), 'build', 'bpf', 'gateway.bpf.o');

/** Bumped with TG_ABI_VERSION of bpf/flow_abi.h: another layout lives in another directory, and is drained. */
const PIN_VERSION = 4;
export const PIN_ROOT = '/sys/fs/bpf/tidegate';

/** Where a gateway's maps and links are pinned. */
export const pinDirectory = (gateway: string): string => join(PIN_ROOT, gateway, `v${PIN_VERSION}`);

/** Memory that outlives a process and not the host, as pinned maps do. */
const STATE_DIRECTORY = '/dev/shm';

/** Where a gateway's flows and batches outlive its process; '' where there is no such memory. */
export const stateFile = (gateway: string): string =>
  existsSync(STATE_DIRECTORY) ? join(STATE_DIRECTORY, `tidegate-${gateway}.state`) : '';

/**
 * Removes everything that a gateway pinned, of any version: links first, so that no program meters into maps that
 * nobody holds. Its traffic is no longer metered. Returns how many pins there were.
 */
export function detachPinned(gateway: string): number {
  const root = join(PIN_ROOT, gateway);
  if (stateFile(gateway) !== '') rmSync(stateFile(gateway), { force: true });
  if (!existsSync(root)) return 0;
  let removed = 0;
  for (const version of readdirSync(root)) {
    const directory = join(root, version);
    const isLink = (name: string): number => (name.startsWith('link-') ? 0 : 1);
    for (const name of readdirSync(directory).sort((a, b) => isLink(a) - isLink(b))) {
      unlinkSync(join(directory, name));
      removed += 1;
    }
    rmdirSync(directory);
  }
  rmdirSync(root);
  if (readdirSync(PIN_ROOT).length === 0) rmdirSync(PIN_ROOT);
  return removed;
}
