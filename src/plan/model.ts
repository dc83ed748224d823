import type { DemandClass } from './classes.js';
import type { PlanInput } from './types.js';

/** Names of the variables of the model, shared by writing and reading. */
export const shareName = (k: number, l: number, t: number): string => `f_${k}_${l}_${t}`;
const overflowName = (l: number, t: number): string => `v_${l}_${t}`;
const violatedName = (t: number): string => `z_${t}`;
export const roomRow = (l: number, t: number): string => `room_${l}_${t}`;

const BITS_PER_GB = 8e9;
/** Breaks ties: own links before public ones, earlier links before later ones. Far below any price. */
const TIE_USD = 1e-9;
/** Overflow is kept small where it cannot be avoided; per bit/s, far below the worth of a violated minute. */
const OVERFLOW_USD_PER_BPS = 1e-15;

const term = (coefficient: number, name: string): string =>
  `${coefficient < 0 ? '-' : '+'} ${Math.abs(coefficient).toExponential(12)} ${name}`;

/**
 * The allocation of bandwidth as a mixed-integer programme in the LP format that HiGHS reads.
 *
 * min Σ price·octets(k,l,t)·f + worth·z,  Σ_l f(k,l,t) = 1,  Σ_k peak(k,t)·f(k,l,t) ≤ room(l) + v(l,t),
 * Σ_l v(l,t) ≤ M·z(t),  0 ≤ f ≤ 1,  z binary: a period is violated if any link overflows in it.
 */
export function linkModel(input: PlanInput, classes: readonly DemandClass[]): string {
  const { links, goals, periods } = input;
  const objective: string[] = [];
  const rows: string[] = [];
  const bounds: string[] = [];
  const binaries: string[] = [];
  const everything = Math.max(
    1,
    ...periods.map((_, t) => classes.reduce((sum, c) => sum + c.peakBps[t]!, 0)),
  );
  for (const [t, period] of periods.entries()) {
    const seconds = period.durationMs / 1000;
    for (const [k, demand] of classes.entries()) {
      const names: string[] = [];
      for (const [l, link] of links.entries()) {
        const name = shareName(k, l, t);
        const usd = (demand.medianBps[t]! * seconds * link.usdPerGb) / BITS_PER_GB;
        objective.push(term(usd + TIE_USD * (l + (link.network === 'public' ? links.length : 0)), name));
        names.push(name);
        const allowed = demand.pinnedTo === undefined || demand.pinnedTo === link.linkId;
        bounds.push(allowed ? `0 <= ${name} <= 1` : `${name} = 0`);
      }
      rows.push(`one_${k}_${t}: ${names.map((name) => `+ ${name}`).join(' ')} = 1`);
    }
    for (const [l, link] of links.entries()) {
      // In units of the largest demand, so that rows are well scaled whatever the rates are.
      const used = classes.map((c, k) => term(c.peakBps[t]! / everything, shareName(k, l, t)));
      const room = link.healthy ? (link.capacityBps * goals.maximumUtilisation) / everything : 0;
      rows.push(`${roomRow(l, t)}: ${used.join(' ')} - ${overflowName(l, t)} <= ${room.toExponential(12)}`);
      objective.push(term(OVERFLOW_USD_PER_BPS * everything, overflowName(l, t)));
    }
    const overflow = links.map((_, l) => `+ ${overflowName(l, t)}`).join(' ');
    rows.push(`viol_${t}: ${overflow} - ${links.length} ${violatedName(t)} <= 0`);
    objective.push(term((period.durationMs / 60_000) * goals.violationUsdPerMinute, violatedName(t)));
    binaries.push(violatedName(t));
  }
  return [
    'Minimize',
    ` cost: ${objective.join('\n  ')}`,
    'Subject To',
    ...rows.map((row) => ` ${row}`),
    'Bounds',
    ...bounds.map((bound) => ` ${bound}`),
    'Binaries',
    ` ${binaries.join(' ')}`,
    'End',
    '',
  ].join('\n');
}
