import { defineErrors } from '../base/errors.js';
import { EXTRA_FORECASTERS } from './members/index.js';
import { RECIPE_MEMBERS } from './recipe/members.js';
import type { Forecaster } from './types.js';

const fail = defineErrors({
  TG_FORECAST_MODEL: {
    message: 'there is no forecasting model "{model}"',
    hint: 'models are: {models}',
    exitCode: 2,
  },
});

/** Stands for all of the recipe's members. */
const ALL = 'recipe';

/** Every name that `models` may hold. */
export const MODEL_NAMES: readonly string[] = [ALL, ...RECIPE_MEMBERS, ...EXTRA_FORECASTERS.keys()];

export interface ChosenModels {
  /** Members of the recipe; absent = all. */
  readonly wanted?: ReadonlySet<string>;
  readonly extra: readonly Forecaster[];
  readonly unknown: readonly string[];
}

/** Sorts model names into members of the recipe, further forecasters and names that mean nothing. */
export function chooseModels(names: readonly string[] | undefined): ChosenModels {
  if (names === undefined) return { extra: [], unknown: [] };
  const wanted = new Set(names.flatMap((name) => (name === ALL ? RECIPE_MEMBERS : name)));
  return {
    wanted,
    extra: names.flatMap((name) => EXTRA_FORECASTERS.get(name) ?? []),
    unknown: names.filter(
      (name) => name !== ALL && !RECIPE_MEMBERS.includes(name) && !EXTRA_FORECASTERS.has(name),
    ),
  };
}

/** @throws TG_FORECAST_MODEL for a name that no model has */
export function assertModels(names: readonly string[]): void {
  const model = chooseModels(names).unknown[0];
  if (model !== undefined)
    throw fail('TG_FORECAST_MODEL', {
      model,
      models: MODEL_NAMES.join(', '),
    });
}
