import { loadBpfAddon } from '../../capture/bpf.js';

/** UDP frames of many flows, sent onto an interface of one namespace and received by sockets in others. */
export interface FrameRunOptions {
  /** Path of the sender's namespace, and its interface there. */
  readonly netns: string;
  readonly device: string;
  /** The interface that the frames are addressed to. */
  readonly gatewayNetns: string;
  readonly gatewayDevice: string;
  /** IPv4. */
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  /** Paths of the namespaces that receive. */
  readonly servers: readonly string[];
  readonly packetsPerSecond: number;
  /** Alive at the same time; one in eight is silent for eight times as long between its packets. */
  readonly flows: number;
  /** After so many packets a flow has ended and another one begins. */
  readonly packetsPerFlow: number;
  readonly milliseconds: number;
  /** What is still under way after the last frame is waited for so long. */
  readonly settleMs: number;
  /** Flows that earlier runs had: this one's begin behind them. At most 64,000 in all. */
  readonly firstFlow: number;
}

export interface FrameRunResult {
  readonly sent: number;
  readonly received: number;
  /** Frames that came behind a later one of their flow. */
  readonly reordered: number;
  readonly flows: number;
  /** Flows of which frames came to more than one server. */
  readonly moved: number;
  readonly seconds: number;
  /** When the kernel took the first frame of each flow, by server, ms of the monotonic clock, ascending. */
  readonly firstMs: readonly Float64Array[];
}

/** Sends and counts; resolves when the last frame had its time to arrive. @throws NativeFailure */
export const runFrames = (options: FrameRunOptions): Promise<FrameRunResult> =>
  (loadBpfAddon() as unknown as { frameRun(options: FrameRunOptions): Promise<FrameRunResult> }).frameRun(
    options,
  );
