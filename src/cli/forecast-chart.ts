/** What is drawn: values over time in one unit. */
export interface ChartInput {
  /** What was, oldest first; NaN = not known. */
  readonly history: readonly number[];
  readonly median: readonly number[];
  /** Outer bands, nearest first, e.g. P90 and P99. */
  readonly bands: readonly (readonly number[])[];
}

const HEIGHT = 10;
const HISTORY_COLUMNS = 36;
const FORECAST_COLUMNS = 36;
const WAS = '█';
const MEDIAN = '●';
const SHADES = ['▒', '░'];
const NOW = '│';

/** A path squeezed into so many columns, by the mean of each. */
export function squeeze(values: readonly number[], width: number): number[] {
  const columns = Math.min(width, values.length);
  return Array.from({ length: columns }, (_, i) => {
    const part = values
      .slice(Math.floor((i * values.length) / columns), Math.floor(((i + 1) * values.length) / columns))
      .filter((value) => !Number.isNaN(value));
    return part.length === 0 ? Number.NaN : part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

/** History as columns, the median as a line, the bands as shades above it; lines of text with the scale at the left. */
export function drawForecast(input: ChartInput, label: (value: number) => string): string[] {
  const history = squeeze(input.history, HISTORY_COLUMNS);
  const median = squeeze(input.median, FORECAST_COLUMNS);
  const bands = input.bands.map((band) => squeeze(band, FORECAST_COLUMNS));
  const known = [...history, ...median, ...bands.flat()].filter((value) => !Number.isNaN(value));
  const top = Math.max(...known, 0);
  const rowOf = (value: number): number => (top > 0 ? Math.round((value / top) * (HEIGHT - 1)) : 0);
  const labels = [label(top), label(top / 2), label(0)];
  const margin = Math.max(...labels.map((text) => text.length));
  return Array.from({ length: HEIGHT }, (_, i) => {
    const row = HEIGHT - 1 - i;
    const was = history.map((value) => (!Number.isNaN(value) && row <= rowOf(value) ? WAS : ' '));
    const comes = median.map((value, column) => {
      if (row === rowOf(value)) return MEDIAN;
      if (row < rowOf(value)) return ' ';
      const band = bands.findIndex((path) => row <= rowOf(path[column]!));
      return band < 0 ? ' ' : (SHADES[band] ?? ' ');
    });
    const text =
      row === HEIGHT - 1 ? labels[0]! : row === HEIGHT >> 1 ? labels[1]! : row === 0 ? labels[2]! : '';
    return `  ${text.padStart(margin)} ${was.join('')}${NOW}${comes.join('')}`.trimEnd();
  });
}
