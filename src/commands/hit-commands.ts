/** Commands of the page-visit counter. */
import { noted } from './audit-commands.ts';
import {
  type Command,
  type ExitCode,
  onStore,
  onStoreIfSure,
  refuseRunning,
  type StoreInvocation,
  table,
} from './command.ts';
import { YES } from './flags.ts';

export const HITS_COMMANDS: Readonly<Record<string, Command>> = {
  'hits list': {
    does: 'lists the totals of the page-visit counter',
    examples: ['hits list'],
    run: onStore(listHits),
  },
  'hits remove': {
    does: 'resets the total of a page, or of a whole site',
    usage: 'SITE[/PAGE] [--yes]',
    takes: 'SITE[/PAGE]',
    flags: { yes: YES },
    examples: ['hits remove shop/garden.html', 'hits remove shop'],
    run: onStoreIfSure((what) => `the totals of ${what}`, removeHits),
  },
};

async function listHits({ store, io }: StoreInvocation): Promise<ExitCode> {
  const rows = (await store.allHits()).map(({ site, page, count }) => [site, String(count), page]);
  table(io, ['SITE', 'VISITS', 'PAGE'], rows, 'No visits counted yet. POST /v1/hits/PATH counts one.');
  return 0;
}

async function removeHits({ word, store, io }: StoreInvocation): Promise<ExitCode> {
  const at = word.indexOf('/');
  const [site, page] = at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at)];
  const removed = await store.removeHits(site, page, noted('hits-removed', word));
  if (removed === 0) return refuseRunning(io, `no visits to ${word} were counted; see fieldmouse hits list`);
  io.out(page === undefined ? `Removed the totals of ${removed} pages of ${site}.` : `Removed the total of ${word}.`);
  return 0;
}
