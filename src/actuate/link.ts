/** A link as actuators address it. */
export interface ActuatedLink {
  readonly linkId: string;
  /** Interface name inside the namespace that the actuator works in. */
  readonly interfaceName: string;
  /** Where it leads. Default `public`. */
  readonly network?: 'private' | 'public';
  /** What it carries at most; without it nobody can say how full it is. */
  readonly capacityBps?: number;
  /** Next hops behind the link, for steering. */
  readonly nextHopIPv4?: string;
  readonly nextHopIPv6?: string;
}

/** The side of a workload that answers. */
export interface ServiceEndpoint {
  readonly address: string;
  /** Default: the single address. */
  readonly prefixLength?: number;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** Where a workload's services are; empty when that is not known. */
export type EndpointsOf = (workloadId: number) => readonly ServiceEndpoint[];

export const isIPv6 = (endpoint: ServiceEndpoint): boolean => endpoint.address.includes(':');

/** `address/length` of an endpoint. */
export const prefixOf = (endpoint: ServiceEndpoint): string =>
  `${endpoint.address}/${endpoint.prefixLength ?? (isIPv6(endpoint) ? 128 : 32)}`;
