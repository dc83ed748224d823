import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { clock, dateTime } from '../format.js';
import { theme } from '../theme.js';

export interface ChartSeries {
  readonly label: string;
  readonly colour: string;
  /** One value an x; `null` = not known. */
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
  /** Filled down to 0, or to the series of this index. */
  readonly fill?: 'zero' | number;
}

interface ChartProps {
  /** Unix time in ms, or plain numbers where `plain`. */
  readonly xs: readonly number[];
  readonly plain?: boolean;
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

/** Lines, areas and bands over time (uPlot); the newest values are said in a legend that is text. */
export function Chart({ xs, plain = false, series, show, height = 240, label, markX }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const scale = plain ? 1 : 1000;
  const data = [xs.map((x) => x / scale), ...series.map((s) => [...s.values])] as uPlot.AlignedData;
  const shape = JSON.stringify([
    series.map((s) => [s.label, s.colour, s.fill, s.dashed]),
    height,
    plain,
    xs.length < 3,
  ]);
  const mark = useRef(markX);
  mark.current = markX;
  const dark = theme.value;
  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const ink = css('--muted');
    const grid = { stroke: css('--line'), width: 1 };
    const axis = { stroke: ink, grid, ticks: grid, font: '11px system-ui' };
    const options: uPlot.Options = {
      width: Math.max(120, host.clientWidth),
      height,
      scales: {
        x: { time: !plain },
        y: { range: (_u, low, high) => [Math.min(0, low), Math.max(high * 1.05, 1e-9)] },
      },
      legend: { live: true },
      cursor: { points: { size: 5 } },
      axes: [axis, { ...axis, size: 78, values: (_u, splits) => splits.map((value) => show(value)) }],
      series: [
        { value: (_u, x) => (x === null ? '' : plain ? String(x) : dateTime(x * 1000)) },
        ...series.map(
          (s): uPlot.Series => ({
            label: s.label,
            stroke: s.colour,
            width: 1.5,
            points: { show: xs.length < 3 },
            ...(s.dashed ? { dash: [5, 4] } : {}),
            ...(s.fill === 'zero' ? { fill: `${s.colour}40` } : {}),
            value: (_u, y) => (y === null || y === undefined ? '–' : show(y)),
          }),
        ),
      ],
      bands: series.flatMap((s, i) =>
        typeof s.fill === 'number'
          ? [{ series: [i + 1, s.fill + 1] as [number, number], fill: `${s.colour}33` }]
          : [],
      ),
      hooks: {
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
  return <div ref={box} class="chart" role="img" aria-label={`${label}${span}`} />;
}
