const EARLY_SHARE = 0.2;
const EARLY_SLOPE = 1.5;
const WINDOWS_DAYS = [7, 14] as const;

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

function quantile(values: Float64Array, q: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1));
  return sorted[at] ?? 0;
}

/** Samples that a link may exceed its billed rate in. */
const freeOf = (month: BurstMonth): number =>
  Math.floor((month.demandBps.length - month.monthStart) * (1 - month.percentile) + 1e-9);

/**
 * The level to aim at for the rest of a month: the lowest that the recent past says the free samples will last for.
 *
 * @param past rates before now, at least as long as the windows where there is so much
 */
export function aimedLevelBps(
  past: Float64Array,
  state: {
    readonly freeLeft: number;
    readonly samplesLeft: number;
    readonly samplesOfMonth: number;
    readonly samplesPerDay: number;
  },
): number {
  const { freeLeft, samplesLeft, samplesOfMonth, samplesPerDay } = state;
  const heldBack = 1 - EARLY_SHARE * Math.min(1, (EARLY_SLOPE * samplesLeft) / samplesOfMonth);
  const share = Math.max(0, Math.min(1, (freeLeft * heldBack) / samplesLeft));
  return Math.max(
    0,
    ...WINDOWS_DAYS.map((days) => quantile(past.subarray(-days * samplesPerDay), 1 - share)),
  );
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
 * more free samples left, takes the burst while the other stays at half the level. Each day the level is the lowest
 * that the recent past says the free samples of both links will last for, some of them held back early in the month:
 * running out is the expensive mistake. Within a month the level never falls, since what was billed once is billed.
 */
export function burstSplit(month: BurstMonth): BurstSplit {
  const { demandBps, monthStart, samplesPerDay } = month;
  const samples = demandBps.length - monthStart;
  const free = freeOf(month);
  const left = [free, free];
  const links: [Float64Array, Float64Array] = [new Float64Array(samples), new Float64Array(samples)];
  let level = 0;
  for (let i = 0; i < samples; i += 1) {
    if (i % samplesPerDay === 0) {
      const aimed = aimedLevelBps(demandBps.subarray(0, monthStart + i), {
        freeLeft: left[0]! + left[1]!,
        samplesLeft: samples - i,
        samplesOfMonth: samples,
        samplesPerDay,
      });
      level = Math.max(level, aimed);
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
