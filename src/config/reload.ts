import type { GatewayConfig } from './schema.js';

/** Settings that a running gateway takes over without letting go of a packet; all others need a restart. */
const RELOADABLE: readonly string[] = ['logLevel', 'api', 'cycle', 'plan'];
/** Exceptions among them: what they say is built into other components. */
const FIXED: readonly string[] = ['cycle.enabled', 'plan.instance', 'plan.priceBook'];

export interface ConfigChanges {
  /** Dotted paths that differ and can be taken over at once. */
  readonly reloadable: readonly string[];
  /** Dotted paths that differ and stay as they were until a restart. */
  readonly needRestart: readonly string[];
}

const isWithin = (path: string, prefix: string): boolean => path === prefix || path.startsWith(`${prefix}.`);

/** Which settings differ, and what a running gateway can do about it. */
export function configChanges(before: GatewayConfig, after: GatewayConfig): ConfigChanges {
  const reloadable: string[] = [];
  const needRestart: string[] = [];
  const compare = (a: unknown, b: unknown, path: string): void => {
    if (isObject(a) && isObject(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
        compare(a[key], b[key], path === '' ? key : `${path}.${key}`);
    } else if (JSON.stringify(a) !== JSON.stringify(b)) {
      const can = RELOADABLE.some((p) => isWithin(path, p)) && !FIXED.some((p) => isWithin(path, p));
      (can ? reloadable : needRestart).push(path);
    }
  };
  compare(before, after, '');
  return { reloadable: reloadable.sort(), needRestart: needRestart.sort() };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The configuration as it is once the reloadable part of `after` is taken over. */
export function withReloaded(before: GatewayConfig, after: GatewayConfig): GatewayConfig {
  return {
    ...before,
    logLevel: after.logLevel,
    api: after.api,
    cycle: { ...after.cycle, enabled: before.cycle.enabled },
    plan: { ...after.plan, instance: before.plan.instance, priceBook: before.plan.priceBook },
  };
}
