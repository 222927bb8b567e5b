/** A process that shares a store with others: opens the given folder and answers messages `[what, text]`. */
import { openLmdbStore } from '../../src/store/lmdb/lmdb-store.ts';

const store = await openLmdbStore(process.argv[2] as string);
const say = (what: string, text: string) => process.send?.([what, text]);

process.on('message', ([what, text]: [string, string]) => {
  void answer(what, text);
});
process.on('disconnect', () => process.exit(0));
say('secret', (await store.secret()).toString('hex'));

async function answer(what: string, text: string): Promise<void> {
  switch (what) {
    case 'site':
      say(what, (await store.site(text))?.name ?? '');
      break;
    case 'admin':
      say(what, (await store.admin(text))?.name ?? '');
      break;
    case 'attempts': {
      const attempts = [{ kind: 'address', value: '192.0.2.1', limit: 10, window: 60_000 } as const];
      const waits = await Promise.all(Array.from({ length: 10 }, () => store.countAttempt(attempts, 1)));
      say(what, String(waits.filter((wait) => wait === 0).length));
      break;
    }
    case 'count':
      say('counting', '');
      for (;;) await store.hit('demo', text);
    case 'storm':
      for (let i = 0; ; i++) {
        const written = store.addToken('storm', i);
        if (i === 100) say('storming', '');
        if (i % 10 === 0) await written;
      }
  }
}
