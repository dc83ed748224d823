import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { clock, dateTime } from '../format.js';
import { theme } from '../theme.js';
import { Legend } from './legend.js';

export interface ChartSeries {
  readonly label: string;
  readonly colour: string;
  /** One value an x; `null` = not known. */
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
  /** Filled down to 0, or to the series of this index. */
  readonly fill?: 'zero' | number;
  /** What the legend says of each x, where the line is a sum. */
  readonly own?: readonly (number | null)[];
}

interface ChartProps {
  /** Unix time in ms, or plain numbers where `plain`. */
  readonly xs: readonly number[];
  readonly plain?: boolean;
  /** Values hold until the next x. */
  readonly stepped?: boolean;
  readonly series: readonly ChartSeries[];
  readonly show: (value: number) => string;
  readonly height?: number;
  /** Said to those who do not see it. */
  readonly label: string;
  /** A line across at this x: now. */
  readonly markX?: number;
}

const css = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Steps between ticks, seconds; a tick says the time as ISO 8601 writes it. */
const TICKS = [1, 5, 10, 30, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800];
const DAY = 86_400;
const tick = (second: number, step: number): string =>
  step >= DAY ? dateTime(second * 1000).slice(5, 10) : clock(second * 1000).slice(0, step >= 60 ? 5 : 8);

const newest = (values: readonly (number | null)[]): number | null =>
  values.findLast((value) => value !== null && value !== undefined) ?? null;

/** Lines, areas and bands over time (uPlot); a legend that is text says the values at the cursor, or the newest. */
export function Chart({
  xs,
  plain = false,
  stepped = false,
  series,
  show,
  height = 240,
  label,
  markX,
}: ChartProps) {
  const [at, setAt] = useState<number | undefined>(undefined);
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const scale = plain ? 1 : 1000;
  const data = [xs.map((x) => x / scale), ...series.map((s) => [...s.values])] as uPlot.AlignedData;
  const shape = JSON.stringify([
    series.map((s) => [s.label, s.colour, s.fill, s.dashed]),
    height,
    plain,
    stepped,
    xs.length < 3,
  ]);
  const mark = useRef(markX);
  mark.current = markX;
  const dark = theme.value;
  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const ink = css('--muted');
    const steps = stepped ? uPlot.paths.stepped?.({ align: 1 }) : undefined;
    const grid = { stroke: css('--line'), width: 1 };
    const axis = { stroke: ink, grid, ticks: grid, font: '11px system-ui', size: 30 };
    const options: uPlot.Options = {
      width: Math.max(120, host.clientWidth),
      height,
      scales: {
        x: { time: !plain },
        y: { range: (_u, low, high) => [Math.min(0, low), Math.max(high * 1.05, 1e-9)] },
      },
      legend: { show: false },
      cursor: { points: { size: 5 } },
      axes: [
        plain
          ? { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000], space: 60 }
          : {
              ...axis,
              incrs: TICKS,
              space: 70,
              values: (_u, splits, _axis, _space, step) => splits.map((second) => tick(second, step)),
            },
        { ...axis, size: 78, values: (_u, splits) => splits.map((value) => show(value)) },
      ],
      series: [
        {},
        ...series.map(
          (s): uPlot.Series => ({
            label: s.label,
            stroke: s.colour,
            width: 1.5,
            points: { show: xs.length < 3 && !stepped },
            ...(steps === undefined ? {} : { paths: steps }),
            ...(s.dashed ? { dash: [5, 4] } : {}),
            ...(s.fill === 'zero' ? { fill: `${s.colour}40` } : {}),
          }),
        ),
      ],
      bands: series.flatMap((s, i) =>
        typeof s.fill === 'number'
          ? [{ series: [i + 1, s.fill + 1] as [number, number], fill: `${s.colour}33` }]
          : [],
      ),
      hooks: {
        setCursor: [(u) => setAt(u.cursor.idx ?? undefined)],
        draw: [
          (u) => {
            if (mark.current === undefined) return;
            const x = u.valToPos(mark.current / scale, 'x', true);
            if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
            u.ctx.save();
            u.ctx.strokeStyle = ink;
            u.ctx.setLineDash([3, 3]);
            u.ctx.beginPath();
            u.ctx.moveTo(x, u.bbox.top);
            u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
            u.ctx.stroke();
            u.ctx.restore();
          },
        ],
      },
    };
    const made = new uPlot(options, data, host);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: Math.max(120, host.clientWidth), height }));
    sizes.observe(host);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, dark]);
  useEffect(() => {
    plot.current?.setData(data);
  });
  const first = xs[0];
  const last = xs.at(-1);
  const span =
    plain || first === undefined || last === undefined ? '' : `, ${clock(first)} to ${clock(last)}`;
  const x = at === undefined ? undefined : xs[at];
  const told = ({ own, values }: ChartSeries): string => {
    const shown = own ?? values;
    const value = at === undefined ? newest(shown) : (shown[at] ?? null);
    return value === null ? '–' : show(value);
  };
  return (
    <>
      <div ref={box} class="chart" role="img" aria-label={`${label}${span}`} />
      <p class="muted at">{x === undefined ? '\u00a0' : plain ? `the ${x}.` : dateTime(x)}</p>
      <Legend
        entries={series.map((s) => ({ label: s.label, colour: s.colour, dashed: s.dashed, value: told(s) }))}
      />
    </>
  );
}
