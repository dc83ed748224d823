import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { defaultModelPath } from '../../fingerprint/encoder.js';
import { FEATURE_VARIANTS, type FeatureVariant } from '../../fingerprint/features/schema.js';
import { type FlowDataset, type LabelSource, loadDataset } from '../../fingerprint/training/dataset.js';
import {
  type EvaluationOptions,
  type EvaluationReport,
  evaluateFolds,
  evaluateTransfer,
  type TaskReport,
} from '../../fingerprint/training/evaluate.js';
import { readLabels } from '../../fingerprint/training/labels.js';
import { adoptModel, trainInWorker } from '../../fingerprint/training/train.js';
import type { TrainingStage } from '../../fingerprint/training/train-model.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { renderTable, toJson } from '../output.js';

interface TrainFlags {
  readonly captures: string;
  readonly labels: string;
  readonly features: FeatureVariant;
  readonly seed: number;
  readonly steps: number;
  readonly model: string;
  readonly name?: string;
  readonly all: boolean;
  readonly force: boolean;
  readonly output: OutputFormat;
}

interface EvaluateFlags {
  readonly captures?: string;
  readonly gallery?: string;
  readonly query?: string;
  readonly folds: number;
  readonly labels: readonly string[];
  readonly features: readonly FeatureVariant[];
  readonly supervision: EvaluationOptions['supervision'];
  readonly seed: number;
  readonly steps?: number;
  readonly perLabel: number;
  readonly output: OutputFormat;
}

const integer =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`expected a whole number of at least ${least}`);
    return value;
  };

const featureList = (text: string): FeatureVariant[] =>
  text.split(',').map((name) => {
    const variant = FEATURE_VARIANTS.find((candidate) => candidate === name);
    if (!variant) throw new InvalidArgumentError(`expected some of ${FEATURE_VARIANTS.join(', ')}`);
    return variant;
  });

const append = (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, text];

/** `tidegate fingerprint train|evaluate`: encoders for one's own traffic, and how good they are. */
export function register(program: Command, context: CliContext): void {
  const group = program.command('fingerprint').description('train and judge the encoder of flow records');
  group
    .command('train')
    .description('train an encoder on captures; adopted only if it is better on captures held back')
    .requiredOption('--captures <dir>', 'pcap and pcapng files, also in folders')
    .option('--labels <file>', 'a label file, by-folder, or none (endpoints and ports only)', 'none')
    .addOption(new Option('--features <variant>', 'inputs').choices(FEATURE_VARIANTS).default('port'))
    .option('--seed <n>', 'the same seed gives the same model', integer(0), 1)
    .option('--steps <n>', 'training steps at most', integer(1), 300)
    .option('--model <file>', 'the model to be better than, and to replace', defaultModelPath())
    .option('--name <words>', 'what it was trained on, stored in the model')
    .option('--all', 'train the final model on the held-back captures too', false)
    .option('--force', 'adopt the model even if it is not better', false)
    .addOption(outputOption(['table', 'json']))
    .action(async (flags: TrainFlags) => {
      process.exitCode = await trainCommand(context, flags);
    });
  group
    .command('evaluate')
    .description('how well unseen captures are recognised, beside the baselines; never a random split')
    .option('--captures <dir>', 'cross-validate these captures')
    .option('--folds <n>', 'folds of --captures', integer(2), 5)
    .option('--gallery <dir>', 'captures to learn from')
    .option('--query <dir>', 'captures to recognise')
    .option('--labels <file>', 'a label file or by-folder; twice = of gallery, of query', append)
    .option('--features <variants>', 'comma-separated', featureList, ['noport', 'port'])
    .addOption(
      new Option('--supervision <kind>', 'what to learn from')
        .choices(['labels', 'labels+weak', 'weak'])
        .default('labels+weak'),
    )
    .option('--seed <n>', 'of folds and training', integer(0), 0)
    .option('--steps <n>', 'training steps', integer(1))
    .option('--per-label <n>', 'flows used of one capture and label', integer(1), 10)
    .addOption(outputOption(['table', 'json']))
    .action(async (flags: EvaluateFlags, command: Command) => {
      await evaluateCommand(context, flags, command);
    });
}

/** One line that is rewritten on a terminal; nothing otherwise. */
function progressLine(context: CliContext): (text: string) => void {
  return (text) => {
    if (context.interactive) context.stderr.write(`\r\u001b[K${text}`);
  };
}

const bar = (done: number, of: number): string => {
  const cells = 30;
  const full = Math.round((cells * done) / Math.max(1, of));
  return `[${'#'.repeat(full)}${'.'.repeat(cells - full)}] ${done}/${of}`;
};

