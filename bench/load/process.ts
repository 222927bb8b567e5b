/** How the bench and its load processes speak: commands down, reports up, by IPC. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command, Report } from './messages.ts';

/** From a load process to the bench. */
export function report(message: Report): void {
  process.send?.(message);
}

/** A load process as the bench sees it. */
export class Loader {
  readonly #child: ChildProcess;
  readonly #died: Promise<never>;

  constructor(kind: 'visitors' | 'streams' | 'guests' | 'requests' | 'comers' | 'readers') {
    this.#child = fork(fileURLToPath(new URL(`./${kind}.ts`, import.meta.url)), [kind]);
    this.#died = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`a load process ended with ${code}`);
    });
    // Whoever asks is told; nobody may be asking.
    this.#died.catch(() => {});
  }

  /** Gives a command and waits for its report. */
  async ask<K extends Report['k']>(command: Command, answer: K): Promise<Extract<Report, { k: K }>> {
    const answered = new Promise<Report>((resolve) =>
      this.#child.once('message', (message) => resolve(message as Report)),
    );
    this.#child.send(command);
    const message = await Promise.race([answered, this.#died]);
    if (message.k !== answer) throw new Error(`expected ${answer}, got ${message.k}`);
    return message as Extract<Report, { k: K }>;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.send({ k: 'end' } satisfies Command);
    await exited;
  }
}
