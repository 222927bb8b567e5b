/** The part of the live screen's state that is stored in the address. */
import { go, query } from '../shell/route.ts';
import type { Width } from '../ui/width-class.ts';
import { rewind, serverNow } from './live-signals.ts';

/** Shows the site as it was at a time, Unix ms; a time in the future shows the present. */
export function rewindTo(at: number): void {
  putTime(Math.min(at, serverNow()), rewind.peek() !== null);
}

/** Writes the time of the rewind into the address. `replaces`: without a new entry in the history. */
export function putTime(at: number, replaces: boolean): void {
  const next = new URLSearchParams(query.peek());
  next.set('at', String(Math.floor(at)));
  go(`/admin?${next}`, replaces);
}

export function backToLive(): void {
  const next = new URLSearchParams(query.peek());
  next.delete('at');
  go(next.size ? `/admin?${next}` : '/admin');
}

/** Shows only windows of one size, or all. */
export function showWidth(width: Width | 'all'): void {
  const next = new URLSearchParams(query.peek());
  next.set('width', width);
  go(`/admin?${next}`, true);
}
