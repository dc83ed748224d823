import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RepeatedLook } from '../../src/actuate/repeated-look.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('looks do not overlap, those that were due meanwhile are one, and stopping waits for the last', async () => {
  let [begun, ended] = [0, 0];
  let end = (): void => undefined;
  const look = (): Promise<void> => {
    begun += 1;
    return new Promise((resolve) => {
      end = () => {
        ended += 1;
        resolve();
      };
    });
  };
  const repeated = new RepeatedLook(look, 100);
  repeated.start();
  repeated.start(); // once is enough
  expect(begun).toBe(0);
  await vi.advanceTimersByTimeAsync(350);
  expect(begun).toBe(1);
  end();
  await vi.advanceTimersByTimeAsync(100);
  expect(begun).toBe(2);
  let stopped = false;
  const stopping = repeated.stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(1000);
  expect([begun, ended, stopped]).toEqual([2, 1, false]);
  end();
  await stopping;
  await vi.advanceTimersByTimeAsync(1000);
  expect([begun, ended]).toEqual([2, 2]);
  await repeated.stop();
});
