/** A process of readers of the record. Each asks its next question when the previous one is answered. */
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import type { Command, ReadersLoad, ReadersReport } from './messages.ts';
import { elapsed } from './past.ts';
import { report } from './process.ts';

/** The API counts requests by address, so the readers have many, of the form 10.0.x.y. */
const ADDRESSES = 2000;

class Readers {
  readonly #load: ReadersLoad;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #times: number[][];
  #asked = 0;

  constructor(load: ReadersLoad) {
    this.#load = load;
    this.#times = load.questions.map(() => []);
  }

  async run(): Promise<ReadersReport> {
    const { readers, seconds } = this.#load;
    const end = performance.now() + 1000 * seconds;
    await Promise.all(Array.from({ length: readers }, (_, first) => this.#read(first, end)));
    this.#agent.destroy();
    return { k: 'read', times: this.#times };
  }

  /** Asks all questions in turn, starting with number `first`. */
  async #read(first: number, end: number): Promise<void> {
    const { questions } = this.#load;
    for (let no = first; performance.now() < end; no++) {
      const i = no % questions.length;
      const { paths } = questions[i] as ReadersLoad['questions'][number];
      const path = paths[Math.floor(no / questions.length) % paths.length] as string;
      this.#times[i]?.push(await elapsed(() => this.#ask(path)));
    }
  }

  /** Resolves with the first event of a stream, or all of anything else. */
  async #ask(path: string): Promise<void> {
    const { port, token } = this.#load;
    const address = this.#asked++ % ADDRESSES;
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': `10.0.${address >> 8}.${address & 255}` };
    const request = get({ host: '127.0.0.1', port, path, headers, agent: this.#agent });
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    if (reply.statusCode !== 200) throw new Error(`${path}: ${reply.statusCode}`);
    let text = '';
    const isStream = reply.headers['content-type']?.startsWith('text/event-stream');
    for await (const chunk of reply) {
      if (isStream) text += chunk;
      if (text.includes('\ndata:')) return;
    }
    if (isStream) throw new Error(`${path}: no event`);
  }
}

process.on('message', async (command: Command) => {
  if (command.k === 'readers') report(await new Readers(command).run());
  else if (command.k === 'end') process.disconnect();
});
