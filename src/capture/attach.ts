import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { BpfAddon, NativeCapture } from './bpf.js';
import { busy, explainAttach, explainEgress, explainProbe, mayFallBack } from './errors.js';
import type { InterfaceState } from './source.js';
import type { XdpInterface } from './xdp-options.js';

/** How an interface was attached to. */
export type Attached = Omit<InterfaceState, 'rxPackets' | 'rxOctets' | 'txPackets' | 'txOctets'>;

/**
 * The attach ladder: the link of an earlier process, else native XDP, else generic where `mode` allows it.
 *
 * @throws TG_CAPTURE_INTERFACE_MISSING, TG_CAPTURE_NETNS, TG_CAPTURE_PRIVILEGE, TG_CAPTURE_XDP_BUSY, TG_CAPTURE_ATTACH
 */
export function attachIngress(
  addon: BpfAddon,
  native: NativeCapture,
  { name, netns = '' }: XdpInterface,
  mode: 'auto' | 'native' | 'generic',
  logger?: Logger,
): Attached {
  let facts: ReturnType<BpfAddon['probeInterface']>;
  try {
    facts = addon.probeInterface(name, netns);
  } catch (error) {
    throw explainProbe(error, name, netns);
  }
  if (native.hasPinnedLink(name, netns) && (facts.xdp === 'native' || facts.xdp === 'generic')) {
    const index = native.attach(name, netns, facts.xdp === 'native');
    return { name, index, mode: facts.xdp, reason: 'taken over from an earlier process' };
  }
  if (facts.xdp !== 'none') throw busy(name, facts);
  const attach = (how: 'native' | 'generic', reason?: string): Attached => {
    try {
      const index = native.attach(name, netns, how === 'native');
      return { name, index, mode: how, ...(reason === undefined ? {} : { reason }) };
    } catch (error) {
      throw explainAttach(error, name, facts, how);
    }
  };
  if (mode === 'generic') return attach('generic', 'asked for by the configuration');
  try {
    return attach('native');
  } catch (error) {
    if (mode !== 'auto' || !mayFallBack(error)) throw error;
    logger?.warn({ interface: name, reason: messageOf(error) }, 'falling back to generic XDP');
    return attach('generic', `${error.message}; ${error.hint}`);
  }
}

/** Meters what this host itself sends by an interface. @throws TG_CAPTURE_EGRESS, TG_CAPTURE_PRIVILEGE */
export function attachEgress(
  addon: BpfAddon,
  native: NativeCapture,
  { name, netns = '' }: XdpInterface,
): void {
  try {
    native.attachEgress(name, netns);
  } catch (error) {
    throw explainEgress(error, name, addon.probeInterface(name, netns));
  }
}
