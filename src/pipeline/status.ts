import type { InterfaceState, LossCount, SourceCounters } from '../capture/source.js';

/**
 * The conservation law of the whole gateway. `seen = stored + resident + lost`, exactly: `difference` is what is
 * missing from it and is 0 whenever the terms were read at a quiet moment.
 */
export interface PacketBalance {
  readonly seen: number;
  /** In records that ClickHouse acknowledged. */
  readonly stored: number;
  /** On their way, by place. */
  readonly resident: number;
  readonly residentBy: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly lostBy: readonly LossCount[];
  readonly difference: number;
}

export interface PlannedChange {
  readonly atMs: number;
  readonly words: string;
}

export interface WorkloadStatus {
  readonly workloadId: number;
  readonly name: string;
  readonly rateBps: number;
  readonly flows: number;
}

export interface PlanStatus {
  readonly id: string;
  readonly costUsd: number;
  readonly doNothingUsd: number;
  readonly createdMs: number;
  readonly next: PlannedChange | null;
}

/** What a running gateway says of itself: `tidegate status`, the live screen, and the API share it. */
export interface GatewayStatus {
  readonly gateway: string;
  readonly mode: 'lab' | 'observe' | 'replay';
  readonly startedMs: number;
  readonly nowMs: number;
  readonly interfaces: readonly (InterfaceState & { readonly linkId: string })[];
  readonly packets: PacketBalance;
  readonly rate: { readonly packetsPerSecond: number; readonly bitsPerSecond: number };
  readonly flows: { readonly active: number; readonly records: number };
  readonly records: { readonly written: number };
  readonly workloads: readonly WorkloadStatus[];
  readonly forecasts: number;
  readonly plan: PlanStatus | null;
  readonly store: { readonly kind: string; readonly reachable: boolean; readonly spoolBytes: number };
  readonly warnings: readonly string[];
}

/** Adds the terms up. */
export function balanceOf(
  seen: number,
  stored: number,
  residentBy: Readonly<Record<string, number>>,
  lostBy: readonly LossCount[],
): PacketBalance {
  const resident = Object.values(residentBy).reduce((sum, n) => sum + n, 0);
  const lost = lostBy.reduce((sum, loss) => sum + loss.packets, 0);
  return { seen, stored, resident, residentBy, lost, lostBy, difference: seen - stored - resident - lost };
}

/** The balance of a gateway whose parts counted so. Read the last part first: a packet may be counted late, never twice. */
export function packetsOf(
  source: SourceCounters,
  lostBetween: readonly LossCount[],
  writer: {
    readonly spooledPackets: number;
    readonly storedPackets: number;
    readonly lost: readonly LossCount[];
  },
): PacketBalance {
  const writerLost = writer.lost.reduce((sum, loss) => sum + loss.packets, 0);
  return balanceOf(
    source.seenPackets - source.earlierPackets,
    writer.storedPackets,
    { ...source.resident, spool: writer.spooledPackets - writer.storedPackets - writerLost },
    [...source.lost, ...lostBetween, ...writer.lost].filter((loss) => loss.packets > 0),
  );
}

export const planStatusOf = (
  { id, costUsd, doNothingUsd, createdMs }: Omit<PlanStatus, 'next'>,
  next: PlannedChange | null,
): PlanStatus => ({ id, costUsd, doNothingUsd, createdMs, next });
