/** A cache of rendered images by tag. Images are rendered one at a time, and once for all concurrent requests. */
import { comeBackLater } from './problem.ts';

/** Rendering takes up to a second and 50 MB; further requests are asked to come back. */
const MAX_WAITING = 20;
const KEPT_BYTES = 16 * 1024 * 1024;

export class Pictures {
  /** Least recently used first. */
  readonly #kept = new Map<string, Buffer>();
  readonly #making = new Map<string, Promise<Buffer>>();
  #keptBytes = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Returns the image for this tag; `make` renders it. Throws Problem 503 if too many requests are waiting. */
  async get(tag: string, make: () => Promise<Buffer>): Promise<Buffer> {
    const known = this.#kept.get(tag);
    if (known) {
      this.#kept.delete(tag);
      this.#kept.set(tag, known);
      return known;
    }
    return this.#making.get(tag) ?? this.#make(tag, make);
  }

  async #make(tag: string, make: () => Promise<Buffer>): Promise<Buffer> {
    if (this.#making.size >= MAX_WAITING)
      throw comeBackLater(503, 'busy', 'Too many heatmaps are being rendered. Try again soon.', 2000);
    const picture = this.#last.then(make);
    this.#last = picture.catch(() => undefined);
    this.#making.set(tag, picture);
    try {
      this.#keep(tag, await picture);
      return await picture;
    } finally {
      this.#making.delete(tag);
    }
  }

  #keep(tag: string, picture: Buffer): void {
    this.#kept.set(tag, picture);
    this.#keptBytes += picture.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= length;
    }
  }
}
