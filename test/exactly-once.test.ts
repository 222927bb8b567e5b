/**
 * Every click is stored exactly once, whatever way it takes: a model of tabs that speak as the tracker does, against a
 * real server. Its answers get lost, its workers are killed, and it restarts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Passage, Visit } from '../src/protocol/visit.ts';
import { until } from './support/exact.ts';
import { killTree, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { Tab } from './support/tab.ts';

interface Model {
  tabs: number;
}

interface Real {
  server: TestServer;
  tabs: Tab[];
  open(token?: string): Tab;
  restart(hard: boolean): Promise<void>;
}

const MAX_TABS = 4;
const MAX_COMMANDS = 50;

/** Does something to one of the open tabs. */
class OnTab implements fc.AsyncCommand<Model, Real> {
  readonly #no: number;
  readonly #what: string;
  readonly #act: (tab: Tab, real: Real) => unknown;

  constructor(no: number, what: string, act: (tab: Tab, real: Real) => unknown) {
    this.#no = no;
    this.#what = what;
    this.#act = act;
  }

  check({ tabs }: Model): boolean {
    return tabs > 0;
  }

  async run(_model: Model, real: Real): Promise<void> {
    await this.#act(real.tabs[this.#no % real.tabs.length] as Tab, real);
  }

  toString(): string {
    return `${this.#what}(${this.#no})`;
  }
}

class OpenTab implements fc.AsyncCommand<Model, Real> {
  readonly check = ({ tabs }: Model) => tabs < MAX_TABS;
  readonly toString = () => 'open';

  async run(model: Model, real: Real): Promise<void> {
    model.tabs += 1;
    real.open();
  }
}

/** A duplicated tab has the token of the one it was made from, and takes the visitor over when it connects. */
class DuplicateTab implements fc.AsyncCommand<Model, Real> {
  readonly #no: number;

  constructor(no: number) {
    this.#no = no;
  }

  check({ tabs }: Model): boolean {
    return tabs > 0 && tabs < MAX_TABS;
  }

