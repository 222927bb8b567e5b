/** What keeps the store from working as it should, from several sources. */
export class Troubles {
  readonly #onChange: (all: readonly string[]) => void;
  readonly #bySource = new Map<string, string>();

  constructor(onChange: (all: readonly string[]) => void = () => {}) {
    this.#onChange = onChange;
  }

  /** What a source has to say; nothing: all is well with it. */
  set(source: string, trouble: string | false | undefined): void {
    if (trouble) this.#bySource.set(source, trouble);
    else if (!this.#bySource.delete(source)) return;
    this.#onChange([...this.#bySource.values()]);
  }
}
