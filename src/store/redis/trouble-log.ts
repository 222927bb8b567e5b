/** What keeps the store from working as it should, from several sources. */
import type { TroubleName } from '../../protocol/ipc.ts';

export class TroubleLog {
  readonly #onChange: (all: readonly TroubleName[]) => void;
  readonly #bySource = new Map<string, TroubleName>();

  constructor(onChange: (all: readonly TroubleName[]) => void = () => {}) {
    this.#onChange = onChange;
  }

  /** What a source has to say; nothing: all is well with it. */
  set(source: string, trouble: TroubleName | false | undefined): void {
    if (trouble) this.#bySource.set(source, trouble);
    else if (!this.#bySource.delete(source)) return;
    this.#onChange([...this.#bySource.values()]);
  }
}
