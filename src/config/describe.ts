import { z } from 'zod';
import type { LoadedConfig } from './load.js';
import { gatewayConfig } from './schema.js';

/** Settings whose values nobody needs to read. */
const SECRET = /(^|\.)(password|bearerToken|secret)$/;

export interface SettingOrigin {
  readonly setting: string;
  /** The effective value; secrets are not shown. */
  readonly value: unknown;
  /** `file:line:column`, `TIDEGATE_…`, `flag`, or `default`. */
  readonly origin: string;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A configuration with its secrets left out, to be shown. */
export function withoutSecrets(value: unknown, path = ''): unknown {
  if (SECRET.test(path) && value !== undefined && value !== '') return '(secret)';
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      withoutSecrets(child, path === '' ? key : `${path}.${key}`),
    ]),
  );
}

/** Every setting with its effective value and where that was set. */
export function settingOrigins({ config, origins }: LoadedConfig<unknown>): SettingOrigin[] {
  const found: SettingOrigin[] = [];
  const originOf = (path: string): string => {
    const exact = origins.get(path);
    if (exact !== undefined) return exact;
    const above = path.split('.').slice(0, -1).join('.');
    if (above !== '' && origins.has(above)) return origins.get(above) ?? 'default';
    // A list is one setting; its origin is that of its first element.
    return [...origins].find(([name]) => name.startsWith(`${path}.`))?.[1] ?? 'default';
  };
  const visit = (value: unknown, path: string): void => {
    if (isObject(value) && Object.keys(value).length > 0) {
      for (const [key, child] of Object.entries(value)) visit(child, path === '' ? key : `${path}.${key}`);
    } else if (value !== undefined) {
      found.push({ setting: path, value, origin: originOf(path) });
    }
  };
  visit(withoutSecrets(config), '');
  return found;
}

/** The configuration as JSON Schema (draft 2020-12), for editors: what may be written into a YAML file. */
export const configJsonSchema = (): Record<string, unknown> => ({
  ...z.toJSONSchema(gatewayConfig, { io: 'input', unrepresentable: 'any' }),
  title: 'Tidegate gateway configuration',
});
