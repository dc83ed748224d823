import { RememberingActuator } from './remembering-actuator.js';

/**
 * Does nothing but say and journal what would be done: the default. It remembers what it would have set, so that the
 * next preview shows only what changed.
 */
export class DryRunActuator extends RememberingActuator {
  readonly name = 'dry-run';

  protected override async tell(): Promise<void> {}
}
