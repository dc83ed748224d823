const EARLY_SHARE = 0.1;
const EARLY_SLOPE = 1.5;
const WINDOWS_DAYS = [7, 14, 28] as const;
/** Bits of a level that are worth finding. */
const HALVINGS = 40;

/** Two burstable links that carry one demand; each ignores its highest samples of the month. */
export interface BurstMonth {
  /** Samples of the month and of at least a few days before it, bit/s, oldest first. */
  readonly demandBps: Float64Array;
  /** Where the month begins. */
  readonly monthStart: number;
  readonly samplesPerDay: number;
  /** Share of a link's samples that is billed: 0.95. */
  readonly percentile: number;
}

export interface BurstSplit {
  /** What each link carried in each sample of the month. */
  readonly links: readonly [Float64Array, Float64Array];
  /** Sum of both links' billed rates, bit/s. */
  readonly billedBps: number;
}

const billedBps = (values: Float64Array, free: number): number => {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, sorted.length - 1 - free)] ?? 0;
};

/** Samples that a link may exceed its billed rate in. */
const freeOf = (month: BurstMonth): number =>
  Math.floor((month.demandBps.length - month.monthStart) * (1 - month.percentile) + 1e-9);

/** How many of the sorted values lie above a level. */
function above(sorted: Float64Array, level: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= level * (1 + 1e-9)) low = middle + 1;
    else high = middle;
  }
  return sorted.length - low;
}

export interface BurstState {
  /** What each link has carried in this month's samples so far. */
  readonly carried: readonly Float64Array[];
  readonly freePerLink: number;
  readonly samplesLeft: number;
  readonly samplesOfMonth: number;
  readonly samplesPerDay: number;
}

/**
 * The level to aim at for the rest of a month, all links together, each with an equal part: the lowest for which the
 * samples above it that are to be expected, as often as in the busiest of the recent windows, are no more than the
 * free samples left. What was carried above a lower level has used up free samples already, so a level falls only as
 * far as those allow. Some are held back early in the month: running out is the expensive mistake.
 *
 * @param past rates of all the demand before now, oldest first
 */
export function aimedLevelBps(past: Float64Array, state: BurstState): number {
  const { freePerLink, samplesLeft, samplesOfMonth, samplesPerDay } = state;
  const carried = state.carried.map((values) => Float64Array.from(values).sort());
  const windows = WINDOWS_DAYS.map((days) => past.slice(-days * samplesPerDay).sort());
  const heldBack = 1 - EARLY_SHARE * Math.min(1, (EARLY_SLOPE * samplesLeft) / samplesOfMonth);
  const lasts = (level: number): boolean => {
    const left = carried.map((sorted) => freePerLink - above(sorted, level / carried.length));
    if (left.some((count) => count < 0)) return false;
    const share = Math.max(...windows.map((sorted) => above(sorted, level) / Math.max(1, sorted.length)));
    return share * samplesLeft <= heldBack * left.reduce((sum, count) => sum + count, 0);
  };
  let low = 0;
  let high = Math.max(
    windows.at(-1)?.at(-1) ?? 0,
    ...carried.map((sorted) => carried.length * (sorted.at(-1) ?? 0)),
  );
  if (lasts(low)) return low;
  for (let halving = 0; halving < HALVINGS; halving += 1) {
    const middle = (low + high) / 2;
    if (lasts(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** Half and half, always: what no plan costs. */
export function evenSplit(month: BurstMonth): BurstSplit {
  const half = month.demandBps.subarray(month.monthStart).map((value) => value / 2);
  return { links: [half, half], billedBps: 2 * billedBps(half, freeOf(month)) };
}

/**
 * Both links' billed rates with perfect foresight: each burst goes to one link alone while the other stays low, so
 * both links' free samples together cover the highest demands, and the next one is the bill. A link must be able to
 * carry a whole burst.
 */
export function perfectBurstBps(month: BurstMonth): number {
  return billedBps(month.demandBps.subarray(month.monthStart), 2 * freeOf(month));
}

/**
 * The split that is decided sample by sample: below a level both links share evenly; above it one link, the one with
 * more free samples left, takes the burst while the other stays at half the level. The level is aimed anew every day.
 */
export function burstSplit(month: BurstMonth): BurstSplit {
  const { demandBps, monthStart, samplesPerDay } = month;
  const samples = demandBps.length - monthStart;
  const free = freeOf(month);
  let left = [free, free];
  const links: [Float64Array, Float64Array] = [new Float64Array(samples), new Float64Array(samples)];
  let level = 0;
  for (let i = 0; i < samples; i += 1) {
    if (i % samplesPerDay === 0) {
      const carried = links.map((values) => values.subarray(0, i));
      level = aimedLevelBps(demandBps.subarray(0, monthStart + i), {
        carried,
        freePerLink: free,
        samplesLeft: samples - i,
        samplesOfMonth: samples,
        samplesPerDay,
      });
      left = carried.map((values) => free - above(values.slice().sort(), level / 2));
    }
    const demand = demandBps[monthStart + i]!;
    const one = left[0]! >= left[1]! ? 0 : 1;
    if (demand <= level || left[one]! <= 0) {
      links[0][i] = demand / 2;
      links[1][i] = demand / 2;
      // Out of free samples: this rate is billed now, so it may as well be used.
      level = Math.max(level, demand);
    } else {
      links[one]![i] = demand - level / 2;
      links[1 - one]![i] = level / 2;
      left[one]! -= 1;
    }
  }
  return { links, billedBps: billedBps(links[0], free) + billedBps(links[1], free) };
}
