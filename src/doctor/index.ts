import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { watchedInterfaces } from '../config/parts.js';
import type { GatewayConfig } from '../config/schema.js';
import { type Check, type DoctorFinding, unknown } from './finding.js';
import { interfaceChecks } from './interfaces.js';
import { kernelChecks } from './kernel.js';
import { surroundingChecks } from './surroundings.js';
import { type Trial, tryDatapath } from './trial.js';

export type { DoctorFinding } from './finding.js';

/** Every check, in the order in which they are run. Ids are stable: scripts may rely on them. */
export function checksOf(config: GatewayConfig, logger: Logger, running: boolean): Check[] {
  let tried: Promise<Trial> | undefined;
  const trial = (): Promise<Trial> => {
    tried ??= tryDatapath(logger);
    return tried;
  };
  return [
    ...kernelChecks(trial, running),
    ...interfaceChecks(watchedInterfaces(config), trial, running),
    ...surroundingChecks(config),
  ];
}

/**
 * Examines the host for a configuration: tries what the gateway will do, undoes it, and says what is in the way. In a
 * gateway that is `running` what it has done needs no trying, and it may no longer be allowed to.
 */
export async function examine(
  config: GatewayConfig,
  logger: Logger,
  { running = false }: { readonly running?: boolean } = {},
): Promise<DoctorFinding[]> {
  const findings: DoctorFinding[] = [];
  for (const { id, run } of checksOf(config, logger, running)) {
    try {
      for (const finding of await run()) findings.push({ id, ...finding });
    } catch (error) {
      findings.push({ id, ...unknown(messageOf(error), 'this check itself failed: please report it') });
    }
  }
  return findings;
}
