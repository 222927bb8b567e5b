/** Counts connections, so that neither one address nor all together take more than their share. */
export class Admission {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #count = 0;

  constructor(max: number, maxPerAddress: number) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  get count(): number {
    return this.#count;
  }

  /** Lets one in and returns how to let it out again (twice is safe), or says which bound it met. */
  enter(address: string): (() => void) | 'worker-full' | 'address-full' {
    if (this.#count >= this.#max) return 'worker-full';
    const here = this.#byAddress.get(address) ?? 0;
    if (here >= this.#maxPerAddress) return 'address-full';
    this.#count += 1;
    this.#byAddress.set(address, here + 1);
    let inside = true;
    return () => {
      if (inside) this.#leave(address);
      inside = false;
    };
  }

  #leave(address: string): void {
    this.#count -= 1;
    const here = (this.#byAddress.get(address) ?? 1) - 1;
    if (here > 0) this.#byAddress.set(address, here);
    else this.#byAddress.delete(address);
  }
}
