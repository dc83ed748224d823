import { formatCount, formatRate } from '../base/units.js';
import type { GatewayStatus } from '../pipeline/status.js';
import { renderTable } from './output.js';

const paint = (code: number, text: string, colour: boolean): string =>
  colour ? `\u001b[${code}m${text}\u001b[0m` : text;

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

/** The last values of a rate as a small bar chart, scaled to its own maximum. */
export function sparkline(values: readonly number[]): string {
  const bars = '▁▂▃▄▅▆▇█';
  const top = Math.max(...values, 1);
  return values.map((value) => bars[Math.min(7, Math.floor((value / top) * 7.999))]).join('');
}

/** One screen of a gateway: conservation first, then links, workloads, what comes next. Pure: status → text. */
export function renderStatus(status: GatewayStatus, history: readonly number[] = [], colour = false): string {
  const { packets, plan } = status;
  const lost =
    packets.lost === 0 ? paint(32, 'lost 0', colour) : paint(31, `lost ${formatCount(packets.lost)}`, colour);
  const up = Math.round((status.nowMs - status.startedMs) / 1000);
  const parts = [
    `${paint(1, `tidegate ${status.gateway}`, colour)}  ${status.mode}  up ${up} s`,
    '',
    `packets   seen ${formatCount(packets.seen)}   stored ${formatCount(packets.stored)}   resident ${formatCount(packets.resident)}   ${lost}`,
    `rate      ${formatCount(Math.round(status.rate.packetsPerSecond))} packets/s   ${formatRate(status.rate.bitsPerSecond)}   ${sparkline(history)}`,
    `flows     ${formatCount(status.flows.active)} active   ${formatCount(status.records.written)} records written   store ${status.store.kind}${status.store.reachable ? '' : paint(31, ' unreachable, spooling', colour)}`,
    '',
    renderTable(status.interfaces, [
      { title: 'link', value: (i) => i.linkId },
      { title: 'interface', value: (i) => i.name },
      { title: 'XDP', value: (i) => i.mode },
      { title: 'packets', value: (i) => i.rxPackets, show: (i) => formatCount(i.rxPackets), align: 'right' },
      { title: 'octets', value: (i) => i.rxOctets, show: (i) => formatCount(i.rxOctets), align: 'right' },
    ]),
    renderTable(status.workloads.slice(0, 10), [
      { title: 'workload', value: (w) => w.workloadId },
      { title: 'name', value: (w) => w.name },
      { title: 'rate', value: (w) => w.rateBps, show: (w) => formatRate(w.rateBps), align: 'right' },
      { title: 'flows', value: (w) => w.flows, show: (w) => formatCount(w.flows), align: 'right' },
    ]),
    plan === null
      ? 'plan      none yet'
      : `plan      ${plan.id.slice(0, 12)}   costs $${plan.costUsd.toFixed(4)}   doing nothing $${plan.doNothingUsd.toFixed(4)}   ${formatCount(status.forecasts)} forecasts`,
    plan?.next ? `next      ${clock(plan.next.atMs)}  ${plan.next.words}` : '',
    ...packets.lostBy.map((l) =>
      paint(31, `lost      ${l.stage}/${l.reason}: ${formatCount(l.packets)} packets`, colour),
    ),
    ...status.warnings.map((warning) => paint(33, `warning   ${warning}`, colour)),
  ];
  return `${parts.join('\n').trimEnd()}\n`;
}

/** Repaints the screen in place while a gateway runs; leaves the last one standing. */
export class StatusScreen {
  #history: number[] = [];
  #lines = 0;

  constructor(
    readonly write: (text: string) => void,
    readonly colour: boolean,
  ) {}

  paint(status: GatewayStatus): void {
    this.#history = [...this.#history, status.rate.bitsPerSecond].slice(-40);
    const text = renderStatus(status, this.#history, this.colour);
    const up = this.#lines > 0 ? `\u001b[${this.#lines}A` : '';
    const lines = text.split('\n').map((line) => `${line}\u001b[K`);
    this.write(`${up}${lines.join('\n')}\u001b[J`);
    this.#lines = lines.length - 1;
  }
}
