import { canonicalAddress } from '../../flow/address.js';
import { FIRST_DYNAMIC_PORT } from '../features/services.js';

/** One text for a flow whichever way round it is written. IPv6 addresses in any spelling compare equal. */
export function flowKey(
  protocol: number,
  addressA: string,
  portA: number,
  addressB: string,
  portB: number,
): string {
  const a = `${canonicalAddress(addressA)}|${portA}`;
  const b = `${canonicalAddress(addressB)}|${portB}`;
  return a < b ? `${protocol}|${a}|${b}` : `${protocol}|${b}|${a}`;
}

/** Ports that say what a flow is for; −1 for dynamic ones. */
export const portIdentity = (protocol: number, port: number): number =>
  port > 0 && port < 32768 && port < FIRST_DYNAMIC_PORT ? protocol * 65536 + port : -1;
