import { setTimeout as sleep } from 'node:timers/promises';
import type { Gateway } from '../gateway.js';
import type { GatewayStatus } from '../pipeline/status.js';
import { type CliContext, inColour, type OutputFormat } from './context.js';
import { toJson } from './output.js';
import { renderStatus, StatusScreen } from './status-screen.js';

const REPAINT_MS = 1000;

export interface RunOptions {
  readonly seconds: number | undefined;
  readonly output: OutputFormat;
}

/** The one JSON object that a run ends with. */
export const finalReport = (status: GatewayStatus): Record<string, unknown> => ({
  packets: {
    seen: status.packets.seen,
    stored: status.packets.stored,
    resident: status.packets.resident,
    lost: status.packets.lost,
    lostBy: status.packets.lostBy,
  },
  flows: status.flows.records,
  workloads: status.workloads.length,
  forecasts: status.forecasts,
  plan: status.plan
    ? { id: status.plan.id, costUsd: status.plan.costUsd, doNothingUsd: status.plan.doNothingUsd }
    : null,
  records: { written: status.records.written },
  durationSeconds: (status.nowMs - status.startedMs) / 1000,
});

/** Shows a running gateway until its time is up or it is interrupted. */
export async function watch(context: CliContext, gateway: Gateway, options: RunOptions): Promise<void> {
  const until =
    options.seconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.seconds * 1000;
  const screen =
    context.interactive && options.output === 'table'
      ? new StatusScreen((text) => context.stdout.write(text), inColour(context))
      : undefined;
  while (!context.signal.aborted && Date.now() < until) {
    screen?.paint(gateway.status());
    const left = Math.max(0, until - Date.now());
    await sleep(Math.min(REPAINT_MS, left), undefined, { signal: context.signal }).catch(() => {});
  }
}

/** Prints what came of a run. */
export function printFinal(context: CliContext, status: GatewayStatus, output: OutputFormat): void {
  if (output === 'json') context.stdout.write(`${toJson(finalReport(status))}\n`);
  else context.stdout.write(`\n${renderStatus(status)}`);
}
