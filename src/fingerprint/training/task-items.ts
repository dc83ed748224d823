import type { FlowDataset } from './dataset.js';
import { takeRows } from './normalisation.js';
import { poolRows } from './pooling.js';
import type { TaskItems, UnlabelledFlows } from './task.js';

/** What a data set asks to be recognised. */
export interface Prepared {
  readonly items: TaskItems;
  /** Capture of each item. */
  readonly capture: Int32Array;
  readonly flows: number;
}

/** The labelled items of a data set; `keep` chooses classes. */
export function prepare(dataset: FlowDataset, keep: (label: string, captures: number) => boolean): Prepared {
  const inCaptures = new Map<string, Set<number>>();
  const note = (label: string, capture: number): void => {
    if (label === '') return;
    const set = inCaptures.get(label) ?? new Set();
    inCaptures.set(label, set.add(capture));
  };
  const kept = (label: string): boolean => label !== '' && keep(label, inCaptures.get(label)?.size ?? 0);
  if (dataset.unit === 'capture') {
    const flowsOf = new Int32Array(dataset.captures.length);
    for (const capture of dataset.capture) flowsOf[capture]! += 1;
    dataset.captureLabels.forEach((label, capture) => {
      if (flowsOf[capture]! > 0) note(label, capture);
    });
    const pooled = poolRows(dataset.features, dataset.capture, dataset.captures.length);
    const rows = dataset.captures
      .map((_, i) => i)
      .filter((i) => flowsOf[i]! > 0 && kept(dataset.captureLabels[i]!));
    return {
      items: {
        unit: 'capture',
        features: takeRows(pooled, rows),
        labels: rows.map((i) => dataset.captureLabels[i]!),
      },
      capture: Int32Array.from(rows),
      flows: rows.reduce((sum, i) => sum + flowsOf[i]!, 0),
    };
  }
  dataset.labels.forEach((label, row) => {
    note(label, dataset.capture[row]!);
  });
  const rows = dataset.labels.map((_, row) => row).filter((row) => kept(dataset.labels[row]!));
  return {
    items: {
      unit: 'flow',
      features: takeRows(dataset.features, rows),
      labels: rows.map((row) => dataset.labels[row]!),
    },
    capture: Int32Array.from(rows, (row) => dataset.capture[row]!),
    flows: rows.length,
  };
}

/** The items with these numbers, in this order. */
export const pickItems = (items: TaskItems, rows: readonly number[]): TaskItems => ({
  unit: items.unit,
  features: takeRows(items.features, rows),
  labels: rows.map((row) => items.labels[row]!),
});

/** All flows of the captures for which `inside` holds, without their labels. */
export function unlabelledOf(dataset: FlowDataset, inside: (capture: number) => boolean): UnlabelledFlows {
  const rows = Array.from(dataset.capture.keys()).filter((row) => inside(dataset.capture[row]!));
  return {
    features: takeRows(dataset.features, rows),
    weakKeys: {
      endpoint: Int32Array.from(rows, (row) => dataset.weakKeys.endpoint[row]!),
      port: Int32Array.from(rows, (row) => dataset.weakKeys.port[row]!),
    },
  };
}
