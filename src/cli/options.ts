import { InvalidArgumentError, Option } from 'commander';
import type { OutputFormat } from './context.js';

/** `--output`, the same everywhere. */
export const outputOption = (choices: readonly OutputFormat[]): Option =>
  new Option('-o, --output <format>', 'how to print the result').choices([...choices]).default(choices[0]);

/** A number of seconds > 0. */
export function positiveSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new InvalidArgumentError('expected a number of seconds above 0');
  return seconds;
}

/** Parses a whole number ≥ `least`. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`expected a whole number of at least ${least}`);
    return value;
  };
