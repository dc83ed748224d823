import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { FlowBatch } from '../flow/batch.js';
import { EVENT_FLUSHED } from './addon.js';
import {
  type BpfAddon,
  type CaptureCounters,
  gatewayObjectPath,
  type Inheritance,
  loadBpfAddon,
  type NativeCapture,
  type OverloadStep,
  pinDirectory,
  type ScannedCounters,
  stateFile,
} from './bpf.js';
import {
  busy,
  explainAttach,
  explainEgress,
  explainLoad,
  explainProbe,
  fail,
  mayFallBack,
} from './errors.js';
import { type MeterSettings, prepareMeter } from './meter-options.js';
import { OVERLOAD_STEPS, OverloadLadder, type OverloadOptions, type OverloadState } from './overload.js';
import { sourceCounters } from './replay.js';
import { SlabPool } from './slab-pool.js';
import type { FlowSource, InterfaceState, LossCount, SourceCounters } from './source.js';
import { SteeringDatapath } from './steering.js';

export interface XdpInterface {
  readonly name: string;
  /** Path of its network namespace, e.g. /run/netns/gateway; absent = our own. */
  readonly netns?: string | undefined;
}

export interface XdpOptions extends Partial<MeterSettings> {
  readonly interfaces: readonly XdpInterface[];
  /** `auto` (default) tries native XDP and falls back to generic with the reason. */
  readonly mode?: 'auto' | 'native' | 'generic';
  /** Also meter what this host itself sends by these interfaces. */
  readonly egress?: boolean;
  /** Give things up by steps while the reader cannot keep up (default), or `false`: lose records instead. */
  readonly overload?: OverloadOptions | false;
  /** Ring buffer per CPU, bytes, a power of two. */
  readonly ringBytes?: number;
  /** A batch that is not full is handed over after so many ms. */
  readonly batchMs?: number;
  /**
   * Name under which maps and links are pinned (/sys/fs/bpf/tidegate/NAME), so that metering goes on when this process
   * dies and the next one takes over. Absent = everything ends with the process.
   */
  readonly pinName?: string;
  /** Make it possible to steer packets by {@link XdpSource.steering}. Default false: no cost. */
  readonly steering?: boolean;
  /** The compiled programs; default build/bpf/gateway.bpf.o of this package. */
  readonly objectPath?: string;
}

const DEFAULTS = {
  idleTimeoutMs: 15_000,
  activeTimeoutMs: 60_000,
  cacheEntries: 4096,
  maxFlows: 1_000_000,
  slabs: 8,
  slabRows: 1024,
  ringBytes: 8 * 2 ** 20,
  batchMs: 250,
} as const;

/** Exists on PREEMPT_RT kernels only. */
const REALTIME_MARK = '/sys/kernel/realtime';
/** A timer wake-up is dear in virtual machines: few and large slices (docs/architecture.md). */
const SWEEP_PERIOD_NS = 20e6;
const SWEEP_SLICE = 512;
const SWEEP_PER_BATCH = 8;
const CLOCK_PACKETS = 16;

/** Packets that arrive while the last of them are flushed are waited for at most so often. */
const MAX_FINAL_FLUSHES = 10;

/** The conservation law with resident packets counted independently of the counters they are compared with. */
export interface Audit {
  /** False when traffic moved meanwhile; the comparison then means nothing. */
  readonly quiet: boolean;
  readonly counted: SourceCounters['resident'];
  readonly derived: SourceCounters['resident'];
  /** Rings lost so many records by their own count, and so many numbers are missing in what arrived. */
  readonly ringLostRecords: number;
  readonly missingRecords: number;
}

/**
 * The kernel datapath as a source of flow records: native XDP on any number of NICs, in any network namespace.
 * Inert until `start`, which attaches or leaves nothing behind. `stop` detaches, flushes and waits until every
 * batch has been handed over, so afterwards nothing is resident but what the consumer holds.
 */
