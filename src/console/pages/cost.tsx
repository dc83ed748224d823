import { count, octets, rate, short, usd } from '../format.js';
import { query, setQuery } from '../router.js';
import type { Ledger, Month, MonthLink } from '../types.js';
import { Card, Figure, Waiting } from '../ui/card.js';
import { Chart, type ChartSeries } from '../ui/chart.js';
import { Head } from '../ui/head.js';
import { colourOf, QUIET } from '../ui/palette.js';
import { Scroll } from '../ui/scroll.js';
import { useData } from '../use-data.js';

/** What it cost, what doing nothing and perfect foresight would have cost, and how the month's bill is measured. */
export function CostPage() {
  const ledger = useData<Ledger>('/api/cost/ledger?from=30d', 30_000);
  const month = useData<Month>(
    `/api/cost/month${query.value.get('month') ? `?month=${query.value.get('month')}` : ''}`,
    30_000,
  );
  return (
    <div class="grid">
      <Card title="Ledger, day by day" sql={ledger.data?.sql ?? []} wide>
        <Waiting
          of={ledger}
          {...(ledger.data?.days.length === 0 ? { empty: 'Nothing was billed yet.' } : {})}
        />
        {ledger.data && ledger.data.days.length > 0 && <Days ledger={ledger.data} />}
      </Card>
      <Card
        title={`The bill of ${month.data?.month ?? 'the month'}`}
        sql={month.data?.sql ?? []}
        wide
        actions={
          <label>
            Month
            <input
              type="month"
              value={month.data?.month ?? ''}
              onChange={(event) => setQuery({ month: event.currentTarget.value })}
            />
          </label>
        }
      >
        <Waiting of={month} />
        {month.data && <Bill month={month.data} />}
        <p class="muted">
          Ports are billed for the whole month, whatever they carry; the ledger above takes a day’s part for
          each day with traffic.
        </p>
      </Card>
      {month.data?.links.map((link) => (
        <Card
          key={link.linkId}
          title={`${link.linkId}: five-minute samples, sorted`}
          sql={month.data?.sql ?? []}
          wide
        >
          <Samples link={link} />
        </Card>
      ))}
    </div>
  );
}

function Days({ ledger }: { readonly ledger: Ledger }) {
  const titles = [
    'day',
    '#actual',
    '#doing nothing',
    '#perfect',
    '#regret',
    '#saved',
    '#minutes without room',
    '#GB',
  ];
  return (
    <Scroll of="ledger">
      <table class="numbers">
        <Head titles={titles} />
        <tbody>
          {ledger.days.map((day) => (
            <tr key={day.day}>
              <th scope="row">{day.day}</th>
              <td class="number">{usd(day.actualUsd)}</td>
              <td class="number">{usd(day.doNothingUsd)}</td>
              <td class="number">{usd(day.perfectUsd)}</td>
              <td class="number">{usd(day.regretUsd)}</td>
              <td class={day.savedUsd >= 0 ? 'number good' : 'number bad'}>{usd(day.savedUsd)}</td>
              <td class="number">{day.violationMinutes.toFixed(1)}</td>
              <td class="number">{short(day.gb)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Bill({ month }: { readonly month: Month }) {
  return (
    <Scroll of="bill">
      <table class="numbers">
        <Head titles={['link', 'item', '#quantity', '#unit price', '#amount', 'why']} />
        <tbody>
          {month.lines.map((line) => (
            <tr key={`${line.linkId} ${line.item} ${line.words}`}>
              <th scope="row">{line.linkId}</th>
              <td>{line.item}</td>
              <td class="number">
                {short(line.quantity)} {line.unit}
              </td>
              <td class="number">{usd(line.unitPriceUsd)}</td>
              <td class="number">{usd(line.amountUsd)}</td>
              <td class="words">{line.words}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" colSpan={4}>
              Total
            </th>
            <td class="number">
              <strong>{usd(month.totalUsd)}</strong>
            </td>
            <td />
          </tr>
        </tfoot>
      </table>
    </Scroll>
  );
}

/** The month's samples from the highest down, as a carrier sorts them, with the lines that the bill depends on. */
function Samples({ link }: { readonly link: MonthLink }) {
  const length = Math.max(link.outBps.length, link.inBps.length);
  const silent = link.elapsedSamples - length;
  const flat = (value: number): number[] => new Array<number>(length + 1).fill(value);
  // The last sample is as wide as the others.
  const laid = (values: readonly number[]): number[] =>
    Array.from({ length: length + 1 }, (_, i) => values[Math.min(i, length - 1)] ?? 0);
  const { burstable } = link;
  const series: ChartSeries[] = [
    { label: 'out', colour: colourOf(0), values: laid(link.outBps), fill: 'zero' },
    { label: 'in', colour: colourOf(1), values: laid(link.inBps) },
    { label: '95 % out', colour: colourOf(5), values: flat(link.outP95Bps), dashed: true },
    ...(burstable
      ? [
          { label: 'commit', colour: QUIET, values: flat(burstable.commitBps), dashed: true },
          { label: 'billed', colour: colourOf(3), values: flat(burstable.billedBps), dashed: true },
        ]
      : []),
  ];
  return (
    <>
      <div class="figures">
        <Figure name="Sent" value={octets(link.octetsOut)} note={`${octets(link.octetsIn)} received`} />
        <Figure name="95 % out" value={rate(link.outP95Bps)} note={`in ${rate(link.inP95Bps)}`} />
        <Figure name="Tariff" value={link.tariffId} note={`${short(link.elapsedSamples)} samples so far`} />
        {burstable && (
          <Figure
            name="Free samples left"
            value={`${burstable.freeSamplesLeft} of ${burstable.freeSamples}`}
            note={`billed ${rate(burstable.billedBps)}, ${usd(burstable.usd)}`}
          />
        )}
      </div>
      {length === 0 ? (
        <p class="muted">No sample with traffic yet.</p>
      ) : (
        <>
          <Chart
            plain
            stepped
            label={`${length} samples of ${link.linkId}, the highest first`}
            xs={Array.from({ length: length + 1 }, (_, i) => i + 1)}
            show={rate}
            height={180}
            series={series}
          />
          <p class="muted">
            Samples with traffic, the highest first; {count(silent)} more so far had none.{' '}
            {count(link.elapsedSamples * 0.05)} samples may lie above the 95 % line.
          </p>
        </>
      )}
    </>
  );
}
