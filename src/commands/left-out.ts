/** How a command handles damaged data: it stops, or with --skip-damaged counts it and continues. */
import type { LeftOut } from '../model/query.ts';
import { StoreError } from '../store/contract.ts';
import type { ExitCode, Output } from './command.ts';

/** Maximum number of damaged visits that are listed; the others are only counted. */
const MAX_LISTED = 10;

export class LeftOutCounts {
  readonly #skips: boolean;
  /** The problem of each damaged item, by item. */
  readonly #found = new Map<string, string>();
  #partial = 0;

  constructor(skips: boolean) {
    this.#skips = skips;
  }

  /** Records one damaged item (an OnLeftOut, see walk-visits.ts). Throws StoreError without --skip-damaged. */
  readonly take = (what: string, { count, first }: LeftOut): void => {
    if (!this.#skips)
      throw new StoreError(
        'damaged',
        `${what} is damaged: ${first}; use --skip-damaged to leave out unreadable data and list it`,
      );
    if (what.startsWith('visit ')) this.#found.set(what, first);
    else this.#partial += count;
  };

  /** Prints what was left out. Returns 3 if anything was. */
  tell(io: Output): ExitCode {
    const damaged = this.#found.size;
    if (damaged + this.#partial === 0) return 0;
    for (const [what, first] of [...this.#found].slice(0, MAX_LISTED))
      io.err(`fieldmouse: ${what} is damaged: ${first}`);
    io.err(
      `fieldmouse: left out as damaged: ${visits(this.#partial, 'whole ')} and parts of ${visits(damaged)}; ` +
        'fieldmouse verify lists the counts that differ',
    );
    return 3;
  }
}

function visits(n: number, which = ''): string {
  return `${n} ${which}${n === 1 ? 'visit' : 'visits'}`;
}
