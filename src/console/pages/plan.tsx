import { post } from '../api.js';
import { dateTime, rate, relative, short, usd } from '../format.js';
import { planMark } from '../live.js';
import { go, rest } from '../router.js';
import type { Plan, PlanAnswer, PlanDiff, PlanList, PlanPreview } from '../types.js';
import { Card, Figure, Waiting } from '../ui/card.js';
import { Gantt } from '../ui/gantt.js';
import { Head } from '../ui/head.js';
import { colourOfKey } from '../ui/palette.js';
import { Scroll } from '../ui/scroll.js';
import { useChange } from '../use-change.js';
import { useData } from '../use-data.js';

/** What the gateway would move, when, at what cost and why; the yes or no to it; and how to undo it. */
export function PlanPage() {
  const wanted = rest.value;
  const plan = useData<PlanAnswer>(
    wanted === '' ? '/api/plans/current' : `/api/plans/${wanted}`,
    wanted === '' ? 0 : 5000,
    planMark.value,
  );
  const { data } = plan;
  return (
    <div class="grid">
      {data === undefined ? <Waiting of={plan} /> : <One answer={data} reload={plan.reload} />}
      <History />
    </div>
  );
}

function One({ answer, reload }: { readonly answer: PlanAnswer; readonly reload: () => void }) {
  const { plan } = answer;
  const names = new Map(plan.reasons.map(({ workloadId, words }) => [workloadId, words.split(':')[0] ?? '']));
  const saved = plan.doNothingUsd - plan.costUsd;
  return (
    <>
      <Card
        title={`Plan ${plan.id.slice(0, 12)}`}
        sql={answer.sql}
        wide
        actions={<Actions answer={answer} reload={reload} />}
      >
        <div class="figures">
          <Figure
            name="State"
            value={answer.state}
            id="plan-state"
            note={answer.approvedBy ? `approved by ${answer.approvedBy}` : undefined}
          />
          <Figure name="Costs" value={usd(plan.costUsd)} />
          <Figure
            name="Doing nothing"
            value={usd(plan.doNothingUsd)}
            note={<span class={saved >= 0 ? 'good' : 'bad'}>{usd(saved)} saved</span>}
          />
          <Figure
            name="Minutes without room"
            value={plan.expectedViolationMinutes.toFixed(1)}
            note={`${plan.doNothingViolationMinutes.toFixed(1)} doing nothing`}
          />
          <Figure
            name="Made"
            value={relative(plan.createdMs, Date.now())}
            note={`valid until ${dateTime(plan.expiresMs)}`}
          />
        </div>
      </Card>
      <Card title="Bandwidth by link" sql={answer.sql} wide>
        <Gantt plan={plan} resource="bandwidth" nameOf={(id) => names.get(id) ?? `workload ${id}`} />
      </Card>
      <Card title="Processors by host" sql={answer.sql} wide>
        <Gantt plan={plan} resource="cpu" nameOf={(id) => names.get(id) ?? `workload ${id}`} />
        <Instances plan={plan} />
      </Card>
      <Card title="What binds" half>
        {plan.binding.length === 0 && <p class="muted">Nothing: there is room everywhere.</p>}
        <ul>
          {plan.binding.map((constraint) => (
            <li key={constraint.words}>{constraint.words}</li>
          ))}
        </ul>
        {(plan.conflicts ?? []).map((words) => (
          <p key={words} class="warn">
            Goals conflict: {words}
          </p>
        ))}
      </Card>
      <Card title="Why" half>
        <ul>
          {plan.reasons.map((reason) => (
            <li key={reason.workloadId}>
              <span
                class="swatch"
                style={{ background: colourOfKey(reason.workloadId) }}
                aria-hidden="true"
              />
              <a href={`/workloads/${reason.workloadId}`}>{names.get(reason.workloadId)}</a>
              {reason.words.slice(names.get(reason.workloadId)?.length ?? 0)}
            </li>
          ))}
        </ul>
      </Card>
      <Diff planId={plan.id} />
      <Preview planId={plan.id} mark={answer.state} />
    </>
  );
}

function Instances({ plan }: { readonly plan: Plan }) {
  const peak = plan.instances.reduce((most, i) => Math.max(most, i.count), 0);
  const id = plan.instances[0]?.instanceId;
  return <p class="muted">{peak === 0 ? 'No instance is rented.' : `Up to ${peak} × ${id} rented.`}</p>;
}

