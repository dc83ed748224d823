import { count, octets, rate } from '../format.js';
import { query, setQuery } from '../router.js';
import type { FlowGroup, Flows, SankeyAnswer } from '../types.js';
import { Card, Waiting } from '../ui/card.js';
import { Chart } from '../ui/chart.js';
import { Head } from '../ui/head.js';
import { colourOf, colourOfKey, QUIET } from '../ui/palette.js';
import { Sankey } from '../ui/sankey.js';
import { Scroll } from '../ui/scroll.js';
import { useData } from '../use-data.js';

const RANGES = ['5m', '15m', '1h', '6h', '24h', '7d', '30d'] as const;
const DIMENSIONS = [
  'workload',
  'link',
  'source',
  'destination',
  'peer',
  'host',
  'port',
  'protocol',
  'vlan',
  'server',
] as const;
const FILTERS = ['workload', 'link', 'peer', 'host', 'source', 'destination', 'port', 'protocol'] as const;

/** Filters as the API takes them, from the page's own address. */
function filters(): URLSearchParams {
  const passed = new URLSearchParams({ from: query.value.get('from') ?? '15m' });
  for (const name of [...FILTERS, 'direction'])
    if (query.value.get(name)) passed.set(name, query.value.get(name) ?? '');
  return passed;
}

/** What goes where: a filter bar kept in the address, a stacked area, a Sankey diagram and the top table. */
export function FlowsPage() {
  const by = query.value.get('by') ?? 'workload';
  const chosen = filters();
  const flows = useData<Flows>(`/api/flows?${chosen}&by=${by}&limit=10`, 5000);
  const sankey = useData<SankeyAnswer>(`/api/flows/sankey?${chosen}`, 10_000);
  return (
    <div class="grid">
      <Card title="Filter" wide>
        <form class="filters" onSubmit={(event) => event.preventDefault()}>
          <Choice name="from" title="Last" values={RANGES} now={query.value.get('from') ?? '15m'} />
          <Choice name="by" title="By" values={DIMENSIONS} now={by} />
          <Choice
            name="direction"
            title="Direction"
            values={['both', 'out', 'in']}
            now={query.value.get('direction') ?? 'both'}
          />
          {FILTERS.map((name) => (
            <label key={name}>
              {name}
              <input
                size={name === 'port' || name === 'protocol' || name === 'workload' ? 5 : 12}
                value={query.value.get(name) ?? ''}
                onChange={(event) => setQuery({ [name]: event.currentTarget.value.trim() })}
              />
            </label>
          ))}
          <button
            type="button"
            onClick={() => setQuery(Object.fromEntries(FILTERS.map((name) => [name, ''])))}
          >
            Clear
          </button>
        </form>
      </Card>
      <Card title={`Traffic by ${by}`} sql={flows.data?.sql ?? []} wide>
        <Waiting of={flows} />
        {flows.data && <Stacked flows={flows.data} />}
      </Card>
      <Card title="From link to workload to peer" sql={sankey.data?.sql ?? []} wide>
        <Waiting
          of={sankey}
          {...(sankey.data?.links.length === 0 ? { empty: 'No traffic in this range.' } : {})}
        />
        {sankey.data && sankey.data.links.length > 0 && <Sankey answer={sankey.data} />}
      </Card>
      <Card title="Top" sql={flows.data?.sql ?? []} wide>
        {flows.data && <Top flows={flows.data} by={by} />}
      </Card>
    </div>
  );
}

function Choice({
  name,
  title,
  values,
  now,
}: {
  readonly name: string;
  readonly title: string;
  readonly values: readonly string[];
  readonly now: string;
}) {
  return (
    <label>
      {title}
      <select
        aria-label={title}
        value={now}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value })}
      >
        {values.map((value) => (
          <option key={value}>{value}</option>
        ))}
      </select>
    </label>
  );
}

/** A workload has its colour on every page; other groups by their place. */
const groupColour = (group: FlowGroup, place: number): string => {
  const workload = Object.keys(group.key).length === 1 ? group.key.workload : undefined;
  return workload === undefined ? colourOf(place) : workload === '0' ? QUIET : colourOfKey(Number(workload));
};

/** Areas on top of each other: each series is the sum of itself and those below it. */
function Stacked({ flows }: { readonly flows: Flows }) {
  const parts = [
    ...flows.groups.map((group, i) => ({ ...group, colour: groupColour(group, i) })),
    ...(flows.others.octets > 0 ? [{ ...flows.others, colour: QUIET }] : []),
  ];
  const sums: number[][] = [];
  for (const part of parts) {
    const below = sums.at(-1);
    sums.push(part.bps.map((bps, i) => bps + (below?.[i] ?? 0)));
  }
  // Before the first traffic of the range there is nothing to show; one step of it says so.
  const first = Math.max(0, flows.total.bps.findIndex((bps) => bps > 0) - 1);
  const xs = flows.total.bps.slice(first).map((_, i) => flows.fromMs + (first + i) * flows.stepMs);
  return (
    <Chart
      label={`Stacked traffic, ${parts.length} parts, ${rate(flows.total.averageBps)} on average`}
      xs={xs}
      show={rate}
      series={parts
        .map((part, i) => ({
          label: part.label,
          colour: part.colour,
          values: (sums[i] ?? []).slice(first),
          own: part.bps.slice(first),
          fill: i === 0 ? ('zero' as const) : parts.length - i,
        }))
        .reverse()}
    />
  );
}

function Top({ flows, by }: { readonly flows: Flows; readonly by: string }) {
  const rows = [...flows.groups, ...(flows.others.octets > 0 ? [flows.others] : []), flows.total];
  return (
    <Scroll of="top">
      <table class="numbers">
        <caption class="muted">
          From <code>{flows.table}</code>, steps of {flows.stepMs / 1000} s
        </caption>
        <Head titles={[by, '#average', '#maximum', '#95 %', '#octets', '#packets', '#flows']} />
        <tbody>
          {rows.map((group, i) => (
            <tr key={group.label}>
              <th scope="row">
                {i < flows.groups.length && (
                  <span class="swatch" style={{ background: groupColour(group, i) }} />
                )}
                {group.key[by] !== undefined && FILTERS.some((name) => name === by) ? (
                  <button type="button" class="link" onClick={() => setQuery({ [by]: group.key[by] ?? '' })}>
                    {group.label}
                  </button>
                ) : (
                  group.label
                )}
              </th>
              <td class="number">{rate(group.averageBps)}</td>
              <td class="number">{rate(group.maximumBps)}</td>
              <td class="number">{rate(group.p95Bps)}</td>
              <td class="number">{octets(group.octets)}</td>
              <td class="number">{count(group.packets)}</td>
              <td class="number">{count(group.flows)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
