import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { BpfAddon, InterfaceFacts, NativeCapture } from './bpf.js';
import { busy, explainAttach, explainProbe, explainTc, mayFallBack } from './errors.js';
import type { InterfaceState } from './source.js';
import type { XdpInterface, XdpOptions } from './xdp-options.js';

/** How an interface was attached to. */
export type Attached = Omit<InterfaceState, 'rxPackets' | 'rxOctets' | 'txPackets' | 'txOctets'>;

/**
 * The attach ladder: the link of an earlier process, else native XDP, else generic where `mode` allows it. Where the
 * XDP program of somebody else is, tc behind it if `coexist` says so.
 *
 * @throws TG_CAPTURE_INTERFACE_MISSING, TG_CAPTURE_NETNS, TG_CAPTURE_PRIVILEGE, TG_CAPTURE_XDP_BUSY, TG_CAPTURE_ATTACH,
 *   TG_CAPTURE_BEHIND_XDP
 */
export function attachIngress(
  addon: BpfAddon,
  native: NativeCapture,
  { name, netns = '' }: XdpInterface,
  { mode = 'auto', coexist = 'refuse' }: Pick<XdpOptions, 'mode' | 'coexist'>,
  logger?: Logger,
): Attached {
  let facts: ReturnType<BpfAddon['probeInterface']>;
  try {
    facts = addon.probeInterface(name, netns);
  } catch (error) {
    throw explainProbe(error, name, netns);
  }
  if (native.hasPinnedLink(name, netns) && (facts.xdp === 'native' || facts.xdp === 'generic')) {
    const { index, tagged } = native.attach(name, netns, facts.xdp === 'native');
    warnOfTags(name, facts, tagged, logger);
    return { name, index, mode: facts.xdp, reason: 'taken over from an earlier process' };
  }
  if (coexist === 'tc' && (facts.xdp !== 'none' || native.hasPinnedBehindXdp(name, netns)))
    return attachBehind(native, { name, netns }, facts, logger);
  if (facts.xdp !== 'none') throw busy(name, facts);
  const attach = (how: 'native' | 'generic', reason?: string): Attached => {
    try {
      const { index, tagged } = native.attach(name, netns, how === 'native');
      warnOfTags(name, facts, tagged, logger);
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

/** Tags that the NIC takes off and that XDP cannot ask for are missing in the records. */
function warnOfTags(name: string, facts: InterfaceFacts, tagged: boolean, logger: Logger | undefined): void {
  if (facts.stripsVlan && !tagged)
    logger?.warn(
      { interface: name, remedy: `ethtool -K ${name} rxvlan off` },
      'the NIC takes VLAN tags off received frames: records will not have them',
    );
}

function attachBehind(
  native: NativeCapture,
  { name, netns }: { readonly name: string; readonly netns: string },
  facts: InterfaceFacts,
  logger: Logger | undefined,
): Attached {
  const reason =
    facts.xdp === 'none'
      ? 'taken over from an earlier process; started anew, this one would use XDP'
      : `behind XDP program ${facts.programId} of others: what that drops or redirects is not seen`;
  try {
    const index = native.attachBehindXdp(name, netns);
    logger?.warn({ interface: name, reason }, 'metering at tc ingress');
    return { name, index, mode: 'tc', reason };
  } catch (error) {
    throw explainTc(error, name, facts, 'ingress');
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
    throw explainTc(error, name, addon.probeInterface(name, netns), 'egress');
  }
}
