import { loadavg } from 'node:os';
import type { Logger } from '../../base/logger.js';
import { labError } from '../errors.js';
import { LabTopology } from '../topology.js';
import { ceilingsScenario } from './ceiling-changes.js';
import { dayScenario } from './day.js';
import { framesScenario } from './frames.js';
import { guardBreachScenario } from './guard-breach.js';
import { killMidApplyScenario } from './kill-mid-apply.js';
import { linkDownScenario } from './link-down.js';
import type { ScenarioReport } from './report.js';
import { Stage, type SteeringName } from './stage.js';
import { steerScenario } from './steer.js';
import { surgeScenario } from './surge.js';

export type { ScenarioReport } from './report.js';
export { STEERING_NAMES, type SteeringName } from './stage.js';

const SCENARIOS: Readonly<Record<string, (stage: Stage, brief: boolean) => Promise<ScenarioReport>>> = {
  steer: (stage, brief) => steerScenario(stage, brief ? { changes: 15 } : {}),
  frames: (stage, brief) => framesScenario(stage, brief ? { changes: 10 } : {}),
  'link-down': (stage) => linkDownScenario(stage),
  ceilings: (stage, brief) => ceilingsScenario(stage, brief ? 1 : 3),
  surge: (stage) => surgeScenario(stage),
  day: (stage, brief) => dayScenario(stage, brief ? { dayMs: 8_000 } : {}),
  'guard-breach': (stage) => guardBreachScenario(stage),
  'kill-9-mid-apply': (stage, brief) => killMidApplyScenario(stage, brief ? 4 : 10),
};

/** Where queues of the links are looked at. */
const VIA_STACK: ReadonlySet<string> = new Set(['guard-breach']);

export const SCENARIO_NAMES: readonly string[] = Object.keys(SCENARIOS);

export interface ScenarioOptions {
  /** Names the namespaces. Default `tidegate-scenario`. */
  readonly name?: string;
  readonly stateDirectory?: string;
  /** What steers. Default `steer`. */
  readonly actuator?: SteeringName;
  /** Fewer repetitions: for tests that ask whether, not how fast. */
  readonly brief?: boolean;
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
    const stage = new Stage(topology, options.actuator, VIA_STACK.has(scenario));
    try {
      await stage.open();
      const report = await play(stage, options.brief ?? false);
      return { ...report, loadAverage: loadavg()[0] ?? Number.NaN };
    } finally {
      await stage.close();
    }
  } finally {
    await topology.stop();
  }
}
