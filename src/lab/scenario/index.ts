import type { Logger } from '../../base/logger.js';
import { labError } from '../errors.js';
import { LabTopology } from '../topology.js';
import { ceilingsScenario } from './ceiling-changes.js';
import { guardBreachScenario } from './guard-breach.js';
import { killMidApplyScenario } from './kill-mid-apply.js';
import { linkDownScenario } from './link-down.js';
import type { ScenarioReport } from './report.js';
import { Stage } from './stage.js';
import { steerScenario } from './steer.js';
import { surgeScenario } from './surge.js';

export type { ScenarioReport } from './report.js';

const SCENARIOS: Readonly<Record<string, (stage: Stage) => Promise<ScenarioReport>>> = {
  steer: (stage) => steerScenario(stage),
  'link-down': linkDownScenario,
  ceilings: (stage) => ceilingsScenario(stage),
  surge: (stage) => surgeScenario(stage),
  'guard-breach': guardBreachScenario,
  'kill-9-mid-apply': (stage) => killMidApplyScenario(stage),
};

export const SCENARIO_NAMES: readonly string[] = Object.keys(SCENARIOS);

export interface ScenarioOptions {
  /** Names the namespaces. Default `tidegate-scenario`. */
  readonly name?: string;
  readonly stateDirectory?: string;
  readonly logger?: Logger;
}

/**
 * Builds a lab, plays one scenario in it on real kernel sockets, removes the lab.
 * @throws TG_LAB_OPTION for a name that is none
 */
export async function runScenario(scenario: string, options: ScenarioOptions = {}): Promise<ScenarioReport> {
  const play = SCENARIOS[scenario];
  if (play === undefined)
    throw labError('TG_LAB_OPTION', {
      option: 'scenario',
      reason: `"${scenario}" is none of ${SCENARIO_NAMES.join(', ')}`,
    });
  const topology = new LabTopology({ ...options, name: options.name ?? 'tidegate-scenario' });
  await topology.start();
  try {
    const stage = new Stage(topology);
    try {
      return await play(stage);
    } finally {
      await stage.close();
    }
  } finally {
    await topology.stop();
  }
}
