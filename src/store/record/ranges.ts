/**
 * Numbers that were seen, as a flat list of ranges `first, last, first, last …`, apart and in order. A visit has one
 * for each of its page loads.
 */

/** Beyond so many ranges those that lie lowest become one: what is missing between them will not come any more. */
const MAX_RANGES = 64;

export function isIn(ranges: readonly number[], n: number): boolean {
  for (let i = ranges.length - 2; i >= 0; i -= 2) if (n >= (ranges[i] as number)) return n <= (ranges[i + 1] as number);
  return false;
}

/** The highest number up to `most`; 0: there is none. */
export function lastUpTo(ranges: readonly number[], most: number): number {
  for (let i = ranges.length - 2; i >= 0; i -= 2)
    if ((ranges[i] as number) <= most) return Math.min(ranges[i + 1] as number, most);
  return 0;
}

/** How many of the numbers from `first` to `last` are in the ranges. */
export function countIn(ranges: readonly number[], first: number, last: number): number {
  let count = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const [low, high] = [Math.max(first, ranges[i] as number), Math.min(last, ranges[i + 1] as number)];
    count += Math.max(0, high - low + 1);
  }
  return count;
}

/** Takes the numbers from `first` to `last` out of the ranges. */
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
