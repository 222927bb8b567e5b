/** Commands of the page-visit counter. */
import { noted } from './audit.ts';
import { type Command, type ExitCode, onStore, onStoreIfSure, refuse, type StoreCall, table } from './command.ts';
import { YES } from './flags.ts';

export const HITS_COMMANDS: Readonly<Record<string, Command>> = {
  'hits list': {
    does: 'totals of the page-visit counter',
    examples: ['hits list'],
    run: onStore(listHits),
  },
  'hits remove': {
    does: 'begins the total of a page, or of a whole site, anew',
    usage: 'SITE[/PAGE] [--yes]',
    takes: 'SITE[/PAGE]',
    flags: { yes: YES },
    examples: ['hits remove shop/garden.html', 'hits remove shop'],
    run: onStoreIfSure((what) => `the totals of ${what}`, removeHits),
  },
};

async function listHits({ store, io }: StoreCall): Promise<ExitCode> {
  const rows = (await store.allHits()).map(({ site, page, count }) => [site, String(count), page]);
  table(io, ['SITE', 'VISITS', 'PAGE'], rows, 'No page was counted yet: POST /v1/hits/PATH counts a visit.');
  return 0;
}

async function removeHits({ word, store, io }: StoreCall): Promise<ExitCode> {
  const at = word.indexOf('/');
  const [site, page] = at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at)];
  const removed = await store.removeHits(site, page, noted('hits-removed', word));
  if (removed === 0) return refuse(io, `no visits to ${word} were counted; see fieldmouse hits list`);
  io.out(
    page === undefined ? `The totals of ${removed} pages of ${site} are removed.` : `The total of ${word} is removed.`,
  );
  return 0;
}
