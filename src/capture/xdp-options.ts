import { type CaptureOptions, gatewayObjectPath, pinDirectory, stateFile } from './bpf.js';
import { type MeterSettings, prepareMeter } from './meter-options.js';
import type { OverloadOptions } from './overload.js';

export interface XdpInterface {
  readonly name: string;
  /** Path of its network namespace, e.g. /run/netns/gateway; absent = our own. */
  readonly netns?: string | undefined;
}

export interface XdpOptions extends Partial<MeterSettings> {
  readonly interfaces: readonly XdpInterface[];
  /** `auto` (default) tries native XDP and falls back to generic with the reason. */
  readonly mode?: 'auto' | 'native' | 'generic';
  /**
   * Where another XDP program is on an interface already: `refuse` to start (default), or meter by `tc` behind it what
   * it lets pass. It is never replaced.
   */
  readonly coexist?: 'refuse' | 'tc';
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

/** A timer wake-up is dear in virtual machines: few and large slices (docs/architecture.md). */
const SWEEP_PERIOD_NS = 20e6;
const SWEEP_SLICE = 512;
const SWEEP_PER_BATCH = 8;
const CLOCK_PACKETS = 16;

/** Where the compiled programs of a source lie. */
export const objectPathOf = (options: XdpOptions): string => options.objectPath ?? gatewayObjectPath();

/** The meter of these options, checked. @throws TG_CAPTURE_OPTION */
export const prepareXdp = (options: XdpOptions): ReturnType<typeof prepareMeter> =>
  prepareMeter({ ...DEFAULTS, ...options });

/** What the addon is told; `meter` comes from {@link prepareXdp}. */
export function captureOptions(
  options: XdpOptions,
  meter: ReturnType<typeof prepareMeter>['options'],
): CaptureOptions {
  const sweepNs = Math.ceil(meter.cacheEntries / SWEEP_SLICE) * SWEEP_PERIOD_NS;
  return {
    ...meter,
    objectPath: objectPathOf(options),
    // A delta waits until the sweep has come round.
    graceNs: meter.graceNs + sweepNs,
    sweepPeriodNs: SWEEP_PERIOD_NS,
    sweepSlice: SWEEP_SLICE,
    sweepPerBatch: SWEEP_PER_BATCH,
    clockPackets: CLOCK_PACKETS,
    egress: options.egress ?? false,
    behindXdp: options.coexist === 'tc',
    ringBytes: options.ringBytes ?? DEFAULTS.ringBytes,
    batchMs: options.batchMs ?? DEFAULTS.batchMs,
    steering: options.steering ?? false,
    pinDirectory: options.pinName === undefined ? '' : pinDirectory(options.pinName),
    stateFile: options.pinName === undefined ? '' : stateFile(options.pinName),
  };
}
