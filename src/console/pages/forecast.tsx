import { count, ofSignal, percent, relative } from '../format.js';
import { query, setQuery } from '../router.js';
import type { ForecastSeries, Forecasts, Judged } from '../types.js';
import { Card, Figure, Waiting } from '../ui/card.js';
import { Chart, type ChartSeries } from '../ui/chart.js';
import { Head } from '../ui/head.js';
import { colourOf, QUIET } from '../ui/palette.js';
import { Scroll } from '../ui/scroll.js';
import { Spark } from '../ui/spark.js';
import { useData } from '../use-data.js';

const SIGNALS: Readonly<Record<string, string>> = {
  bandwidthOutBps: 'bandwidth out',
  bandwidthInBps: 'bandwidth in',
  packetsPerSecond: 'packets',
  flowsPerSecond: 'new flows',
  cpuCores: 'CPU',
  memoryBytes: 'memory',
};

const idOf = ({ of }: Judged): string => (of.kind === 'link' ? `link:${of.linkId}` : String(of.workloadId));

/** What will be needed: history, median and bands of one series, how good it has been, and all others to choose from. */
export function ForecastPage() {
  const signal = query.value.get('signal') ?? 'bandwidthOutBps';
  const all = useData<Forecasts>(`/api/forecasts?signal=${signal}`, 10_000);
  const first = all.data?.forecasts.find((f) => f.status !== 'refused') ?? all.data?.forecasts[0];
  const of = query.value.get('of') ?? (first && idOf(first));
  const series = useData<ForecastSeries>(
    of === undefined ? undefined : `/api/forecasts/series?of=${encodeURIComponent(of)}&signal=${signal}`,
    5000,
  );
  return (
    <div class="grid">
      <Card title="Series" wide>
        <p class="row start">
          <label>
            Signal
            <select value={signal} onChange={(event) => setQuery({ signal: event.currentTarget.value })}>
              {Object.entries(SIGNALS).map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label>
            Of
            <select value={of ?? ''} onChange={(event) => setQuery({ of: event.currentTarget.value })}>
              {all.data?.forecasts.map((f) => (
                <option key={f.seriesId} value={idOf(f)}>
                  {f.of.kind === 'link' ? `link ${f.of.name}` : f.of.name}
                </option>
              ))}
            </select>
          </label>
        </p>
      </Card>
      {series.data === undefined ? (
        <Waiting
          of={of === undefined ? all : series}
          empty="There is no forecast yet: the first one needs some history."
        />
      ) : (
        <One series={series.data} />
      )}
      <Card title="All series of this signal" sql={all.data?.sql ?? []} wide>
        {all.data && <Table forecasts={all.data.forecasts} />}
      </Card>
    </div>
  );
}

function One({ series: s }: { readonly series: ForecastSeries }) {
  const show = (value: number): string => ofSignal(s.signal, value);
  return (
    <>
      <Card title={`${s.of.name}: ${SIGNALS[s.signal] ?? s.signal}`} sql={s.sql} wide>
        {s.status === 'refused' ? <p class="warn">Refused: {s.refusal}</p> : <Paths series={s} show={show} />}
      </Card>
      <Card title="How good" sql={s.sql} wide>
        <div class="figures">
          <Figure name="Status" value={s.status} note={`${count(s.historySteps)} steps of history`} />
          <Figure
            name="Error by seasonal naive’s"
            value={s.relativeToSeasonalNaive === null ? '–' : s.relativeToSeasonalNaive.toFixed(2)}
            tone={
              s.relativeToSeasonalNaive === null ? undefined : s.relativeToSeasonalNaive <= 1 ? 'good' : 'bad'
            }
          />
          <Figure name="Below P90" value={percent(s.coverageP90, 1)} note="of held-back values" />
          <Figure name="Below P99" value={percent(s.coverageP99, 1)} note="of held-back values" />
        </div>
        <h3>Realised errors</h3>
        {s.accuracy.length === 0 ? (
          <p class="muted">None yet: a forecast is judged when its horizon is over.</p>
        ) : (
          <Scroll of="realised errors">
            <table class="numbers">
              <Head titles={['day', 'model', '#forecasts', '#mean error', '#of the mean', '#bias']} />
              <tbody>
                {s.accuracy.map((row) => (
                  <tr key={`${row.day} ${row.model}`}>
                    <td>{row.day}</td>
                    <td>{row.model}</td>
                    <td class="number">{count(row.forecasts)}</td>
                    <td class="number">{show(row.meanAbsoluteError)}</td>
                    <td class="number">{percent(row.relativeError)}</td>
                    <td class="number">{show(row.bias)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        )}
      </Card>
      <Card title="Who says so" wide>
        <ul class="columns">
          {s.mix.map((entry) => (
            <li key={entry.model} class={entry.weight > 0 ? '' : 'muted'}>
              {entry.model} {entry.weight > 0 ? percent(entry.weight) : 'not chosen'}
              {entry.error !== null && `, off by ${show(entry.error)} on average`}
            </li>
          ))}
        </ul>
        {s.notes.map((note) => (
          <p key={note} class="muted">
            {note}
          </p>
        ))}
        {s.failures.map(({ model, reason }) => (
          <p key={model} class="muted">
            {model} could not be used and is replaced by the others: {reason}
          </p>
        ))}
      </Card>
    </>
  );
}

/** History, then the median inside its bands; what an earlier forecast said of the steps that have come since, dashed. */
function Paths({
  series: s,
  show,
}: {
  readonly series: ForecastSeries;
  readonly show: (v: number) => string;
}) {
  const { forecast, earlier, history } = s;
  const { stepMs } = forecast;
  const startMs = history?.startMs ?? forecast.startMs;
  const steps = Math.max(
    history?.values.length ?? 0,
    Math.round((forecast.startMs - startMs) / stepMs) + forecast.median.length,
  );
  const xs = Array.from({ length: steps }, (_, i) => startMs + i * stepMs);
  const laid = (values: readonly number[], fromMs: number): (number | null)[] => {
    const offset = Math.round((fromMs - startMs) / stepMs);
    return xs.map((_, i) => values[i - offset] ?? null);
  };
  const level = (q: number): (number | null)[] | undefined => {
    const at = forecast.levels.findIndex((l) => Math.abs(l - q) < 1e-9);
    const values = forecast.quantiles[at];
    return values && laid(values, forecast.startMs);
  };
  const [p90, p99] = [level(0.9), level(0.99)];
  const lines: ChartSeries[] = [
    ...(history
      ? [{ label: 'came', colour: colourOf(0), values: laid(history.values, history.startMs) }]
      : []),
    { label: 'median', colour: colourOf(1), values: laid(forecast.median, forecast.startMs) },
  ];
  const median = lines.length - 1;
  if (p90) lines.push({ label: 'P90', colour: colourOf(5), values: p90, fill: median });
  if (p99) lines.push({ label: 'P99', colour: colourOf(3), values: p99, fill: lines.length - 1 });
  if (earlier)
    lines.push({
      label: 'as said before',
      colour: QUIET,
      values: laid(earlier.median, earlier.startMs),
      dashed: true,
    });
  return (
    <Chart
      label={`${s.of.name}: history and forecast, median up to ${show(Math.max(0, ...forecast.median))}`}
      xs={xs}
      show={show}
      height={300}
      markX={forecast.createdMs}
      series={lines}
    />
  );
}

function Table({ forecasts }: { readonly forecasts: readonly Judged[] }) {
  return (
    <Scroll of="all series">
      <table class="numbers">
        <Head titles={['of', 'ahead', '#up to', 'status', '#by naive', '#P90', '#P99', 'made']} />
        <tbody>
          {forecasts.map((f) => (
            <tr key={f.seriesId}>
              <th scope="row">
                <a href={`/forecast?of=${encodeURIComponent(idOf(f))}&signal=${f.signal}`}>
                  {f.of.kind === 'link' ? `link ${f.of.name}` : f.of.name}
                </a>
              </th>
              <td>
                <Spark values={f.forecast.median} label={`Median of ${f.of.name}`} />
              </td>
              <td class="number">{ofSignal(f.signal, Math.max(0, ...f.forecast.median))}</td>
              <td>{f.status}</td>
              <td class="number">{f.relativeToSeasonalNaive?.toFixed(2) ?? '–'}</td>
              <td class="number">{percent(f.coverageP90)}</td>
              <td class="number">{percent(f.coverageP99)}</td>
              <td class="muted">{relative(f.forecast.createdMs, Date.now())}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
