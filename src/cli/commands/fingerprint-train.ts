import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { durationSetting } from '../../base/settings.js';
import { adoptedModelPath, defaultModelPath } from '../../fingerprint/encoder.js';
import { FEATURE_VARIANTS, type FeatureVariant } from '../../fingerprint/features/schema.js';
import { adoptModel, trainInWorker } from '../../fingerprint/training/train.js';
import type { TrainingSource, TrainingStage } from '../../fingerprint/training/train-model.js';
import type { WorkloadLabel } from '../../fingerprint/workloads/types.js';
import { readFlowSample, type StoreClient } from '../../store/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { askDaemon, type DaemonInfo, findDaemon, requireDaemon } from '../daemon.js';
import { outputOption, wholeNumber } from '../options.js';
import { toJson } from '../output.js';
import { progressOn } from '../progress.js';
import { withStore } from './query.js';

interface TrainFlags {
  readonly captures?: string;
  readonly fromStore: boolean;
  readonly since: number;
  readonly gateway?: string;
  readonly labels?: string;
  readonly features: FeatureVariant;
  readonly seed: number;
  readonly steps: number;
  readonly model?: string;
  readonly name?: string;
  readonly all: boolean;
  readonly force: boolean;
  readonly output: OutputFormat;
}

const duration = (text: string): number => {
  const parsed = durationSetting.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError('expected a duration such as 12h or 7d');
  return parsed.data;
};

/** `tidegate fingerprint train` */
export function registerTrain(group: Command, context: CliContext): void {
  group
    .command('train')
    .description('train an encoder on your own traffic; adopted only if it is better on what was held back')
    .option('--captures <dir>', 'learn from pcap and pcapng files, also in folders')
    .option('--from-store', "learn from the running gateway's stored flows", false)
    .option('--since <duration>', 'how far back, with --from-store', duration, 7 * 86_400_000)
    .option('--gateway <name>', 'which gateway, when several run here')
    .option(
      '--labels <file>',
      'a label file, by-folder, or none (endpoints and ports only); with --from-store: names (those that people and ' +
        'rules gave to workloads) or none',
    )
    .addOption(new Option('--features <variant>', 'inputs').choices(FEATURE_VARIANTS).default('port'))
    .option('--seed <n>', 'the same seed gives the same model', wholeNumber(0), 1)
    .option('--steps <n>', 'training steps at most', wholeNumber(1), 300)
    .option('--model <file>', "the model to be better than, and to replace; by default the gateway's own")
    .option('--name <words>', 'what it was trained on, stored in the model')
    .option('--all', 'train the final model on the held-back captures too', false)
    .option('--force', 'adopt the model even if it is not better', false)
    .addOption(outputOption(['table', 'json']))
    .action(async (flags: TrainFlags, command: Command) => {
      if ((flags.captures !== undefined) === flags.fromStore)
        command.error('error: name either --captures or --from-store');
      await trainCommand(context, flags);
    });
}

async function trainCommand(context: CliContext, flags: TrainFlags): Promise<void> {
  const progress = progressOn(context);
  const show = (stage: TrainingStage): void =>
    progress.show(
      stage.stage,
      stage.done,
      stage.of,
      stage.stage === 'training' ? `loss ${stage.loss.toFixed(3)}` : `${stage.done} of ${stage.of}`,
    );
  const daemon = flags.fromStore
    ? await requireDaemon(flags)
    : await findDaemon(flags).catch(() => undefined);
  // A gateway's own model lies beside its data and comes before the one that ships.
  const target =
    flags.model ?? (daemon === undefined ? defaultModelPath() : adoptedModelPath(daemon.dataDirectory));
  const current = [target, defaultModelPath()].find((path) => existsSync(path));
  const { report, model } = await trainInWorker(
    {
      source:
        flags.captures === undefined
          ? await withStore(flags, async (client) => storedFlows(client, await requireDaemon(flags), flags))
          : capturesOf(flags.captures, flags.labels ?? 'none'),
      variant: flags.features,
      seed: flags.seed,
      steps: flags.steps,
      trainedOn: flags.name ?? (flags.fromStore ? `flows of ${daemon?.gateway}` : 'captures of this user'),
      useAll: flags.all,
      ...(current === undefined ? {} : { currentModel: resolve(current) }),
    },
    show,
    context.signal,
  ).finally(() => progress.end());
  const adopted = report.better || flags.force;
  if (adopted) await adoptModel(target, model);
  // The gateway says which model it uses now: one that its configuration names is not replaced from here.
  const live =
    adopted && daemon !== undefined && target === adoptedModelPath(daemon.dataDirectory)
      ? await askDaemon<{ modelId: string }>(daemon, '/api/fingerprints/model/reload', {})
      : undefined;
  const { knn1, current: before } = report.heldBack;
  if (flags.output === 'json') {
    context.stdout.write(`${toJson({ ...report, adopted, path: adopted ? target : null })}\n`);
    return;
  }
  const score = (s: { accuracy: number; macroF1: number }): string =>
    `accuracy ${s.accuracy.toFixed(3)}, macro-F1 ${s.macroF1.toFixed(3)}`;
  context.stdout.write(
    `${report.flows} flows, ${report.labelled} labelled, ${report.classes} classes; ${report.heldBack.captures} captures held back\n` +
      `new model ${report.model.id}: ${score(knn1)}\n` +
      `model in use: ${before ? score(before) : 'none'}\n` +
      (adopted
        ? `adopted as ${target}${inUse(live?.modelId, report.model.id)}\n`
        : 'not better, so not adopted; the old model stays\n'),
  );
}

const inUse = (used: string | undefined, trained: string): string =>
  used === undefined
    ? ''
    : used === trained
      ? ', in use at the gateway'
      : `; the gateway uses ${used}, which its configuration names`;

const capturesOf = (directory: string, labels: string): TrainingSource => ({
  kind: 'captures',
  directory: resolve(directory),
  labels: ['by-folder', 'none'].includes(labels) ? labels : resolve(labels),
});

/** Records of one endpoint and block of time, and in all: enough to learn from, and minutes of arithmetic at most. */
const PER_ENDPOINT_AND_BLOCK = 10;
const MOST_STORED = 20_000;
const BLOCKS = 24;

async function storedFlows(
  client: StoreClient,
  daemon: DaemonInfo,
  flags: TrainFlags,
): Promise<TrainingSource> {
  const { gateway } = daemon;
  const { labels } =
    flags.labels === 'none'
      ? { labels: [] }
      : await askDaemon<{ labels: WorkloadLabel[] }>(daemon, '/api/fingerprints/labels');
  const untilMs = Date.now();
  const range = await client.query<{ first: number | null }>(
    `SELECT toUnixTimestamp(min(flowEndNanoseconds)) AS first FROM flows
     WHERE gateway = {gateway:String} AND flowEndNanoseconds >= fromUnixTimestamp64Milli({since:Int64})`,
    { params: { gateway, since: untilMs - flags.since } },
  );
  const sinceMs = Math.max(untilMs - flags.since, Number(range[0]?.first ?? 0) * 1000);
  const blockMs = Math.max(1000, Math.ceil((untilMs - sinceMs) / BLOCKS));
  const batch = await readFlowSample(client, {
    gateway,
    sinceMs,
    untilMs,
    blockMs,
    perGroup: PER_ENDPOINT_AND_BLOCK,
    groupBy: 'endpoint',
    limit: MOST_STORED,
  });
  return {
    kind: 'stored',
    buffer: batch.buffer,
    labels,
    blockMs,
  };
}
