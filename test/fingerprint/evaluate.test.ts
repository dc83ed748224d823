import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../src/fingerprint/training/dataset.js';
import { evaluateFolds, evaluateTransfer } from '../../src/fingerprint/training/evaluate.js';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const data = process.env.TIDEGATE_DATA ?? join(root, '../shared/data');
const captures = join(data, 'captures/iot');
const addon = join(root, 'build/Release/tidegate.node');
const missing = [captures, addon].find((path) => !existsSync(path));

const options = { variants: ['noport'], supervision: 'labels', seed: 0, steps: 60 } as const;

describe(`labelled captures${missing ? ` (skipped: ${missing} is missing)` : ''}`, () => {
  it.skipIf(missing)('of one folder are one class', async () => {
    const of = (device: string) =>
      loadDataset({ directory: join(captures, device), labels: 'by-folder', perCaptureAndLabel: 10 });
    const one = await of('Withings');
    expect(one.captures.length).toBeGreaterThan(5);
    expect(one.unit).toBe('capture');
    expect(new Set(one.captureLabels).size).toBe(1);
  });

  it.skipIf(missing)('give the report that the command prints, and find themselves again', async () => {
    const dataset = await loadDataset({ directory: captures, labels: 'by-folder', perCaptureAndLabel: 10 });
    const { tasks, model } = await evaluateFolds(dataset, 3, 'iot', options);
    const [task] = tasks;
    expect(task).toMatchObject({ features: 'noport', unit: 'capture', classes: 27 });
    expect(task!.knn1.accuracy).toBeGreaterThan(0.8);
    for (const baseline of ['majority', 'portProtocol', 'rawKnn', 'rawKnnOld', 'pca32'] as const)
      expect(task!.baselines[baseline].accuracy).toBeGreaterThan(0);
    expect(task!.knn1.accuracy).toBeGreaterThan(task!.baselines.majority.accuracy);
    expect(model.id).toMatch(/^[0-9a-f]{16}$/);
    const same = await evaluateTransfer(dataset, dataset, 'itself', options);
    expect(same.tasks[0]!.baselines.rawKnn.accuracy).toBe(1);
  });
});
