import type { Component } from '../base/component.js';
import type { FlowBatch } from '../flow/batch.js';

/** Packets lost at one stage for one reason. */
export interface LossCount {
  readonly stage: string;
  readonly reason: string;
  readonly packets: number;
  readonly octets: number;
}

/**
 * What a source knows of its packets. At every quiet moment, exactly:
 * `seen = delivered + resident.kernelCache + resident.rings + resident.flowTable + resident.slabs + Σ lost`.
 */
export interface SourceCounters {
  /** Packets and octets that reached the first instruction of the meter. */
  readonly seenPackets: number;
  readonly seenOctets: number;
  /** Packets in batches that were given back with `release()`. */
  readonly deliveredPackets: number;
  /** Those among them that earlier processes delivered, whose datapath was taken over. */
  readonly earlierPackets: number;
  readonly resident: {
    readonly kernelCache: number;
    readonly rings: number;
    readonly flowTable: number;
    /** In batches handed out and not yet released, or waiting to be. */
    readonly slabs: number;
  };
  readonly lost: readonly LossCount[];
  /** Packets by kind (ipv4, ipv6, nonIp, fragment, unparsed) and unparsed ones by reason. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly unparsed: Readonly<Record<string, number>>;
  /** Flow records handed out so far and flows held in the table now. */
  readonly flowRecords: number;
  readonly activeFlows: number;
}

export interface InterfaceState {
  readonly name: string;
  readonly index: number;
  /** XDP `native` or `generic`, `tc` behind an XDP program of others, or `off` with the reason. */
  readonly mode: 'native' | 'generic' | 'tc' | 'off';
  readonly reason?: string;
  readonly rxPackets: number;
  readonly rxOctets: number;
  /** Sent by this host itself; 0 unless that is metered. */
  readonly txPackets: number;
  readonly txOctets: number;
}

/** Anything that yields flow records as column batches: the kernel datapath, or a capture file. */
export interface FlowSource extends Component {
  /** Set before `start`. Called on the main thread, in order; the callee must see that `release` is called. */
  onBatch: ((batch: FlowBatch) => void) | undefined;
  /** Exports everything resident now; resolves when the resulting batches were handed to `onBatch`. */
  flush(): Promise<void>;
  counters(): SourceCounters;
}
