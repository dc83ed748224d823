import { gatewayObjectPath, loadBpfAddon } from '../../src/capture/bpf.js';
import { sizeLut, type TunnelName, tunnelBits } from '../../src/capture/meter-options.js';
import { type HeadWant, headWantWords } from '../../src/capture/payload-heads.js';
import { type Delta, deltas } from './delta.js';
import { type Head, headsOf } from './head.js';

/** A fixed secret: both builds must put a key into the same slot. */
export const SECRET = Uint32Array.from({ length: 13 }, (_, i) => 0x9e3779b1 * (i + 1));

interface RawMeter {
  flush(): void;
  records(): Buffer;
  heads(): Buffer;
  counters(): Record<string, number> & { readonly unparsed: readonly number[] };
}

interface RawKernelMeter extends RawMeter {
  overload(sampling: number, foldNew: boolean, withoutHeads: boolean): void;
  run(frame: Uint8Array): { readonly verdict: number; readonly tick: number };
}

interface RawUserMeter extends RawMeter {
  run(frame: Uint8Array, tick: number, ifindex: number): void;
}

interface MeterAddon {
  parseFrame(frame: Uint8Array, tunnels: number): { readonly quick?: Buffer; readonly slow: Buffer };
  readonly KernelMeter: new (options: object) => RawKernelMeter;
  readonly UserMeter: new (options: object) => RawUserMeter;
}

export interface TestMeterOptions {
  readonly cacheEntries?: number;
  readonly exportTicks?: number;
  readonly sizeEdges?: readonly number[];
  readonly tunnels?: readonly TunnelName[];
  readonly headBytes?: number;
  /** Payload heads that are wanted; absent = none. */
  readonly headWants?: readonly HeadWant[];
  /** Which of the kernel's programs: XDP by default. */
  readonly hook?: 'xdp' | 'egress' | 'ingress';
}

const options = (o: TestMeterOptions): object => ({
  cacheEntries: o.cacheEntries ?? 256,
  exportTicks: o.exportTicks ?? 2 ** 31,
  secret: SECRET,
  sizeLut: sizeLut(o.sizeEdges),
  tunnels: tunnelBits(o.tunnels),
  headBytes: o.headBytes ?? 0,
  ...(o.headWants === undefined ? {} : { headWants: headWantWords(o.headWants) }),
  hook: o.hook ?? 'xdp',
  objectPath: gatewayObjectPath(),
  ringBytes: 2 ** 20,
});

const addon = (): MeterAddon => loadBpfAddon() as unknown as MeterAddon;

/** BPF_PROG_TEST_RUN's interface is the loopback of the namespace. */
export const TEST_RUN_IFINDEX = 1;
export const XDP_PASS = 2;
/** The next tc program, or the stack. */
export const TCX_NEXT = -1;

/** What each way through the parser makes of a frame; `quick` is undefined when that way declines. */
export const parseBothWays = (
  frame: Uint8Array,
  tunnels: readonly TunnelName[] = [],
): { readonly quick?: Buffer; readonly slow: Buffer } => addon().parseFrame(frame, tunnelBits(tunnels));

/** The user-space build: the same C lines that replay runs. */
export class UserMeter {
  readonly #raw: RawUserMeter;

  constructor(o: TestMeterOptions = {}) {
    this.#raw = new (addon().UserMeter)(options(o));
  }

  run(frame: Uint8Array, tick: number, ifindex = TEST_RUN_IFINDEX): void {
    this.#raw.run(frame, tick, ifindex);
  }

  /** Makes everything leave; the records since the last call. */
  finish(): Delta[] {
    this.#raw.flush();
    return deltas(this.#raw.records());
  }

  /** Payload heads since the last call. */
  heads(): Head[] {
    return headsOf(this.#raw.heads());
  }

  counters() {
    return this.#raw.counters();
  }
}

/** The kernel's build through BPF_PROG_TEST_RUN. `ticks` are the times that it read, one a frame. */
export class KernelMeter {
  readonly #raw: RawKernelMeter;
  readonly ticks: number[] = [];

  constructor(o: TestMeterOptions = {}) {
    this.#raw = new (addon().KernelMeter)(options(o));
  }

  /** The program's verdict. */
  run(frame: Uint8Array): number {
    const { verdict, tick } = this.#raw.run(frame);
    this.ticks.push(tick);
    return verdict;
  }

  finish(): Delta[] {
    this.#raw.flush();
    return deltas(this.#raw.records());
  }

  /** Payload heads since the last call. */
  heads(): Head[] {
    return headsOf(this.#raw.heads());
  }

  overload(sampling: number, foldNew: boolean, withoutHeads: boolean): void {
    this.#raw.overload(sampling, foldNew, withoutHeads);
  }

  counters() {
    return this.#raw.counters();
  }
}
