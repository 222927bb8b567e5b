/** A progress bar on the terminal. Prints nothing without a terminal. */
import type { Writable } from 'node:stream';

/** Minimum time between two updates, milliseconds. */
const MIN_INTERVAL_MS = 100;
const CELLS = 24;
const ERASE_LINE = '\r\x1b[2K';

export interface Bar {
  /** `done` of `total`; a total of 0 means unknown. */
  show(done: number, total: number): void;
  /** Removes the bar, so that the next output starts in its place. */
  end(): void;
}

/** `what` is the action, counted in `unit`: bytes are shown in MB. */
export function createBar(screen: Writable | undefined, what: string, unit: string): Bar {
  if (screen === undefined) return { show() {}, end() {} };
  const startedAt = performance.now();
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    show(done, total) {
      const time = performance.now();
      if (time - drawnAt < MIN_INTERVAL_MS) return;
      drawnAt = time;
      screen.write(ERASE_LINE + barText(what, unit, done, total, time - startedAt));
    },
    end() {
      if (drawnAt >= startedAt) screen.write(ERASE_LINE);
    },
  };
}

/** Returns the text of the bar after `ms` of work. */
export function barText(what: string, unit: string, done: number, total: number, ms: number): string {
  const count = unit === 'bytes' ? (n: number) => (n / 1e6).toFixed(1) : (n: number) => n.toLocaleString('en');
  const name = unit === 'bytes' ? 'MB' : unit;
  if (total <= 0) return `${what}  ${count(done)} ${name}`;
  const share = Math.min(1, done / total);
  const cells = Math.floor(share * CELLS);
  const bar = '█'.repeat(cells) + '░'.repeat(CELLS - cells);
  const left = share > 0 ? `  ${clock((ms / share) * (1 - share))} left` : '';
  return `${what}  ${bar} ${Math.floor(share * 100)} %  ${count(done)} of ${count(total)} ${name}${left}`;
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const twoDigits = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${twoDigits(m)}:${twoDigits(s)}` : `${m}:${twoDigits(s)}`;
}
