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
export const ALL = 'recipe';

/** Members of the recipe that take well under a millisecond and cannot hang. */
export const SAFE_MODELS: readonly string[] = ['snd', 'snw', 'l1h', 'l6h', 'l1d', 'pmed7', 'pwmed'];

/** Every name that `models` may hold. */
export const MODEL_NAMES: readonly string[] = [ALL, ...RECIPE_MEMBERS, ...EXTRA_FORECASTERS.keys()];

export interface ChosenModels {
  /** Members of the recipe; absent = all. */
  readonly wanted?: ReadonlySet<string>;
  readonly extra: readonly Forecaster[];
  readonly unknown: readonly string[];
}

/**
 * Sorts model names into members of the recipe, further forecasters and names that mean nothing. Where nobody would be
 * left, the safe members stand in.
 *
 * @param leftOut names that are not to be tried, `recipe` = all of the recipe's but the safe ones
 */
export function chooseModels(
  asked: readonly string[] | undefined,
  leftOut: readonly string[] = [],
): ChosenModels {
  if (asked === undefined && leftOut.length === 0) return { extra: [], unknown: [] };
  const left = (asked ?? [ALL]).filter((name) => !leftOut.includes(name));
  const names = left.length > 0 ? left : SAFE_MODELS;
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
