import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDataset } from '../../src/fingerprint/training/dataset.js';
import { evaluateFolds, evaluateTransfer } from '../../src/fingerprint/training/evaluate.js';
import { readLabels } from '../../src/fingerprint/training/labels.js';
import { trainModel } from '../../src/fingerprint/training/train-model.js';
import { type CaptureFrame, ipv4Frame, pcapFile } from '../support/pcap.js';
import { makeBatch, type ServiceKind, serviceFlow } from './support/batch.js';

const addon = join(import.meta.dirname, '../../build/Release/tidegate.node');
const missing = existsSync(addon) ? undefined : addon;
const options = { variants: ['noport', 'port'], supervision: 'labels+weak', seed: 0, steps: 15 } as const;

/** One exchange of a device: requests and answers of sizes that depend on what it is. */
function capture(device: number, run: number): Buffer {
  const frames: CaptureFrame[] = [];
  for (let flow = 0; flow < 6; flow += 1)
    for (let i = 0; i < 6; i += 1) {
      const forward = i % 2 === 0;
      const [client, server] = [`10.0.${device}.${run + 1}`, `192.0.2.${flow + 1}`];
      frames.push({
        timeMs: 1_700_000_000_000 + flow * 1000 + i * 5,
        bytes: ipv4Frame({
          source: forward ? client : server,
          destination: forward ? server : client,
          protocol: 17,
          sourcePort: forward ? 40_000 + flow : 5000 + device,
          destinationPort: forward ? 5000 + device : 40_000 + flow,
          payload: 40 + device * 150 + i * 10 + (run % 2),
        }),
      });
    }
  return pcapFile(frames);
}

