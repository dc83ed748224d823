import { useState } from 'preact/hooks';
import { post } from '../api.js';
import { count, percent, rate, relative } from '../format.js';
import { go, rest } from '../router.js';
import type { HistogramAxes, WorkloadCard, WorkloadDetail, Workloads } from '../types.js';
import { Card, Waiting } from '../ui/card.js';
import { Scroll } from '../ui/scroll.js';
import { Histogram } from '../ui/spark.js';
import { useChange } from '../use-change.js';
import { useData } from '../use-data.js';

/** Services recognised by their traffic: cards, or one of them with its endpoints and names. */
export function WorkloadsPage() {
  return /^\d+$/.test(rest.value) ? <Detail workloadId={Number(rest.value)} /> : <Cards />;
}

function Cards() {
  const workloads = useData<Workloads>('/api/workloads', 5000);
  const { data } = workloads;
  if (data === undefined || data.workloads.length === 0)
    return (
      <Waiting of={workloads} empty="Nothing was recognised yet: workloads appear with their first flows." />
    );
  return (
    <div class="grid">
      {data.workloads.map((workload) => (
        <Card
          key={workload.workloadId}
          title={workload.name}
          sql={data.sql}
          actions={<a href={`/workloads/${workload.workloadId}`}>open</a>}
        >
          <Behaviour workload={workload} axes={data} />
        </Card>
      ))}
    </div>
  );
}

function Behaviour({ workload: w, axes }: { readonly workload: WorkloadCard; readonly axes: HistogramAxes }) {
  const total = w.recent.octetsOut + w.recent.octetsIn;
  return (
    <>
      <p class="row start">
        <strong>{rate(w.rateBps)}</strong>
        <span class="muted">
          {percent(w.recent.share)} of the traffic · {percent(total > 0 ? w.recent.octetsOut / total : null)}{' '}
          out · {w.service} · {count(w.endpoints)} {w.endpoints === 1 ? 'endpoint' : 'endpoints'}
        </span>
      </p>
      <p class="row start">
        {w.isNew && <span class="badge good">new</span>}
        {w.hasChanged && <span class="badge warn">behaves differently</span>}
        <span class="badge muted">named by {w.namedBy}</span>
        <span class="muted" title="mean similarity of its flows to it">
          confidence {w.confidence === null ? '–' : w.confidence.toFixed(2)} · drift {w.sizeDrift.toFixed(2)}
        </span>
      </p>
      <span class="muted">packet sizes</span>
      <Histogram
        values={w.recent.packetSizes}
        edges={axes.sizeEdges}
        unit="octets"
        label={`Packet sizes of ${w.name}`}
      />
      <span class="muted">rhythm: gaps between packets</span>
      <Histogram
        values={w.recent.gaps}
        edges={axes.gapEdgesMicroseconds}
        unit="µs"
        label={`Gaps between packets of ${w.name}`}
      />
    </>
  );
}

function Detail({ workloadId }: { readonly workloadId: number }) {
  const detail = useData<WorkloadDetail>(`/api/workloads/${workloadId}`, 10_000);
  const others = useData<Workloads>('/api/workloads');
  const [name, setName] = useState('');
  const [from, setFrom] = useState('');
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [splitName, setSplitName] = useState('');
  const { problem, run: change } = useChange(() => {
    setName('');
    setChosen([]);
    detail.reload();
  });
  const { data } = detail;
  if (data === undefined) return <Waiting of={detail} />;
  const { workload: w } = data;
  return (
    <div class="grid">
      <Card title={w.name} sql={data.sql} actions={<a href={`/forecast?of=${w.workloadId}`}>forecast</a>}>
        <Behaviour workload={w} axes={data} />
        <p class="muted">
          Known since {relative(w.firstSeenMs, Date.now())}, last seen {relative(w.lastSeenMs, Date.now())},{' '}
          {count(w.flows)} flows. <a href={`/flows?workload=${w.workloadId}&by=peer`}>Its traffic by peer</a>
        </p>
      </Card>
      <Card title="Name, merge, split">
        {problem !== '' && (
          <p role="alert" class="bad">
            {problem}
          </p>
        )}
        <form
          class="row start"
          onSubmit={(event) => {
            event.preventDefault();
            change(() => post(`/api/workloads/${w.workloadId}/label`, { name }));
          }}
        >
          <label>
            Name
            <input
              value={name}
              placeholder={w.name}
              required
              onInput={(e) => setName(e.currentTarget.value)}
            />
          </label>
          <button type="submit">Give it this name</button>
        </form>
        <form
          class="row start"
          onSubmit={(event) => {
            event.preventDefault();
            change(() => post(`/api/workloads/${w.workloadId}/merge`, { from: Number(from) }));
          }}
        >
          <label>
            Make
            <select value={from} required onChange={(e) => setFrom(e.currentTarget.value)}>
              <option value="">another workload</option>
              {others.data?.workloads
                .filter((other) => other.workloadId !== w.workloadId)
                .map((other) => (
                  <option key={other.workloadId} value={String(other.workloadId)}>
                    {other.name}
                  </option>
                ))}
            </select>
          </label>
          <button type="submit">part of this one</button>
        </form>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            change(async () => {
              const made = await post<{ workloadId: number }>(`/api/workloads/${w.workloadId}/split`, {
                endpoints: chosen,
                name: splitName,
              });
              go(`/workloads/${made.workloadId}`);
            });
          }}
        >
          <fieldset>
            <legend>Endpoints</legend>
            <Scroll of="endpoints">
              {data.endpoints.map((key) => (
                <div key={key}>
                  <label>
                    <input
                      type="checkbox"
                      checked={chosen.includes(key)}
                      onChange={() =>
                        setChosen(chosen.includes(key) ? chosen.filter((k) => k !== key) : [...chosen, key])
                      }
                    />
                    {key}
                  </label>
                </div>
              ))}
            </Scroll>
          </fieldset>
          <p class="row">
            <label>
              New name
              <input value={splitName} required onInput={(e) => setSplitName(e.currentTarget.value)} />
            </label>
            <button type="submit" disabled={chosen.length === 0}>
              Split {chosen.length} off
            </button>
          </p>
        </form>
      </Card>
      <Card title="Behaves most like">
        <ul>
          {data.nearest.map((near) => (
            <li key={near.workloadId}>
              <a href={`/workloads/${near.workloadId}`}>{near.name}</a> {near.similarity.toFixed(3)}
            </li>
          ))}
        </ul>
      </Card>
      <Card title="What happened" sql={data.sql}>
        <ul>
          {data.events.map((event) => (
            <li key={`${event.timeMs} ${event.words}`}>
              <span class="muted">{relative(event.timeMs, Date.now())}</span> {event.words}
            </li>
          ))}
        </ul>
        {data.events.length === 0 && <p class="muted">Nothing out of the ordinary.</p>}
      </Card>
    </div>
  );
}
