import { defineErrors } from '../base/errors.js';
import type { FlowBatch } from '../flow/batch.js';
import {
  EVENT_DONE,
  loadAddon,
  type MeterCounters,
  type NativeAddon,
  type NativeReplay,
  type ReplayedFile,
  UNPARSED_REASONS,
} from './addon.js';
import { type MeterSettings, prepareMeter } from './meter-options.js';
import { SlabPool } from './slab-pool.js';
import type { FlowSource, SourceCounters } from './source.js';

const fail = defineErrors({
  TG_CAPTURE_NO_FILE: {
    message: 'no capture file was named',
    hint: 'name pcap or pcapng files',
    exitCode: 2,
  },
});

export interface ReplayOptions extends Partial<MeterSettings> {
  readonly files: readonly string[];
  readonly addon?: NativeAddon;
}

/** RFC 5102 defaults of common exporters; a replay needs no small ones. */
const DEFAULTS: MeterSettings = {
  idleTimeoutMs: 15_000,
  activeTimeoutMs: 60_000,
  cacheEntries: 65_536,
  maxFlows: 1_000_000,
  slabs: 8,
  slabRows: 1024,
};

/** The counters of a meter as the conservation law wants them. */
export function sourceCounters(
  c: MeterCounters,
  deliveredPackets: number,
  rings: number,
  lost: SourceCounters['lost'],
): SourceCounters {
  const lostPackets = lost.reduce((sum, loss) => sum + loss.packets, 0);
  return {
    seenPackets: c.rx_packets,
    seenOctets: c.rx_octets,
    deliveredPackets,
    earlierPackets: 0,
    resident: {
      kernelCache: c.rx_packets - c.exported_packets - lostPackets,
      rings,
      flowTable: c.mergedPackets - c.emittedPackets,
      slabs: c.emittedPackets - deliveredPackets,
    },
    lost,
    kinds: {
      ipv4: c.kind_ipv4,
      ipv6: c.kind_ipv6,
      nonIp: c.kind_non_ip,
      fragment: c.kind_fragment,
      unparsed: c.kind_unparsed,
    },
    unparsed: Object.fromEntries(
      UNPARSED_REASONS.map((reason, i) => [reason, c.unparsed[i] ?? 0] as const).filter(
        ([, count]) => count > 0,
      ),
    ),
    flowRecords: c.emittedRecords,
    activeFlows: c.flowsActive,
  };
}

/**
 * Capture files through the same parser, cache and table as the kernel path, without privileges. A slow consumer
 * slows the reading. `done` resolves after the last batch was handed over and every batch was released.
 */
export class ReplaySource implements FlowSource {
  onBatch: ((batch: FlowBatch) => void) | undefined;
  readonly done: Promise<void>;
  readonly #files: readonly string[];
  readonly #pool: SlabPool;
  readonly #native: NativeReplay;
  #finish: () => void = () => {};
  #stopped = false;

  constructor(options: ReplayOptions) {
    if (options.files.length === 0) throw fail('TG_CAPTURE_NO_FILE');
    const { options: native, buffers } = prepareMeter({ ...DEFAULTS, ...options });
    this.#files = options.files;
    this.#pool = new SlabPool(buffers);
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const addon = options.addon ?? loadAddon();
    this.#native = new addon.Replay(native, (event) => this.#onEvent(event));
  }

  async start(): Promise<void> {
    this.#native.start(this.#files);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#native.stop();
    this.#finish();
  }

  /** A replay flushes by itself at the end of its files. */
  async flush(): Promise<void> {
    await this.done;
  }

  counters(): SourceCounters {
    const delivered = this.#pool.deliveredPackets;
    const native = this.#native.counters();
    return sourceCounters(native, delivered, native.exported_packets - native.mergedPackets, []);
  }

  /** CPU time of the reading thread: parse, meter, merge, write columns. After `done`. */
  get cpuSeconds(): number {
    return this.#native.counters().cpuSeconds;
  }

  /** What came of each file. After `done`. */
  files(): readonly ReplayedFile[] {
    return this.#native.files();
  }

  #onEvent(event: number): void {
    if (event === EVENT_DONE) {
      void this.#pool.released().then(() => this.#finish());
    } else if (event >= 0) {
      const batch = this.#pool.take(event);
      if (this.onBatch) this.onBatch(batch);
      else batch.release();
    }
  }
}
