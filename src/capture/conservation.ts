import type { CaptureCounters, Inheritance } from './bpf.js';
import { sourceCounters } from './replay.js';
import type { LossCount, SourceCounters } from './source.js';

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
 * The terms of the conservation law, from the datapath's counters, from what the consumer gave back in this process and
 * from what earlier processes took and gave back.
 */
export function conservationTerms(
  native: CaptureCounters,
  deliveredHere: number,
  inherited: Inheritance,
): SourceCounters {
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
  const { unreadPackets, unreadOctets } = inherited;
  lost.push({ stage: 'kernel', reason: 'other_layout', packets: unreadPackets, octets: unreadOctets });
  const { takenPackets, takenOctets, deliveredPackets, deliveredOctets } = inherited;
  const terms = sourceCounters(
    native,
    deliveredHere,
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

/** Of a process that took nothing over. */
export const NO_INHERITANCE: Inheritance = {
  adopted: false,
  recovered: false,
  stateName: '',
  stateProblem: '',
  takenPackets: 0,
  takenOctets: 0,
  deliveredPackets: 0,
  deliveredOctets: 0,
  drainedPackets: 0,
  unreadPackets: 0,
  unreadOctets: 0,
};

/** Before anything was metered. */
export const NOTHING: SourceCounters = {
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
