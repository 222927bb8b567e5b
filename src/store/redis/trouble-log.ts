/** Collects the current troubles of the store from several sources. */
import type { TroubleName } from '../../protocol/ipc.ts';

export class TroubleLog {
  readonly #onChange: (all: readonly TroubleName[]) => void;
  readonly #bySource = new Map<string, TroubleName>();

  constructor(onChange: (all: readonly TroubleName[]) => void = () => {}) {
    this.#onChange = onChange;
  }

  /** Sets the trouble of a source, or clears it. */
  set(source: string, trouble: TroubleName | false | undefined): void {
    if (trouble) this.#bySource.set(source, trouble);
    else if (!this.#bySource.delete(source)) return;
    this.#onChange([...this.#bySource.values()]);
  }
}
