/**
 * A set of frame numbers, as a flat list of ranges `first, last, first, last …`, disjoint and in order. A visit has one
 * range for each of its page loads.
 */

/**
 * Maximum number of ranges. Above it the two lowest ranges are merged: the numbers between them will not arrive any
 * more.
 */
const MAX_RANGES = 64;

export function isIn(ranges: readonly number[], n: number): boolean {
  for (let i = ranges.length - 2; i >= 0; i -= 2) if (n >= (ranges[i] as number)) return n <= (ranges[i + 1] as number);
  return false;
}

/** Returns the highest number up to `max`, or 0 if there is none. */
export function lastUpTo(ranges: readonly number[], max: number): number {
  for (let i = ranges.length - 2; i >= 0; i -= 2)
    if ((ranges[i] as number) <= max) return Math.min(ranges[i + 1] as number, max);
  return 0;
}

/** Returns how many of the numbers from `first` to `last` are in the ranges. */
export function countIn(ranges: readonly number[], first: number, last: number): number {
  let count = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const [low, high] = [Math.max(first, ranges[i] as number), Math.min(last, ranges[i + 1] as number)];
    count += Math.max(0, high - low + 1);
  }
  return count;
}

/** Removes the numbers from `first` to `last`. */
export function takeFrom(ranges: number[], first: number, last: number): void {
  const left: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    const [low, high] = [ranges[i] as number, ranges[i + 1] as number];
    if (low < first) left.push(low, Math.min(high, first - 1));
    if (high > last) left.push(Math.max(low, last + 1), high);
  }
  ranges.splice(0, ranges.length, ...left);
}

/** Adds a number that is in none of the ranges. */
export function addTo(ranges: number[], n: number): void {
  let i = ranges.length;
  while (i > 0 && (ranges[i - 2] as number) > n) i -= 2;
  const follows = i > 0 && ranges[i - 1] === n - 1;
  const leads = ranges[i] === n + 1;
  if (follows && leads) ranges.splice(i - 1, 2);
  else if (follows) ranges[i - 1] = n;
  else if (leads) ranges[i] = n;
  else ranges.splice(i, 0, n, n);
  if (ranges.length > 2 * MAX_RANGES) ranges.splice(1, 2);
}
