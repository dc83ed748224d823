/** Up to so many values sort faster where they are than by the engine's general way. */
const FEW = 16;

function insertionSort(values: Float64Array): void {
  for (let i = 1; i < values.length; i += 1) {
    const value = values[i]!;
    let at = i;
    while (at > 0 && values[at - 1]! > value) {
      values[at] = values[at - 1]!;
      at -= 1;
    }
    values[at] = value;
  }
}

/** Middle value; the mean of the two middle ones for an even count. Leaves its argument alone. */
export function median(values: Iterable<number>): number {
  const sorted = new Float64Array(values);
  if (sorted.length > FEW) sorted.sort();
  else insertionSort(sorted);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

export const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += values[i]!;
  return sum / values.length;
};

/** The middle one of some measurements: for an even count the larger of the two. NaN without any. */
export const middleOf = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
