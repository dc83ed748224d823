import { clock, rate, short } from '../format.js';
import type { Plan } from '../types.js';
import { Legend } from './legend.js';
import { colourOfKey } from './palette.js';
import { Scroll } from './scroll.js';

const WIDTH = 960;
const LEFT = 110;
const ROW = 74;

/** One stack a target over the plan's periods, against its capacity where that is known. */
export function Gantt({
  plan,
  resource,
  nameOf,
}: {
  readonly plan: Plan;
  readonly resource: 'bandwidth' | 'cpu';
  readonly nameOf: (workloadId: number) => string;
}) {
  const own = plan.allocations.filter((a) => a.resource === resource);
  const targets = [...new Set(own.map((a) => a.target))].sort();
  const [first] = plan.periods;
  const last = plan.periods.at(-1);
  if (first === undefined || last === undefined || targets.length === 0)
    return <p class="muted">Nothing is allocated.</p>;
  const fromMs = first.startMs;
  const untilMs = last.startMs + last.durationMs;
  const x = (ms: number): number => LEFT + ((ms - fromMs) / (untilMs - fromMs)) * (WIDTH - LEFT);
  const show = (amount: number): string =>
    resource === 'bandwidth' ? rate(amount) : `${short(amount)} cores`;
  const height = targets.length * ROW + 18;
  const workloads = [...new Set(own.map((a) => a.workloadId))].sort((a, b) => a - b);
  return (
    <Scroll of={`${resource} by target`}>
      <svg
        class="gantt"
        viewBox={`0 0 ${WIDTH} ${height}`}
        role="img"
        aria-label={`${resource} by target over ${plan.periods.length} periods`}
      >
        <title>{`${resource} by target`}</title>
        {targets.map((target, row) => {
          const parts = own.filter((a) => a.target === target);
          const capacity = plan.inputs?.links.find((link) => link.linkId === target)?.capacityBps;
          const sums = new Map<number, number>();
          for (const a of parts) sums.set(a.fromMs, (sums.get(a.fromMs) ?? 0) + a.amount);
          const peak = Math.max(1e-9, ...sums.values());
          const full =
            resource === 'bandwidth' && capacity !== undefined && capacity < 4 * peak
              ? Math.max(capacity, peak)
              : peak;
          const base = (row + 1) * ROW;
          const scale = (ROW - 16) / full;
          const filled = new Map<number, number>();
          return (
            <g key={target}>
              <text x="0" y={base - ROW / 2}>
                {target}
              </text>
              <text x="0" y={base - ROW / 2 + 14} opacity="0.7">
                {`≤ ${show(peak)}`}
              </text>
              {[...parts]
                .sort((a, b) => a.workloadId - b.workloadId)
                .map((a) => {
                  const below = filled.get(a.fromMs) ?? 0;
                  filled.set(a.fromMs, below + a.amount);
                  return (
                    <rect
                      key={`${a.workloadId} ${a.fromMs}`}
                      x={x(a.fromMs)}
                      y={base - (below + a.amount) * scale}
                      width={Math.max(1, x(a.untilMs) - x(a.fromMs) - 1)}
                      height={a.amount * scale}
                      fill={colourOfKey(a.workloadId)}
                    >
                      <title>{`${nameOf(a.workloadId)}: ${show(a.amount)} on ${target}, ${clock(a.fromMs)}–${clock(a.untilMs)}`}</title>
                    </rect>
                  );
                })}
              {full === capacity && (
                <line
                  x1={LEFT}
                  x2={WIDTH}
                  y1={base - capacity * scale}
                  y2={base - capacity * scale}
                  stroke="var(--bad)"
                  stroke-dasharray="4 3"
                >
                  <title>{`capacity ${rate(capacity)}`}</title>
                </line>
              )}
              <line x1={LEFT} x2={WIDTH} y1={base} y2={base} stroke="var(--line)" />
            </g>
          );
        })}
        {plan.periods
          .filter((_, i) => i % Math.ceil(plan.periods.length / 8) === 0)
          .map((period) => (
            <text key={period.startMs} x={x(period.startMs)} y={height - 4} opacity="0.7">
              {clock(period.startMs)}
            </text>
          ))}
      </svg>
      <Legend entries={workloads.map((id) => ({ label: nameOf(id), colour: colourOfKey(id) }))} />
    </Scroll>
  );
}
