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

/** `20 Nov`. */
export const shortDate = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

/** As a `datetime-local` input has it: `2026-11-20T14:05:12` by this browser's clock. */
export function localTime(t: number): string {
  return new Date(t - new Date(t).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

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

/** Time of a player: `0:07`, `1:02:03`. */
export function playTime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const countries = new Intl.DisplayNames(undefined, { type: 'region', fallback: 'code' });

/** The name of a country by its two letters; what is none stays as it is. */
export function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (countries.of(code) ?? code) : code;
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
