import { type Capability, capabilityMask, effectiveCapabilities } from '../base/capabilities.js';
import type { NativeAddon } from './addon.js';

/** The addon's part that gives up capabilities. */
export type PrivilegesAddon = Pick<NativeAddon, 'keepCapabilities' | 'useCapabilities'>;

const ALL = 0xffff_ffff_ffff_ffffn;

/**
 * Every thread of this process gives up all capabilities but these, for good, and those that are made later have no
 * others; nor have programs that it starts, not even as root. Returns what is left.
 * @throws {@link NativeFailure}; some threads may have given them up, some not
 */
export function keepOnly(addon: PrivilegesAddon, keep: Iterable<Capability>): Capability[] {
  addon.keepCapabilities(capabilityMask(keep));
  return effectiveCapabilities();
}

/**
 * Whether something works with these capabilities alone, found out by trying it so on this thread.
 * @throws {@link NativeFailure} when capabilities cannot be put aside
 */
export function worksWith(
  addon: PrivilegesAddon,
  capabilities: Iterable<Capability>,
  attempt: () => void,
): boolean {
  addon.useCapabilities(capabilityMask(capabilities));
  try {
    attempt();
    return true;
  } catch {
    return false;
  } finally {
    addon.useCapabilities(ALL);
  }
}
