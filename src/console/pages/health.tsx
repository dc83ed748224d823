import { count, octets, relative, short } from '../format.js';
import { stages as liveStages, status } from '../live.js';
import type { Audit, Doctor, Health } from '../types.js';
import { Card, Figure, Waiting } from '../ui/card.js';
import { Head } from '../ui/head.js';
import { useData } from '../use-data.js';

const TONE: Readonly<Record<string, string>> = {
  ok: 'good',
  info: 'muted',
  warning: 'warn',
  blocker: 'bad',
  unknown: 'muted',
};

const GRAVITY = ['blocker', 'warning', 'unknown', 'info', 'ok'];

/** What needs somebody first. */
const sorted = (findings: Doctor['findings']): Doctor['findings'] =>
  [...findings].sort((a, b) => GRAVITY.indexOf(a.result) - GRAVITY.indexOf(b.result));

/** How the gateway itself is: where every packet is, what the checks say, who changed what. */
export function HealthPage() {
  const health = useData<Health>('/api/health', 10_000);
  const doctor = useData<Doctor>('/api/doctor');
  const audit = useData<Audit>('/api/audit', 10_000);
  const packets = status.value?.packets ?? health.data?.packets;
  const stages = liveStages.value.length > 0 ? liveStages.value : (health.data?.stages ?? []);
  return (
    <div class="grid">
      <Card title="Where every packet is" wide>
        <Waiting of={health} />
        {packets && (
          <div class="figures">
            <Figure name="Seen" value={count(packets.seen)} />
            <Figure name="Stored" value={count(packets.stored)} />
            <Figure name="On their way" value={count(packets.resident)} />
            <Figure name="Lost" value={count(packets.lost)} tone={packets.lost === 0 ? 'good' : 'bad'} />
            <Figure
              name="Difference"
              value={count(packets.difference)}
              note="0 at a quiet moment: seen = stored + on their way + lost"
            />
          </div>
        )}
        <table class="numbers">
          <Head titles={['stage', 'what it is', '#packets/s', '#passed', '#in it', '#lost']} />
          <tbody>
            {stages.map((stage) => (
              <tr key={stage.stage}>
                <th scope="row">{stage.stage}</th>
                <td class="words">{stage.words}</td>
                <td class="number">{short(stage.passedPerSecond)}</td>
                <td class="number">{count(stage.passed)}</td>
                <td class="number">{count(stage.resident)}</td>
                <td class={stage.lost > 0 ? 'number bad' : 'number'}>{count(stage.lost)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {health.data && (
          <p class="muted">
            {health.data.status}, up since {relative(health.data.startedMs, health.data.nowMs)}; store{' '}
            {health.data.store.kind}, {octets(health.data.store.spoolBytes)} in the spool.{' '}
            {Object.entries(health.data.reasons)
              .map(([part, why]) => `${part}: ${why}`)
              .join('; ')}
          </p>
        )}
        {health.data?.warnings.map((words) => (
          <p key={words} class="warn">
            {words}
          </p>
        ))}
      </Card>
      <Card
        title="Doctor"
        wide
        actions={
          <button type="button" onClick={doctor.reload}>
            Check again
          </button>
        }
      >
        <Waiting of={doctor} />
        {doctor.data && (
          <p>
            {GRAVITY.map(
              (result) =>
                [result, doctor.data?.findings.filter((f) => f.result === result).length ?? 0] as const,
            )
              .filter(([, n]) => n > 0)
              .map(([result, n]) => `${n} ${result}`)
              .join(', ')}
          </p>
        )}
        <table class="numbers">
          <tbody>
            {sorted(doctor.data?.findings ?? []).map((finding) => (
              <tr key={`${finding.id} ${finding.words}`}>
                <th scope="row">{finding.id}</th>
                <td class={TONE[finding.result]}>{finding.result}</td>
                <td class="words">{finding.words}</td>
                <td class="words muted">{finding.remedy}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Card>
      <Card title="Who changed what" sql={audit.data?.sql ?? []} wide>
        <Waiting
          of={audit}
          {...(audit.data?.entries.length === 0 ? { empty: 'Nobody changed anything.' } : {})}
        />
        <table class="numbers">
          <tbody>
            {audit.data?.entries.map((entry) => (
              <tr key={`${entry.timeMs} ${entry.words}`}>
                <td class="muted">{relative(entry.timeMs, Date.now())}</td>
                <td>
                  {entry.by} ({entry.from})
                </td>
                <td class="words">{entry.words}</td>
                <td>{entry.outcome}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Card>
    </div>
  );
}
