const CRITERION_STEPS = [1, 6, 24, 36];
const STARTS = [
  [0.02, 0.1, 0.15, 0.7],
  [0.005, 0.1, 0.2, 0.9],
  [0.1, 0.2, 0.1, 0.3],
  [0.002, 0.05, 0.3, 0.95],
  [0.01, 0.4, 0.1, 0.8],
] as const;
const BOUNDS = [0.6, 0.6, 0.6, 0.98];
const MAXIMUM_EVALUATIONS = 120;
const DAY = 24;
const WEEK = 168;

/**
 * Double-seasonal Holt-Winters with an AR(1) error (Taylor, 2003), additive, for hourly values; its four weights
 * minimise the mean absolute error at several horizons at once, by coordinate search.
 */
export function doubleSeasonalHoltWinters(
  y: Float64Array,
  horizon: number,
  log: boolean,
): Float64Array | undefined {
  const n = y.length;
  if (n < 3 * DAY) return undefined;
  let min = Number.POSITIVE_INFINITY;
  for (const value of y) min = Math.min(min, value);
  const shift = min > 0 ? 0 : 1 - min;
  const z = log ? y.map((value) => Math.log(value + shift)) : y;
  const weekly = n >= 2 * WEEK;
  const head = Math.min(n, 2 * WEEK);
  let level0 = 0;
  for (let t = 0; t < head; t += 1) level0 += z[t]! / head;
  const day0 = new Float64Array(DAY);
  const week0 = new Float64Array(WEEK);
  const dayCount = new Float64Array(DAY);
  const weekCount = new Float64Array(WEEK);
  for (let t = 0; t < head; t += 1) {
    day0[t % DAY]! += z[t]! - level0;
    dayCount[t % DAY]! += 1;
  }
  for (let k = 0; k < DAY; k += 1) day0[k]! /= dayCount[k]!;
  if (weekly) {
    for (let t = 0; t < head; t += 1) {
      week0[t % WEEK]! += z[t]! - level0 - day0[t % DAY]!;
      weekCount[t % WEEK]! += 1;
    }
    for (let k = 0; k < WEEK; k += 1) week0[k]! *= 0.7 / weekCount[k]!;
  }
  const day = new Float64Array(DAY);
  const week = new Float64Array(WEEK);
  let level = level0;
  let error = 0;
  const from = weekly ? WEEK : Math.floor(n / 2);
  const run = (weights: readonly number[]): number => {
    const [alpha, delta, omega0, phi] = weights as [number, number, number, number];
    const omega = weekly ? omega0 : 0;
    day.set(day0);
    week.set(week0);
    level = level0;
    error = 0;
    const powers = CRITERION_STEPS.map((k) => phi ** k);
    let sum = 0;
    let count = 0;
    for (let t = 0; t < n; t += 1) {
      const d = t % DAY;
      const w = t % WEEK;
      const residual = z[t]! - level - day[d]! - week[w]!;
      const u = residual - phi * error;
      level += alpha * u;
      day[d]! += delta * u;
      week[w]! += omega * u;
      error = residual;
      if (t < from) continue;
      for (let i = 0; i < CRITERION_STEPS.length; i += 1) {
        const k = t + CRITERION_STEPS[i]!;
        if (k >= n) break;
        sum += Math.abs(z[k]! - level - day[k % DAY]! - week[k % WEEK]! - powers[i]! * error);
        count += 1;
      }
    }
    return count > 0 ? sum / count : Number.POSITIVE_INFINITY;
  };
  let best: number[] = [...STARTS[0]];
  let bestScore = Number.POSITIVE_INFINITY;
  for (const start of STARTS) {
    const score = run(start);
    if (score < bestScore) [bestScore, best] = [score, [...start]];
  }
  const steps = [0.04, 0.1, 0.12, 0.2];
  let evaluations = STARTS.length;
  while (evaluations < MAXIMUM_EVALUATIONS && Math.max(...steps) >= 0.01) {
    for (let i = 0; i < 4; i += 1) {
      let moved = false;
      for (const sign of [1, -1]) {
        const trial = [...best];
        trial[i] = Math.min(BOUNDS[i]!, Math.max(0, best[i]! + sign * steps[i]!));
        if (trial[i] === best[i]) continue;
        const score = run(trial);
        evaluations += 1;
        if (score < bestScore) {
          [bestScore, best] = [score, trial];
          moved = true;
          break;
        }
      }
      if (!moved) steps[i]! *= 0.45;
    }
  }
  run(best);
  const phi = best[3]!;
  return Float64Array.from({ length: horizon }, (_, i) => {
    const t = n + i;
    const value = level + day[t % DAY]! + week[t % WEEK]! + phi ** (i + 1) * error;
    return log ? Math.exp(value) - shift : value;
  });
}