describe.skipIf(missing)(
  `captures that nobody has seen${missing ? ` (skipped: ${missing} is missing)` : ''}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-unseen-'));
    const folder = (name: string, device: number, runs: number): string => {
      const path = join(directory, name);
      mkdirSync(path, { recursive: true });
      for (let run = 0; run < runs; run += 1) writeFileSync(join(path, `${run}.pcap`), capture(device, run));
      return path;
    };
    beforeAll(() => {
      folder('many/camera', 0, 4);
      folder('many/lamp', 1, 3);
      folder('many/plug', 2, 1);
      writeFileSync(join(directory, 'many/lamp/damaged.pcap'), capture(1, 9).subarray(0, 90));
      writeFileSync(join(directory, 'many/lamp/nonsense.pcap'), 'this is no capture');
      writeFileSync(join(directory, 'many/lamp/empty.pcapng'), '');
      folder('tiny/camera', 0, 2);
      folder('tiny/lamp', 1, 2);
      folder('one/camera', 0, 4);
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));
    const load = (name: string, labels: 'by-folder' | string) =>
      loadDataset({
        directory: join(directory, name),
        labels: labels === 'by-folder' ? labels : readLabels(labels),
        perCaptureAndLabel: 10,
      });

    test('by folder: damaged files are passed over, a class of one capture is left out', async () => {
      const { tasks } = await evaluateFolds(await load('many', 'by-folder'), 5, 'many', options);
      expect(tasks.map((task) => task.features)).toEqual(['noport', 'port']);
      for (const task of tasks) {
        expect(task).toMatchObject({ classes: 2, unit: 'capture' });
        expect(task.knn1.accuracy).toBe(1);
        for (const method of Object.values(task.baselines)) {
          expect(method.accuracy).toBeGreaterThan(0);
          expect(method.macroF1).toBeLessThanOrEqual(1);
        }
      }
    });

    test('two captures a class are enough, and more folds than captures become fewer', async () => {
      const { tasks } = await evaluateFolds(await load('tiny', 'by-folder'), 5, 'tiny', options);
      expect(tasks[0]).toMatchObject({ classes: 2, captures: 4, split: '4-fold by capture' });
    });

    test('one class is an error that says so', async () => {
      await expect(evaluateFolds(await load('one', 'by-folder'), 5, 'one', options)).rejects.toMatchObject({
        code: 'TG_FINGERPRINT_TOO_FEW',
        exitCode: 2,
      });
    });

    test('a label file may miss captures and name files that are not there', async () => {
      const labels = join(directory, 'labels.csv');
      const lines = ['camera/0', 'camera/1', 'camera/2', 'lamp/0', 'lamp/1', 'nowhere/7'].map(
        (file) => `many/${file}.pcap,${file.split('/')[0]}`,
      );
      writeFileSync(labels, `file,label\n${lines.join('\n')}\n`);
      const dataset = await load('many', labels);
      expect(dataset.captureLabels.filter((label) => label !== '')).toHaveLength(5);
      const { tasks } = await evaluateTransfer(dataset, await load('tiny', 'by-folder'), 'many', options);
      expect(tasks[0]).toMatchObject({ classes: 2, items: 4 });
      expect(tasks[0]!.knn1.accuracy).toBe(1);
    });

    test('labels of flows, some of them missing', async () => {
      const labels = join(directory, 'flows.csv');
      const rows = ['camera', 'lamp'].flatMap((name, device) =>
        [0, 1, 2].flatMap((run) =>
          [1, 2, 3].map(
            (flow) =>
              `many/${name}/${run}.pcap,17,10.0.${device}.${run + 1},${40_000 + flow - 1},192.0.2.${flow},${5000 + device},${name}`,
          ),
        ),
      );
      const header =
        'file,protocolIdentifier,sourceAddress,sourcePort,destinationAddress,destinationPort,label';
      writeFileSync(labels, `${header}\n${rows.join('\n')}\n`);
      const dataset = await load('many', labels);
      expect(dataset.labels.filter((label) => label !== '')).toHaveLength(rows.length);
      const { tasks } = await evaluateFolds(dataset, 3, 'many', { ...options, variants: ['port+bytes'] });
      expect(tasks[0]).toMatchObject({ unit: 'flow', classes: 2, items: rows.length });
    });
  },
);

describe('training from stored flows', () => {
  const KINDS: readonly ServiceKind[] = ['backup', 'api', 'streaming', 'dns', 'batch'];
  const batch = makeBatch(
    Array.from({ length: 600 }, (_, i) =>
      serviceFlow(KINDS[i % 5]!, i, {
        destination: [192, 0, 2, i % 10],
        startMs: 1_700_000_000_000 + i * 6000,
      }),
    ),
  );
  for (let row = 0; row < batch.rows; row += 1) {
    batch.column('flowId', 'u64')[row] = BigInt(row);
    batch.column('workloadId', 'u32')[row] = 1 + (row % 5);
  }
  const request = { variant: 'port', seed: 1, steps: 100, trainedOn: 'stored', useAll: false } as const;
  const source = { kind: 'stored', buffer: batch.buffer, blockMs: 300_000 } as const;

  test('learns the names that people gave, judged on times that it never saw', async () => {
    const labels = KINDS.map((name, i) => ({
      workloadId: i + 1,
      name,
      workloadIds: [i + 1],
      endpoints: [],
    }));
    const { report } = await trainModel({ ...request, source: { ...source, labels } }, () => {});
    expect(report).toMatchObject({ flows: 600, labelled: 600, classes: 5, better: true });
    expect(report.heldBack.captures).toBeGreaterThan(0);
    expect(report.heldBack.knn1.accuracy).toBeGreaterThan(0.95);
  });

  test('without names asks whether endpoints are found again at other times', async () => {
    const { report } = await trainModel(
      { ...request, steps: 30, source: { ...source, labels: [] } },
      () => {},
    );
    expect(report).toMatchObject({ labelled: 0, classes: 10 });
    // Two endpoints of each service look alike: only which of the two is a guess.
    expect(report.heldBack.knn1.accuracy).toBeGreaterThan(0.3);
  });

  test('nothing to learn from is an error that says so', async () => {
    await expect(
      trainModel({ ...request, source: { ...source, buffer: makeBatch([]).buffer, labels: [] } }, () => {}),
    ).rejects.toMatchObject({ code: 'TG_FINGERPRINT_TOO_FEW' });
  });
});
