/**
 * A process of visitors that come and go. Each stays for a while and behaves like the tracker: it keeps what is not
 * acked and returns with its token. It waits for its last ack and says bye, then another visitor takes its place.
 */

import { seeded } from '../../test/support/seeded.ts';
import { SteadyVisitor } from '../../test/support/steady-visitor.ts';
import type { ComersLoad, ComersReport, Command } from './messages.ts';
import { report } from './process.ts';

const FRAME_MS = 100;
const SAMPLES = 6;
/** How long the last acks may take, milliseconds. */
const LIMIT_MS = 15_000;

const total: ComersReport = { k: 'gone', visitors: 0, connections: 0, acked: 0, unacked: 0 };
const here = new Map<SteadyVisitor, { leavesAt: number; end: () => void }>();
let load: ComersLoad | undefined;
const random = seeded(1);

/**
 * Connects one visitor. `part`: the share of its stay that is left, so that the first visitors do not leave together.
 */
function come({ port, stays: [least, most] }: ComersLoad, part = 1): void {
  const ends: (() => void)[] = [];
  const owner = { after: (end: () => void) => void ends.push(end) } as unknown as { after(): void };
  const visitor = new SteadyVisitor(owner, () => `ws://127.0.0.1:${port}`, total.visitors, `/${total.visitors % 20}`);
  total.visitors += 1;
  const leavesAt = performance.now() + 1000 * part * (least + random() * (most - least));
  here.set(visitor, { leavesAt, end: () => ends.forEach((end) => void end()) });
}

/** Waits for the last ack, then goes. */
async function go(visitor: SteadyVisitor): Promise<void> {
  const { end } = here.get(visitor) as { end: () => void };
  here.delete(visitor);
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LIMIT_MS);
  });
  await Promise.race([visitor.settled(), limit]);
  clearTimeout(timer);
  visitor.leave();
  total.acked += visitor.acked;
  total.unacked += visitor.unacked;
  total.connections += visitor.connections;
  setTimeout(end, 1000);
}

/** A tenth of the visitors each time, so that they do not all send at once. */
let turn = 0;
const SLICES = 10;

function onTick(): void {
  const now = performance.now();
  let i = 0;
  for (const [visitor, { leavesAt }] of here) {
    i += 1;
    if (i % SLICES !== turn) continue;
    if (now < leavesAt) visitor.move(SAMPLES);
    else {
      void go(visitor);
      if (load) come(load);
    }
  }
  turn = (turn + 1) % SLICES;
}

async function endAll(): Promise<void> {
  load = undefined;
  await Promise.all([...here.keys()].map(go));
  report(total);
}

let timer: NodeJS.Timeout | undefined;
process.on('message', (command: Command) => {
  if (command.k === 'comers') {
    load = command;
    for (let i = 0; i < command.visitors; i++) come(command, random());
    timer = setInterval(onTick, FRAME_MS / SLICES);
    report({ k: 'joined' });
  } else if (command.k === 'leave') {
    clearInterval(timer);
    void endAll();
  } else if (command.k === 'end') process.exit(0);
});
