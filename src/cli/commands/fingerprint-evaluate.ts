import { type Command, InvalidArgumentError, Option } from 'commander';
import { FEATURE_VARIANTS, type FeatureVariant } from '../../fingerprint/features/schema.js';
import { type FlowDataset, type LabelSource, loadDataset } from '../../fingerprint/training/dataset.js';
import {
  type EvaluationOptions,
  type EvaluationReport,
  evaluateFolds,
  evaluateTransfer,
} from '../../fingerprint/training/evaluate.js';
import { readLabels } from '../../fingerprint/training/labels.js';
import type { TaskReport } from '../../fingerprint/training/task-report.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption, wholeNumber } from '../options.js';
import { printRows, toJson } from '../output.js';
import { progressOn } from '../progress.js';

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

const featureList = (text: string): FeatureVariant[] =>
  text.split(',').map((name) => {
    const variant = FEATURE_VARIANTS.find((candidate) => candidate === name);
    if (!variant) throw new InvalidArgumentError(`expected some of ${FEATURE_VARIANTS.join(', ')}`);
    return variant;
  });

const append = (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, text];

/** `tidegate fingerprint evaluate` */
export function registerEvaluate(group: Command, context: CliContext): void {
  group
    .command('evaluate')
    .description('how well unseen captures are recognised, beside the baselines; never a random split')
    .option('--captures <dir>', 'cross-validate these captures')
    .option('--folds <n>', 'folds of --captures', wholeNumber(2), 5)
    .option('--gallery <dir>', 'captures to learn from')
    .option('--query <dir>', 'captures to recognise')
    .option('--labels <file>', 'a label file or by-folder; twice = of gallery, of query', append)
    .option('--features <variants>', 'comma-separated', featureList, ['noport', 'port'])
    .addOption(
      new Option('--supervision <kind>', 'what to learn from')
        .choices(['labels', 'labels+weak', 'weak'])
        .default('labels+weak'),
    )
    .option('--seed <n>', 'of folds and training', wholeNumber(0), 0)
    .option('--steps <n>', 'training steps', wholeNumber(1))
    .option('--per-label <n>', 'flows used of one capture and label', wholeNumber(1), 10)
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (flags: EvaluateFlags, command: Command) => {
      await evaluateCommand(context, flags, command);
    });
}

const labelSource = (text: string | undefined): LabelSource =>
  text === undefined || text === 'by-folder' ? 'by-folder' : readLabels(text);

async function evaluateCommand(context: CliContext, flags: EvaluateFlags, command: Command): Promise<void> {
  const progress = progressOn(context);
  const load = (directory: string, labels: string | undefined): Promise<FlowDataset> =>
    loadDataset({
      directory,
      labels: labelSource(labels),
      perCaptureAndLabel: flags.perLabel,
      onCapture: (done, of) => progress.show('reading', done, of, directory),
      signal: context.signal,
    });
  const options: EvaluationOptions = {
    variants: flags.features,
    supervision: flags.supervision,
    seed: flags.seed,
    ...(flags.steps === undefined ? {} : { steps: flags.steps }),
    onTask: (done, of) => progress.show('learning and recognising', done, of, `${done} of ${of}`),
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
  progress.end();
  if (flags.output === 'json') context.stdout.write(`${toJson(report)}\n`);
  else printRows(context, flags.output, report.tasks.flatMap(methodRows), METHOD_COLUMNS);
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