function Actions({ answer, reload }: { readonly answer: PlanAnswer; readonly reload: () => void }) {
  const change = useChange(reload);
  const { plan, state, actuation } = answer;
  const { problem, busy } = change;
  const run = (work: () => Promise<unknown>) => (): void => change.run(work);
  return (
    <>
      <span class="muted">
        {actuation.mode} · {actuation.actuators.join(', ')}
      </span>
      <button
        type="button"
        disabled={busy}
        onClick={run(async () => {
          const made = await post<PlanAnswer>('/api/plans');
          go(`/plan/${made.plan.id}`);
        })}
      >
        Plan now
      </button>
      {state === 'open' && (
        <button
          type="button"
          class="primary"
          disabled={busy}
          onClick={run(async () => {
            await post(`/api/plans/${plan.id}/approve`);
            // Stay with what was approved though newer plans come.
            go(`/plan/${plan.id}`);
          })}
        >
          Approve
        </button>
      )}
      {state === 'approved' && (
        <button
          type="button"
          class="primary"
          disabled={busy}
          onClick={run(() => post(`/api/plans/${plan.id}/apply`))}
        >
          Apply
        </button>
      )}
      {actuation.followingPlanId !== null && (
        <button
          type="button"
          class="danger"
          disabled={busy}
          onClick={run(() => post('/api/plans/rollback', {}))}
        >
          Roll back
        </button>
      )}
      {(problem !== '' || actuation.lastProblem !== null) && (
        <span role="alert" class="bad">
          {problem !== '' ? problem : actuation.lastProblem}
        </span>
      )}
    </>
  );
}

function Diff({ planId }: { readonly planId: string }) {
  const diff = useData<PlanDiff>(`/api/plans/${planId}/diff`);
  const { data } = diff;
  return (
    <Card title="Against the plan before" sql={data?.sql ?? []} half>
      <Waiting of={diff} {...(data?.againstId === null ? { empty: 'There is none.' } : {})} />
      {data?.againstId && (
        <>
          <p class="muted">
            against <a href={`/plan/${data.againstId}`}>{data.againstId.slice(0, 12)}</a>: costs{' '}
            {usd(Math.abs(data.costUsd))} {data.costUsd <= 0 ? 'less' : 'more'},{' '}
            {short(Math.abs(data.violationMinutes))} minutes without room{' '}
            {data.violationMinutes <= 0 ? 'fewer' : 'more'}
          </p>
          <Scroll of="changes">
            <table class="numbers">
              <Head titles={['workload', 'link', '#before', '#after']} />
              <tbody>
                {data.changes.slice(0, 30).map((change) => (
                  <tr key={`${change.workloadId} ${change.linkId}`}>
                    <th scope="row">{change.name}</th>
                    <td>{change.linkId}</td>
                    <td class="number">{rate(change.beforeBps)}</td>
                    <td class="number">{rate(change.afterBps)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </>
      )}
    </Card>
  );
}

function Preview({ planId, mark }: { readonly planId: string; readonly mark: string }) {
  const preview = useData<PlanPreview>(`/api/plans/${planId}/preview`, 0, mark);
  const { data } = preview;
  return (
    <Card title="What applying it now would do" half>
      <Waiting
        of={preview}
        {...(data?.steps.length === 0 ? { empty: 'Nothing: the world is as the plan wants it.' } : {})}
      />
      <ul>
        {data?.steps.map((step) => (
          <li key={`${step.actuator} ${step.target}`}>
            <span class="muted">{step.actuator}</span> {step.words}
          </li>
        ))}
      </ul>
      {data?.refused.map((refusal) => (
        <p key={`${refusal.actuator} ${refusal.reason}`} class="muted">
          {refusal.actuator} cannot: {refusal.reason}
        </p>
      ))}
      {data?.against.map((reason) => (
        <p key={reason} class="warn">
          Against it: {reason}
        </p>
      ))}
    </Card>
  );
}

function History() {
  const plans = useData<PlanList>('/api/plans?limit=20', 0, planMark.value);
  return (
    <Card title="Plans" sql={plans.data?.sql ?? []} wide>
      <Waiting of={plans} />
      <Scroll of="plans">
        <table class="numbers">
          <Head titles={['plan', 'made', '#costs', '#doing nothing', '#minutes without room', 'state']} />
          <tbody>
            {plans.data?.plans.map((plan) => (
              <tr key={plan.id}>
                <th scope="row">
                  <a href={`/plan/${plan.id}`}>{plan.id.slice(0, 12)}</a>
                </th>
                <td>{dateTime(plan.createdMs)}</td>
                <td class="number">{usd(plan.costUsd)}</td>
                <td class="number">{usd(plan.doNothingUsd)}</td>
                <td class="number">{plan.expectedViolationMinutes.toFixed(1)}</td>
                <td>{plan.state}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Card>
  );
}