export class XdpSource implements FlowSource {
  onBatch: ((batch: FlowBatch) => void) | undefined;
  readonly #options: XdpOptions;
  readonly #addon: BpfAddon;
  readonly #logger: Logger | undefined;
  readonly #pool: SlabPool;
  readonly #prepared: ReturnType<typeof prepareMeter>;
  readonly #interfaces: Omit<InterfaceState, 'rxPackets' | 'rxOctets' | 'txPackets' | 'txOctets'>[] = [];
  readonly #flushed: (() => void)[] = [];
  #native: NativeCapture | undefined;
  #steering: SteeringDatapath | undefined;
  #ladder: OverloadLadder | undefined;
  #inherited: Inheritance = NO_INHERITANCE;
  #running = false;

  /** @throws TG_CAPTURE_ADDON when no addon is passed and it is not built */
  constructor(options: XdpOptions, addon: BpfAddon = loadBpfAddon(), logger?: Logger) {
    this.#options = options;
    this.#addon = addon;
    this.#logger = logger;
    this.#prepared = prepareMeter({ ...DEFAULTS, ...options });
    this.#pool = new SlabPool(
      this.#prepared.buffers,
      (packets, octets, slab) => this.#native?.delivered(packets, octets, slab),
      () => this.#inherited.stateName,
    );
  }

  /**
   * Loads, attaches and starts reading.
   *
   * @throws TG_CAPTURE_OBJECT, TG_CAPTURE_PRIVILEGE, TG_CAPTURE_VERIFIER, TG_CAPTURE_KERNEL,
   *   TG_CAPTURE_INTERFACE_MISSING, TG_CAPTURE_NETNS, TG_CAPTURE_XDP_BUSY, TG_CAPTURE_ATTACH
   */
  async start(): Promise<void> {
    if (this.#native !== undefined) throw new TypeError('a source is started once');
    const native = this.#load();
    this.#native = native;
    try {
      for (const wanted of this.#options.interfaces) {
        this.#attach(native, wanted);
        if (this.#options.egress) this.#attachEgress(native, wanted);
      }
      if (this.#options.steering) this.#steering = new SteeringDatapath(native);
      this.#running = true;
      const swept = native.start();
      if (this.#options.overload !== false) await this.#startLadder(native);
      this.#inherited = native.inherited();
      this.#reportInheritance();
      this.#logger?.info({ interfaces: this.#interfaces, sweptCpus: swept }, 'metering');
    } catch (error) {
      this.#running = false;
      native.stop();
      throw explainLoad(error, release());
    }
  }

  #reportInheritance(): void {
    const { adopted, recovered, stateProblem, takenPackets, deliveredPackets } = this.#inherited;
    if (stateProblem !== '')
      this.#logger?.warn({ reason: stateProblem }, 'flows in memory will not outlive this process');
    if (!adopted) return;
    if (recovered) this.#logger?.info('took over the datapath and the flows of a process that died');
    else
      this.#logger?.warn(
        { lostPackets: takenPackets - deliveredPackets },
        'took over the datapath of a process that died; what was in its memory is counted as lost',
      );
  }

  async stop(): Promise<void> {
    const native = this.#native;
    if (native === undefined || !this.#running) return;
    native.detach();
    await this.#ladder?.stop();
    for (let i = 0; i < MAX_FINAL_FLUSHES; i += 1) {
      await this.flush();
      const { kernelCache, rings, flowTable } = this.counters().resident;
      if (kernelCache + rings + flowTable === 0) break;
    }
    this.#running = false;
    native.stop();
    native.unpin();
  }

  async flush(): Promise<void> {
    if (!this.#running || this.#native === undefined) return;
    const done = new Promise<void>((resolve) => {
      this.#flushed.push(resolve);
    });
    this.#native.flush();
    await done;
  }

  /** Rules, weights and links, while it runs; undefined when steering was not asked for. */
  get steering(): SteeringDatapath | undefined {
    return this.#running ? this.#steering : undefined;
  }

  interfaces(): InterfaceState[] {
    return this.#interfaces.map((state) => {
      const { packets, octets, txPackets, txOctets } =
        this.#native?.interfaceCounters(state.index) ?? NO_INTERFACE_COUNTERS;
      return { ...state, rxPackets: packets, rxOctets: octets, txPackets, txOctets };
    });
  }

  /** What is given up now, and how often each step was taken. */
  overload(): OverloadState {
    return this.#ladder?.state() ?? NO_OVERLOAD;
  }

  counters(): SourceCounters {
    const native = this.#native?.counters(false);
    return native === undefined ? NOTHING : this.#terms(native);
  }

  /** Counts what is resident, entry by entry. Holds the reader up for some ms: for tests, doctor and reports. */
  audit(): Audit {
    const native: ScannedCounters | undefined = this.#native?.counters(true);
    if (native === undefined) {
      const { resident } = NOTHING;
      return { quiet: true, counted: resident, derived: resident, ringLostRecords: 0, missingRecords: 0 };
    }
    const delivered = this.#pool.deliveredPackets;
    return {
      quiet: native.quiet,
      counted: {
        kernelCache: native.scannedCache,
        rings: native.scannedRings,
        flowTable: native.scannedTable,
        slabs: native.writtenPackets - delivered,
      },
      derived: this.#terms(native).resident,
      ringLostRecords: native.ring_lost_records,
      missingRecords: native.missingRecords,
    };
  }

  /** Runs the loaded program over one frame, without a NIC. Its verdict; 2 = XDP_PASS. */
  runFrame(frame: Uint8Array): number {
    if (this.#native === undefined) throw new TypeError('the source is not started');
    return this.#native.runXdp(frame);
  }

  #load(): NativeCapture {
    const objectPath = this.#options.objectPath ?? gatewayObjectPath();
    if (!existsSync(objectPath)) throw fail('TG_CAPTURE_OBJECT', { path: objectPath });
    if (existsSync(REALTIME_MARK)) throw fail('TG_CAPTURE_REALTIME');
    const { options } = this.#prepared;
    const sweepNs = Math.ceil(options.cacheEntries / SWEEP_SLICE) * SWEEP_PERIOD_NS;
    try {
      return new this.#addon.Capture(
        {
          ...options,
          objectPath,
          graceNs: options.graceNs + sweepNs,
          sweepPeriodNs: SWEEP_PERIOD_NS,
          sweepSlice: SWEEP_SLICE,
          sweepPerBatch: SWEEP_PER_BATCH,
          clockPackets: CLOCK_PACKETS,
          egress: this.#options.egress ?? false,
          ringBytes: this.#options.ringBytes ?? DEFAULTS.ringBytes,
          batchMs: this.#options.batchMs ?? DEFAULTS.batchMs,
          steering: this.#options.steering ?? false,
          pinDirectory: this.#options.pinName === undefined ? '' : pinDirectory(this.#options.pinName),
          stateFile: this.#options.pinName === undefined ? '' : stateFile(this.#options.pinName),
        },
        (event) => this.#onEvent(event),
      );
    } catch (error) {
      throw explainLoad(error, release());
    }
  }

  /** The attach ladder: native, then generic where that is allowed. */
  #attach(native: NativeCapture, { name, netns = '' }: XdpInterface): void {
    const mode = this.#options.mode ?? 'auto';
    let facts: ReturnType<BpfAddon['probeInterface']>;
    try {
      facts = this.#addon.probeInterface(name, netns);
    } catch (error) {
      throw explainProbe(error, name, netns);
    }
    if (native.hasPinnedLink(name, netns) && (facts.xdp === 'native' || facts.xdp === 'generic')) {
      const index = native.attach(name, netns, facts.xdp === 'native');
      this.#interfaces.push({ name, index, mode: facts.xdp, reason: 'taken over from an earlier process' });
      return;
    }
    if (facts.xdp !== 'none') throw busy(name, facts);
    const attach = (how: 'native' | 'generic', reason?: string): void => {
      try {
        const index = native.attach(name, netns, how === 'native');
        this.#interfaces.push({ name, index, mode: how, ...(reason === undefined ? {} : { reason }) });
      } catch (error) {
        throw explainAttach(error, name, facts, how);
      }
    };
    try {
      if (mode === 'generic') attach('generic', 'asked for by the configuration');
      else attach('native');
    } catch (error) {
      if (mode !== 'auto' || !mayFallBack(error)) throw error;
      this.#logger?.warn({ interface: name, reason: messageOf(error) }, 'falling back to generic XDP');
      attach('generic', `${error.message}; ${error.hint}`);
    }
  }

  async #startLadder(native: NativeCapture): Promise<void> {
    const port = {
      ringFill: () => native.ringFill(),
      lostRecords: () => native.counters(false).ring_lost_records,
      apply: (step: OverloadStep) => native.overload(step),
    };
    this.#ladder = new OverloadLadder(port, this.#options.overload || {}, this.#logger);
    // An earlier process may have left its own step in the maps.
    native.overload(OVERLOAD_STEPS[0]!);
    await this.#ladder.start();
  }

  #attachEgress(native: NativeCapture, { name, netns = '' }: XdpInterface): void {
    try {
      native.attachEgress(name, netns);
    } catch (error) {
      throw explainEgress(error, name, this.#addon.probeInterface(name, netns));
    }
  }

  #terms(native: CaptureCounters): SourceCounters {
    const lost: LossCount[] = [
      {
        stage: 'kernel',
        reason: 'ring_full',
        packets: native.ring_lost_packets,
        octets: native.ring_lost_octets,
      },
      {
        stage: 'kernel',
        reason: 'cache_unreadable',
        packets: native.unmetered_packets,
        octets: native.unmetered_octets,
      },
      {
        stage: 'kernel',
        reason: 'sampled_out',
        packets: native.sampled_out_packets,
        octets: native.sampled_out_octets,
      },
    ];
    const { takenPackets, takenOctets, deliveredPackets, deliveredOctets } = this.#inherited;
    const terms = sourceCounters(
      native,
      this.#pool.deliveredPackets,
      native.exported_packets - native.mergedPackets - takenPackets,
      lost,
    );
    return {
      ...terms,
      deliveredPackets: terms.deliveredPackets + deliveredPackets,
      earlierPackets: deliveredPackets,
      lost: [
        ...lost,
        {
          stage: 'process',
          reason: 'died',
          packets: takenPackets - deliveredPackets,
          octets: takenOctets - deliveredOctets,
        },
      ],
    };
  }

  #onEvent(event: number): void {
    if (event === EVENT_FLUSHED) {
      this.#flushed.shift()?.();
    } else {
      const batch = this.#pool.take(event);
      if (this.onBatch) this.onBatch(batch);
      else batch.release();
    }
  }
}

const NO_OVERLOAD: OverloadState = { level: 0, name: 'none', entered: [] };

const NO_INTERFACE_COUNTERS = { packets: 0, octets: 0, txPackets: 0, txOctets: 0 };

const NO_INHERITANCE: Inheritance = {
  adopted: false,
  recovered: false,
  stateName: '',
  stateProblem: '',
  takenPackets: 0,
  takenOctets: 0,
  deliveredPackets: 0,
  deliveredOctets: 0,
};

const NOTHING: SourceCounters = {
  seenPackets: 0,
  seenOctets: 0,
  deliveredPackets: 0,
  earlierPackets: 0,
  resident: { kernelCache: 0, rings: 0, flowTable: 0, slabs: 0 },
  lost: [],
  kinds: { ipv4: 0, ipv6: 0, nonIp: 0, fragment: 0, unparsed: 0 },
  unparsed: {},
  flowRecords: 0,
  activeFlows: 0,
};