async function trainCommand(context: CliContext, flags: TrainFlags): Promise<number> {
  const line = progressLine(context);
  const show = (stage: TrainingStage): void =>
    line(
      `${stage.stage} ${bar(stage.done, stage.of)}${stage.stage === 'training' ? ` loss ${stage.loss.toFixed(3)}` : ''}`,
    );
  const { report, model } = await trainInWorker(
    {
      captures: resolve(flags.captures),
      labels: ['by-folder', 'none'].includes(flags.labels) ? flags.labels : resolve(flags.labels),
      variant: flags.features,
      seed: flags.seed,
      steps: flags.steps,
      trainedOn: flags.name ?? 'captures of this user',
      useAll: flags.all,
      ...(existsSync(flags.model) ? { currentModel: resolve(flags.model) } : {}),
    },
    show,
    context.signal,
  );
  line('');
  const adopted = report.better || flags.force;
  if (adopted) await adoptModel(flags.model, model);
  const { knn1, current } = report.heldBack;
  if (flags.output === 'json') {
    context.stdout.write(`${toJson({ ...report, adopted, path: adopted ? flags.model : null })}\n`);
  } else {
    const score = (s: { accuracy: number; macroF1: number }): string =>
      `accuracy ${s.accuracy.toFixed(3)}, macro-F1 ${s.macroF1.toFixed(3)}`;
    context.stdout.write(
      `${report.flows} flows, ${report.labelled} labelled, ${report.classes} classes; ${report.heldBack.captures} captures held back\n` +
        `new model ${report.model.id}: ${score(knn1)}\n` +
        `model in use: ${current ? score(current) : 'none'}\n` +
        (adopted ? `adopted as ${flags.model}\n` : 'not better, so not adopted; the old model stays\n'),
    );
  }
  return 0;
}

const labelSource = (text: string | undefined): LabelSource =>
  text === undefined || text === 'by-folder' ? 'by-folder' : readLabels(text);

async function evaluateCommand(context: CliContext, flags: EvaluateFlags, command: Command): Promise<void> {
  const line = progressLine(context);
  const load = (directory: string, labels: string | undefined): Promise<FlowDataset> =>
    loadDataset({
      directory,
      labels: labelSource(labels),
      perCaptureAndLabel: flags.perLabel,
      onCapture: (done, of) => line(`reading ${directory} ${bar(done, of)}`),
      signal: context.signal,
    });
  const options: EvaluationOptions = {
    variants: flags.features,
    supervision: flags.supervision,
    seed: flags.seed,
    ...(flags.steps === undefined ? {} : { steps: flags.steps }),
    onTask: (done, of) => line(`learning and recognising ${bar(done, of)}`),
  };
  const [first, second] = flags.labels ?? [];
  let report: EvaluationReport;
  if (flags.captures !== undefined) {
    report = await evaluateFolds(await load(flags.captures, first), flags.folds, flags.captures, options);
  } else if (flags.gallery !== undefined && flags.query !== undefined) {
    const gallery = await load(flags.gallery, first);
    report = await evaluateTransfer(
      gallery,
      await load(flags.query, second ?? first),
      flags.gallery,
      options,
    );
  } else {
    command.error('error: name --captures, or --gallery and --query');
  }
  line('');
  if (flags.output === 'json') context.stdout.write(`${toJson(report)}\n`);
  else context.stdout.write(renderTable(report.tasks.flatMap(methodRows), METHOD_COLUMNS));
}

interface MethodRow {
  readonly task: TaskReport;
  readonly method: string;
  readonly accuracy: number;
  readonly macroF1: number;
}

const methodRows = (task: TaskReport): MethodRow[] =>
  Object.entries({ 'encoder, 32-d': task.knn1, ...task.baselines }).map(([method, score]) => ({
    task,
    method,
    ...score,
  }));

const METHOD_COLUMNS = [
  { title: 'features', value: (row: MethodRow) => row.task.features },
  { title: 'split', value: (row: MethodRow) => row.task.split },
  { title: 'classes', value: (row: MethodRow) => row.task.classes },
  { title: 'items', value: (row: MethodRow) => row.task.items },
  { title: 'method', value: (row: MethodRow) => row.method },
  {
    title: 'accuracy',
    value: (row: MethodRow) => row.accuracy,
    show: (row: MethodRow) => row.accuracy.toFixed(3),
  },
  {
    title: 'macroF1',
    value: (row: MethodRow) => row.macroF1,
    show: (row: MethodRow) => row.macroF1.toFixed(3),
  },
];