  async run(model: Model, real: Real): Promise<void> {
    model.tabs += 1;
    real.open((real.tabs[this.#no % real.tabs.length] as Tab).token);
  }

  toString(): string {
    return `duplicate(${this.#no})`;
  }
}

class OnServer implements fc.AsyncCommand<Model, Real> {
  readonly #what: string;
  readonly #act: (real: Real) => Promise<void>;

  constructor(what: string, act: (real: Real) => Promise<void>) {
    this.#what = what;
    this.#act = act;
  }

  readonly check = () => true;
  readonly run = (_model: Model, real: Real) => this.#act(real);
  readonly toString = () => this.#what;
}

async function killWorker({ server }: Real): Promise<void> {
  const [pid] = server.workerPids();
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
}

const no = fc.nat(MAX_TABS - 1);
/** Something that a tab does after so many clicks. */
const onTab = (what: string, act: (tab: Tab, real: Real) => unknown) =>
  fc.tuple(no, fc.nat(2)).map(([n, clicks]) => {
    const run = async (tab: Tab, real: Real) => {
      for (let i = 0; i < clicks; i++) tab.click();
      await act(tab, real);
    };
    return new OnTab(n, `${clicks} clicks, ${what}`, run);
  });
const commands = fc.commands(
  [
    fc.constant(new OpenTab()),
    ...[1, 2, 3, 4].map(() => no.map((n) => new DuplicateTab(n))),
    ...[1, 2, 3, 4, 5, 6].map(() => onTab('connect', (tab) => tab.connect())),
    ...[1, 2, 3, 4, 5, 6].map(() => onTab('post', (tab) => tab.post())),
    ...[1, 2, 3, 4].map(() => onTab('post, answer lost', (tab) => tab.post(true))),
    ...[1, 2, 3, 4, 5, 6].map(() => onTab('send', (tab) => tab.flush())),
    onTab('cut', (tab) => tab.cut()),
    ...[true, false, false].map((first) =>
      onTab(`next page, beacon ${first ? 'before' : 'after'}`, (tab) => tab.navigate(first)),
    ),
    ...[1, 2].map(() => onTab('back', (tab) => tab.back())),
    fc.constant(new OnServer('kill a worker', killWorker)),
    fc
      .constantFrom(false, true)
      .map((hard) => new OnServer(hard ? 'kill all' : 'restart', (real) => real.restart(hard))),
  ],
  { maxCommands: MAX_COMMANDS, size: 'max' },
);

/** How often the record has each click, by its selector. */
async function storedClicks(server: TestServer): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { id } of await visitsOf(server))
    for (const { clicks } of await passagesOf(server, id))
      for (const { selector } of clicks) counts.set(selector, (counts.get(selector) ?? 0) + 1);
  return counts;
}

async function visitsOf(server: TestServer): Promise<Visit[]> {
  const all: Visit[] = [];
  let after: string | null = '';
  while (after !== null) {
    const query: string = after && `&after=${encodeURIComponent(after)}`;
    const { visits, next } = await ask<{ visits: Visit[]; next: string | null }>(
      server,
      `/v1/visits?site=demo&limit=200${query}`,
    );
    all.push(...visits);
    after = next;
  }
  return all;
}

async function passagesOf(server: TestServer, id: string): Promise<Passage[]> {
  return (await ask<{ passages: Passage[] }>(server, `/v1/visits/${id}/passages`)).passages;
}

/** An answer to a question; while the server is busy, it is asked again. */
async function ask<T>(server: TestServer, path: string): Promise<T> {
  let answer: Response | undefined;
  await until(async () => {
    answer = await server.api(path);
    return answer.status === 200;
  }, `answer to ${path}`);
  return (await (answer as Response).json()) as T;
}

test('every click is stored once, whatever tabs, takeovers, lost answers and restarts do', async (t) => {
  const data = temporaryFolder(t);
  const flags = ['--max-per-address', '10000'];
  let server = await startServer(t, { data, flags });
  const { host } = new URL(server.url);
  const again = () => startServer(t, { data, flags, listen: `tcp://${host}` });
  const runs = Number(process.env.FIELDMOUSE_MODEL_RUNS ?? 3);
  const seed = Number(process.env.FIELDMOUSE_MODEL_SEED ?? 20_261_129);
  const figures = { made: 0, stored: 0 };
  let runNo = 0;

  const property = fc.asyncProperty(commands, async (plan) => {
    runNo += 1;
    const prefix = `#r${runNo}-`;
    let made = 0;
    const real: Real = {
      server,
      tabs: [],
      open(token) {
        const tab = new Tab(
          t,
          () => server.url,
          () => `${prefix}${made++}`,
          token,
        );
        real.tabs.push(tab);
        return tab;
      },
      async restart(hard) {
        await (hard ? killTree(server) : server.stop());
        server = await again();
        real.server = server;
      },
    };
    real.open();
    await fc.asyncModelRun(() => ({ model: { tabs: 1 }, real }), plan);
    for (const tab of real.tabs) {
      await until(() => tab.settle(), 'acks for all that a tab made');
      tab.cut();
    }
    const expected = real.tabs.flatMap((tab) => tab.pages.flatMap(({ clicks }) => clicks));
    const certain = new Set(real.tabs.flatMap((tab) => tab.pages.flatMap((page) => page.acked)));
    let counts = new Map<string, number>();
    await until(async () => {
      counts = await storedClicks(server);
      return [...certain].every((one) => counts.has(one));
    }, 'every acked click');
    figures.made += expected.length;
    for (const one of expected) {
      const count = counts.get(one) ?? 0;
      figures.stored += count;
      assert.ok(count <= 1, `${one} is stored ${count} times`);
      assert.ok(count === 1 || !certain.has(one), `${one} was acked and is not stored`);
    }
  });
  await fc.assert(property, {
    numRuns: runs,
    seed,
    endOnFailure: true,
    includeErrorInReport: true,
    interruptAfterTimeLimit: 240_000,
  });
  t.diagnostic(`${figures.made} clicks made, ${figures.stored} stored, in ${runNo} runs`);
  assert.ok(figures.made > 0);
});
