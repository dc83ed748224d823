import { count, octets, percent, rate, relative, short, usd } from '../format.js';
import { planMark, status } from '../live.js';
import type { GatewayStatus, Link, Overview } from '../types.js';
import { Card, Figure, Waiting } from '../ui/card.js';
import { Chart } from '../ui/chart.js';
import { colourOf } from '../ui/palette.js';
import { Meter, Spark } from '../ui/spark.js';
import { useData } from '../use-data.js';

/** The gateway at a glance: rates, the conservation of packets, links now and ahead, money, the next change. */
export function OverviewPage() {
  const overview = useData<Overview>('/api/overview', 5000, planMark.value);
  const data = overview.data;
  const now = status.value ?? data?.status;
  if (data === undefined || now === undefined) return <Waiting of={overview} />;
  // Before the gateway there was nothing to see, which is not the same as nothing.
  const { startMs, stepMs } = data.recent;
  const first = Math.max(
    0,
    Math.min(data.recent.outBps.length - 2, Math.floor((now.startedMs - startMs) / stepMs)),
  );
  const xs = data.recent.outBps.slice(first).map((_, i) => startMs + (first + i) * stepMs);
  return (
    <div class="grid">
      <Card title="Now" wide>
        <div class="figures">
          <Figure
            name="Rate"
            value={rate(now.rate.bitsPerSecond)}
            note={`${short(now.rate.packetsPerSecond)} packets/s`}
          />
          <Lost status={now} />
          <Figure
            name="Packets seen"
            value={count(now.packets.seen)}
            note={`${count(now.packets.stored)} stored`}
          />
          <Figure
            name="Active flows"
            value={count(now.flows.active)}
            note={`${count(now.flows.records)} records`}
          />
          <Figure
            name="Workloads"
            value={count(now.workloads.length)}
            note={<a href="/workloads">see them</a>}
          />
          <Figure
            name="Store"
            value={now.store.reachable ? now.store.kind : 'away'}
            tone={now.store.reachable ? undefined : 'bad'}
            note={`${octets(now.store.spoolBytes)} in the spool`}
          />
        </div>
        {now.warnings.map((words) => (
          <p key={words} class="warn">
            {words}
          </p>
        ))}
      </Card>
      <Card title="Last quarter of an hour" sql={data.sql} wide>
        <Chart
          label="Bits per second out and in"
          xs={xs}
          show={rate}
          height={200}
          series={[
            { label: 'out', colour: colourOf(0), values: data.recent.outBps.slice(first), fill: 'zero' },
            { label: 'in', colour: colourOf(1), values: data.recent.inBps.slice(first) },
          ]}
        />
      </Card>
      <Card title="Links, now and ahead" sql={data.sql} wide>
        <div class="links">
          {data.links.map((link) => (
            <LinkRow key={link.linkId} link={link} />
          ))}
        </div>
      </Card>
      <Card
        title={`Cost of ${data.month.month} so far`}
        sql={data.sql}
        half
        actions={<a href="/cost">details</a>}
      >
        <div class="figures">
          <Figure name="Actual" value={usd(data.month.actualUsd)} />
          <Figure name="Doing nothing" value={usd(data.month.doNothingUsd)} />
          <Figure name="Perfect foresight" value={usd(data.month.perfectUsd)} />
          <Figure
            name="Saved"
            value={usd(data.month.savedUsd)}
            tone={data.month.savedUsd >= 0 ? 'good' : 'bad'}
          />
        </div>
      </Card>
      <Card title="Next planned change" half actions={<a href="/plan">the plan</a>}>
        {now.plan === null ? (
          <p class="muted">There is no plan yet: the first one needs some history.</p>
        ) : (
          <>
            <p>
              {now.plan.next === null
                ? 'Nothing changes within the horizon.'
                : `${now.plan.next.words}, ${relative(now.plan.next.atMs, now.nowMs)}`}
            </p>
            <p class="muted">
              The plan costs {usd(now.plan.costUsd)}; doing nothing {usd(now.plan.doNothingUsd)}.
            </p>
          </>
        )}
      </Card>
    </div>
  );
}

function Lost({ status: now }: { readonly status: GatewayStatus }) {
  const { packets } = now;
  const where = packets.lostBy
    .map((loss) => `${count(loss.packets)} ${loss.stage}/${loss.reason}`)
    .join(', ');
  return (
    <Figure
      id="packets-lost"
      name="Packets lost"
      value={count(packets.lost)}
      tone={packets.lost === 0 ? 'good' : 'bad'}
      note={where === '' ? <a href="/health">{`${count(packets.resident)} on their way`}</a> : where}
    />
  );
}

function LinkRow({ link }: { readonly link: Link }) {
  const { ahead } = link;
  const upper = ahead && link.capacityBps > 0 ? ahead.peakOutUpperBps / link.capacityBps : undefined;
  const hours = ahead ? (ahead.outMedianBps.length * ahead.stepMs) / 3_600_000 : 0;
  const span = hours >= 1 ? `${hours.toFixed(0)} h` : `${Math.round(hours * 3600)} s`;
  const words = `${link.linkId}: ${percent(link.utilisation)} of ${rate(link.capacityBps)} now${upper === undefined ? '' : `, up to ${percent(upper)} within ${span}`}`;
  return (
    <div>
      <div class="row">
        <strong>
          <a href={`/flows?link=${encodeURIComponent(link.linkId)}`}>{link.linkId}</a>
        </strong>
        <span class="muted">
          {percent(link.utilisation)} of {rate(link.capacityBps)} · {link.network}
          {link.wayOut ? ` · ${usd(link.usdPerGb)}/GB` : ''}
        </span>
      </div>
      <Meter share={link.utilisation} {...(upper === undefined ? {} : { ahead: upper })} label={words} />
      {ahead && (
        <Spark
          values={ahead.outMedianBps}
          upper={ahead.outUpperBps}
          label={`${link.linkId} ahead: median up to ${rate(ahead.peakOutMedianBps)}, 95 % quantile up to ${rate(ahead.peakOutUpperBps)} within ${span}`}
        />
      )}
    </div>
  );
}
