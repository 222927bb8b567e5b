/** Figures of several runs: the median is the figure to quote, with the minimum and maximum beside it. */

/** Ratios of fewer rounds vary too much. */
export const MIN_ROUNDS = 5;

export interface Spread {
  min: number;
  median: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.floor(q * (sorted.length - 1))] as number;
  return {
    min: at(0),
    median: sorted.length % 2 === 1 ? at(0.5) : (at(0.5) + (sorted[sorted.length / 2] as number)) / 2,
    max: at(1),
  };
}

/** As `12.3 (11.9 – 13.0)`. */
export function spreadText({ min, median, max }: Spread, digits = 1): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} – ${max.toFixed(digits)})`;
}

export interface Table {
  title: string;
  /** What was done, in a sentence or two. */
  text: string;
  head: string[];
  rows: string[][];
  targets: Target[];
}

/** One figure that was promised. */
export interface Target {
  what: string;
  wanted: string;
  got: string;
  met: boolean;
}

export function markdown({ title, text, head, rows, targets }: Table): string {
  const lines = [
    `## ${title}`,
    '',
    text,
    '',
    row(head),
    row(head.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map(row),
  ];
  if (targets.length > 0) {
    lines.push('', row(['target', 'wanted', 'measured', '']), row(['---', '---:', '---:', '---']));
    for (const { what, wanted, got, met } of targets) lines.push(row([what, wanted, got, met ? 'met' : '**missed**']));
  }
  return `${lines.join('\n')}\n`;
}

function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}
