import { actuateError } from './errors.js';

/**
 * Loads a package that only some installations have, when it is needed and not before.
 * @throws TG_ACTUATE_PACKAGE when it is not installed
 */
export async function loadOptional<T>(name: string): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (cause) {
    throw actuateError('TG_ACTUATE_PACKAGE', { package: name }, cause);
  }
}
