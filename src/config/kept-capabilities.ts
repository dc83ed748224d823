import { existsSync, statSync } from 'node:fs';
import type { Capability } from '../base/capabilities.js';
import type { GatewayConfig } from './schema.js';

/** Ports below this need a capability (ip(7)). */
const FIRST_FREE_PORT = 1024;

/**
 * What a gateway that has attached must still be allowed to do, with the reason. To meter, store, forecast, plan,
 * serve and detach it needs nothing: descriptors and mappings of maps, rings and links are held already.
 */
export function keptCapabilities(config: GatewayConfig): Map<Capability, string> {
  const kept = new Map<Capability, string>();
  const { actuators, exec } = config.actuate;
  const network = actuators.filter((name) => ['steer', 'route', 'htb'].includes(name));
  if (network.length > 0) {
    kept.set('CAP_NET_ADMIN', `actuate.actuators: ${network.join(', ')}`);
    if (config.links.some((link) => link.netns !== undefined))
      kept.set('CAP_SYS_ADMIN', 'links are in another network namespace, which is entered to act on them');
  }
  // Links and rules that come later are programs to attach and maps to fill.
  if (network.includes('steer')) kept.set('CAP_BPF', 'actuate.actuators: steer');
  if (actuators.includes('exec'))
    for (const name of exec?.capabilities ?? []) kept.set(name, 'actuate.exec.capabilities');
  if (config.api.listen.some(({ port }) => port > 0 && port < FIRST_FREE_PORT))
    kept.set('CAP_NET_BIND_SERVICE', `api.listen has a port below ${FIRST_FREE_PORT}`);
  const owner = existsSync(config.dataDirectory) ? statSync(config.dataDirectory).uid : process.geteuid?.();
  if (process.geteuid?.() === 0 && owner !== 0)
    kept.set('CAP_DAC_OVERRIDE', `${config.dataDirectory} belongs to another user`);
  return kept;
}
