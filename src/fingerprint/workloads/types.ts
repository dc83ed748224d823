/** What one batch says about one service endpoint: the side of its flows that answers. Plain data, cloneable. */
export interface EndpointSummary {
  /** Stable name: `6/443/<address>`, with `/<server name>` behind it where one was seen; `icmp/<address>`, `ethernet/<type>`, `unparsed/<reason>` for the rest. */
  readonly key: string;
  /** Address of the responder as text, empty where there is none. */
  readonly address: string;
  /** Service port; ICMP and other protocols 0; EtherType of non-IP. */
  readonly port: number;
  /** IANA protocol number; 0 with a non-IP key. */
  readonly protocol: number;
  /** Name by which clients asked for the service (SNI or HTTP host), lower case; absent = none was seen. */
  readonly serverName?: string;
  readonly flows: number;
  /** Initiator to responder. */
  readonly octets: number;
  readonly packets: number;
  readonly reverseOctets: number;
  readonly reversePackets: number;
  /** Sum over flows of last minus first packet. */
  readonly durationMs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** [mean | maximum | minimum] of the flows' fingerprints, 3 × 32. */
  readonly pooled: Float32Array;
  /** Mean of the flows' vectors without their ports, 32; absent = the model has none, or does not look at ports. */
  readonly behaviour?: Float32Array;
  /** Packets by size bin, 16 forward then 16 reverse. */
  readonly sizeHistogram: Float32Array;
  /** Mean reconstruction error of the flows. */
  readonly reconstructionError: number;
}

export interface EndpointGroups {
  /** Row → index into `endpoints`. */
  readonly endpointOfRow: Uint32Array;
  readonly endpoints: EndpointSummary[];
}

/** Which workload an observed endpoint belongs to. */
export interface Assignment {
  /** > 0, stable. */
  readonly workloadId: number;
  /** Cosine similarity to the workload, −1..1; 1 for the first endpoint of a new one. */
  readonly score: number;
  /** The endpoint founded a workload that was not known before. */
  readonly isNew: boolean;
}

/** A set of service endpoints that behave alike. */
export interface Workload {
  readonly workloadId: number;
  readonly name: string;
  /** Who gave the name. */
  readonly namedBy: 'behaviour' | 'rule' | 'user';
  readonly endpoints: number;
  readonly flows: number;
  readonly octets: number;
  readonly reverseOctets: number;
  readonly packets: number;
  readonly reversePackets: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** Unit vector; valid for the registry's model only. */
  readonly fingerprint: Float32Array;
  /** Most used service, e.g. `tcp/443`. */
  readonly service: string;
  /** Slow average of the reconstruction error. */
  readonly reconstructionError: number;
  /** Population stability index of recent packet sizes against the workload's own past. */
  readonly sizeDrift: number;
  /** Its behaviour changed, which was reported, and has not settled since. */
  readonly hasChanged: boolean;
}

/** A name that a person or a rule gave, and the traffic it is about. */
export interface WorkloadLabel {
  readonly workloadId: number;
  readonly name: string;
  /** Ids that stored records of it may bear: its own, and those of workloads that became part of it. */
  readonly workloadIds: readonly number[];
  /** Keys of its endpoints, wherever they belonged when their records were stored. */
  readonly endpoints: readonly string[];
}

export type WorkloadEventKind = 'new' | 'returned' | 'changed' | 'merged' | 'split';

export interface WorkloadEvent {
  readonly kind: WorkloadEventKind;
  readonly workloadId: number;
  readonly atMs: number;
  readonly words: string;
  readonly details: Readonly<Record<string, number | string>>;
}
