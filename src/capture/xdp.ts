import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { Capability } from '../base/capabilities.js';
import type { Logger } from '../base/logger.js';
import type { FlowBatch } from '../flow/batch.js';
import { EVENT_FLUSHED } from './addon.js';
import { headOutcomes } from './applications.js';
import { type Attached, attachEgress, attachIngress } from './attach.js';
import {
  type BpfAddon,
  type CaptureCounters,
  type Inheritance,
  loadBpfAddon,
  type NativeCapture,
  type OverloadStep,
  type ScannedCounters,
} from './bpf.js';
import { type Audit, conservationTerms, NO_INHERITANCE, NOTHING } from './conservation.js';
import { explainLoad, fail } from './errors.js';
import { OVERLOAD_STEPS, OverloadLadder, type OverloadState } from './overload.js';
import { keepOnly, worksWith } from './privileges.js';
import { SlabPool } from './slab-pool.js';
import type { FlowSource, InterfaceState, SourceCounters } from './source.js';
import { SteeringDatapath } from './steering.js';
import { captureOptions, objectPathOf, prepareXdp, type XdpOptions } from './xdp-options.js';

/** Whether programs of one CPU could interrupt each other: this file exists on PREEMPT_RT kernels only. */
export const isRealtimeKernel = (): boolean => existsSync('/sys/kernel/realtime');

/** Packets that arrive while the last of them are flushed are waited for at most so often. */
const MAX_FINAL_FLUSHES = 10;

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
  readonly #prepared: ReturnType<typeof prepareXdp>;
  readonly #interfaces: Attached[] = [];
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
    this.#prepared = prepareXdp(options);
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
        this.#interfaces.push(attachIngress(this.#addon, native, wanted, this.#options, this.#logger));
        if (this.#options.egress) attachEgress(this.#addon, native, wanted);
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
    const { drainedPackets, unreadPackets } = this.#inherited;
    if (stateProblem !== '')
      this.#logger?.warn({ reason: stateProblem }, 'flows in memory will not outlive this process');
    if (drainedPackets > 0)
      this.#logger?.info({ drainedPackets }, 'took over what a datapath of another layout held');
    if (unreadPackets > 0)
      this.#logger?.warn(
        { unreadPackets },
        'the layout of an earlier datapath cannot be read: counted as lost',
      );
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

  /**
   * Gives up every capability but these and what metering itself turns out to need: kernels before 5.19 let nobody use
   * a map without CAP_BPF where unprivileged BPF is switched off. Returns what is left. After `start`.
   * @throws NativeFailure
   */
  dropPrivileges(keep: ReadonlySet<Capability>): Capability[] {
    const native = this.#native;
    if (native === undefined) throw new TypeError('the source is not started');
    const enough = worksWith(this.#addon, keep, () => native.tryFlush());
    return keepOnly(this.#addon, enough ? keep : [...keep, 'CAP_BPF']);
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

  /** How full the fullest ring is, 0..1. */
  get ringFill(): number {
    return this.#running ? (this.#native?.ringFill() ?? 0) : 0;
  }

  /** What is given up now, and how often each step was taken. */
  overload(): OverloadState {
    return this.#ladder?.state() ?? NO_OVERLOAD;
  }

  /** Payload heads by what became of them, and what flows went without for want of room. */
  heads(): Readonly<Record<string, number>> {
    const native = this.#native?.counters(false);
    return native === undefined ? {} : headOutcomes(native);
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

  #load(): NativeCapture {
    const path = objectPathOf(this.#options);
    if (!existsSync(path)) throw fail('TG_CAPTURE_OBJECT', { path });
    if (isRealtimeKernel()) throw fail('TG_CAPTURE_REALTIME');
    try {
      return new this.#addon.Capture(captureOptions(this.#options, this.#prepared.options), (event) =>
        this.#onEvent(event),
      );
    } catch (error) {
      throw explainLoad(error, release());
    }
  }

  #terms(native: CaptureCounters): SourceCounters {
    return conservationTerms(native, this.#pool.deliveredPackets, this.#inherited);
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
