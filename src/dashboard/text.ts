/** Numbers and times as people read them. */
import type { LeaveReason, Visitor } from '../protocol/stream.ts';

/** `12 s`, `3 min`, `2 h 5 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** `just now`, `3 min ago`. */
export function ago(ms: number): string {
  return ms < 2000 ? 'just now' : `${duration(ms)} ago`;
}

/** `08:05:09`. */
export const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
/** `08:05`. */
export const shortClock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short', hourCycle: 'h23' });

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function date(t: number): string {
  return dates.format(t);
}

const numbers = new Intl.NumberFormat();

/** `1 visitor`, `1,000 visitors`. */
export function count(n: number, noun: string): string {
  return `${numbers.format(n)} ${noun}${n === 1 ? '' : 's'}`;
}

export function number(n: number): string {
  return numbers.format(n);
}

/** How a visitor left, as the end of a sentence. */
export const LEFT: Record<LeaveReason, string> = {
  closed: 'left',
  lost: 'was lost',
  refused: 'was sent away',
  server: 'was disconnected',
};

export const DEVICE: Record<Visitor['device'], string> = {
  phone: 'Phone',
  tablet: 'Tablet',
  desktop: 'Desktop',
  wide: 'Wide screen',
  unknown: 'Simple client',
};
