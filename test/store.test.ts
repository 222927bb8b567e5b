/** The contract suite: every implementation of Store goes through it. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Attempt, LINK, SESSION, type Store, TOKEN } from '../src/store/contract.ts';
import { openStore } from '../src/store/embedded.ts';
import { temporaryFolder } from './support/server.ts';

/** Opens stores that share one record, as the processes of an installation do. */
type Opener = (t: TestContext) => Promise<() => Promise<Store>>;

const T = 1_700_000_000_000;

contract('the embedded store', async (t) => {
  const folder = temporaryFolder(t);
  return async () => {
    const store = await openStore(folder);
    t.after(() => store.close());
    return store;
  };
});

function contract(name: string, opener: Opener): void {
  const it = (title: string, run: (store: Store, open: () => Promise<Store>) => Promise<void>) =>
    test(`${name} ${title}`, async (t) => {
      const open = await opener(t);
      await run(await open(), open);
    });

  it('begins with the demo site, open to its own origin, and nobody', async (store) => {
    const sites = await store.sites();
    assert.deepEqual(
      sites.map(({ created, ...site }) => site),
      [{ key: 'demo', name: 'Demo', origins: ['self'], firstSeen: null }],
    );
    assert.deepEqual(await store.admins(), []);
    assert.deepEqual(await store.tokens(), []);
    assert.deepEqual(await store.sessions(T), []);
  });

  it('does not bring the demo site back once it was removed', async (store, open) => {
    assert.equal(await store.removeSite('demo'), true);
    assert.equal(await store.removeSite('demo'), false);
    await store.close();
    assert.deepEqual(await (await open()).sites(), []);
  });

  it('has one secret of 32 bytes, the same for everybody and after a restart', async (store, open) => {
    const secret = await store.secret();
    assert.equal(secret.length, 32);
    assert.deepEqual(await (await open()).secret(), secret);
    await store.close();
    assert.deepEqual(await (await open()).secret(), secret);
  });

  it('adds, changes, lists and removes sites', async (store, open) => {
    const other = await open();
    const site = { key: 'shop', name: 'Shop', origins: ['https://a.example'], created: T, firstSeen: null };
    assert.equal(await store.addSite(site), true);
    assert.equal(await other.addSite({ ...site, name: 'Another' }), false);
    assert.deepEqual(await other.site('shop'), site);
    const change = { name: 'The shop', origins: ['https://b.example'] };
    assert.deepEqual(await other.changeSite('shop', change), { ...site, ...change });
    assert.deepEqual(await store.site('shop'), { ...site, ...change });
    assert.equal(await store.changeSite('none', change), undefined);
    assert.deepEqual(
      (await store.sites()).map(({ key }) => key),
      ['demo', 'shop'],
    );
    assert.equal(await store.removeSite('shop'), true);
    assert.equal(await other.site('shop'), undefined);
  });

  it('notes the first visitor of a site, and only the first', async (store, open) => {
    await store.markSeen('demo', T);
    await (await open()).markSeen('demo', T + 1);
    await store.markSeen('none', T);
    assert.equal((await store.site('demo'))?.firstSeen, T);
    assert.equal(await store.site('none'), undefined);
  });

  it('keeps the first visitor when the site is changed', async (store) => {
    await store.markSeen('demo', T);
    const changed = await store.changeSite('demo', { name: 'D', origins: [] });
    assert.equal(changed?.firstSeen, T);
  });

  it('adds an administrator of a name once, even when asked at once from two sides', async (store, open) => {
    const other = await open();
    const added = await Promise.all([store.addAdmin('ada', T), other.addAdmin('ada', T)]);
    assert.deepEqual(added.sort(), [false, true]);
    assert.deepEqual(await other.admins(), [{ name: 'ada', password: null, created: T }]);
  });

  it('keeps a password for an administrator, and for nobody else', async (store, open) => {
    await store.addAdmin('ada', T);
    assert.equal(await store.setPassword('ada', 'scrypt$x'), true);
    assert.equal(await store.setPassword('bob', 'scrypt$x'), false);
    assert.equal((await (await open()).admin('ada'))?.password, 'scrypt$x');
    assert.equal(await store.admin('bob'), undefined);
  });

  it('lets a link be taken once, by one of many at once', async (store, open) => {
    const others = await Promise.all([open(), open()]);
    await store.addAdmin('ada', T);
    const link = (await store.addLink('ada', T)) as string;
    const taken = await Promise.all([store, ...others, store].map((one) => one.takeLink(link, T + 1)));
    assert.deepEqual(
      taken.filter((name) => name !== undefined),
      ['ada'],
    );
    assert.equal(await store.takeLink(link, T + 1), undefined);
  });

  it('does not let a link be taken after 15 minutes', async (store) => {
    await store.addAdmin('ada', T);
    const [early, late] = [await store.addLink('ada', T), await store.addLink('ada', T)];
    assert.equal(await store.takeLink(early as string, T + LINK.lifetime - 1), 'ada');
    assert.equal(await store.takeLink(late as string, T + LINK.lifetime), undefined);
  });

  it('makes no link and no session for somebody unknown', async (store) => {
    assert.equal(await store.addLink('bob', T), undefined);
    assert.equal(await store.addSession('bob', '', T), undefined);
    assert.equal(await store.takeLink('made-up', T), undefined);
  });

  it('finds a session by its secret, and does not show the secret', async (store, open) => {
    await store.addAdmin('ada', T);
    const made = await store.addSession('ada', 'Firefox on Linux', T);
    assert.ok(made);
    const { secret, session } = made;
    assert.deepEqual(session, {
      id: session.id,
      name: 'ada',
      created: T,
      lastSeen: T,
      expires: T + SESSION.slide,
      agent: 'Firefox on Linux',
    });
    assert.notEqual(session.id, secret);
    const other = await open();
    assert.deepEqual(await other.session(secret, T + 1), session);
    assert.equal(await other.session(session.id, T + 1), undefined);
    assert.deepEqual(await other.sessions(T + 1), [session]);
    assert.equal(await other.valid(`session:${session.id}`, T + 1), true);
  });

  it("slides a session's end with its use, and ends it when it is not used", async (store) => {
    await store.addAdmin('ada', T);
    const { secret, session } = (await store.addSession('ada', '', T)) as NonNullable<
      Awaited<ReturnType<Store['addSession']>>
    >;
    assert.equal((await store.session(secret, T + SESSION.coarse - 1))?.lastSeen, T);
    const slid = await store.session(secret, T + SESSION.coarse);
    assert.equal(slid?.lastSeen, T + SESSION.coarse);
    const end = T + SESSION.coarse + SESSION.slide;
    assert.equal(slid?.expires, end);
    assert.equal(await store.valid(`session:${session.id}`, end - 1), true);
    assert.equal(await store.valid(`session:${session.id}`, end), false);
    assert.equal(await store.session(secret, end), undefined);
    assert.deepEqual(await store.sessions(end), []);
  });

  it('ends one session, or all of an administrator but one', async (store, open) => {
    const other = await open();
    const make = async (name: string) => {
      await store.addAdmin(name, T);
      return (await store.addSession(name, '', T))?.session.id as string;
    };
    const [a, b, c, d] = [await make('ada'), await make('ada'), await make('ada'), await make('bob')];
    assert.equal(await store.removeSession(a), true);
    assert.equal(await store.removeSession(a), false);
    await store.removeSessions('ada', b);
    const left = (await other.sessions(T)).map(({ id }) => id);
    assert.deepEqual(left.sort(), [b, d].sort());
    assert.equal(await other.valid(`session:${c}`, T), false);
  });

  it('ends the session longest unseen when an administrator has too many', async (store) => {
    await store.addAdmin('ada', T);
    await store.addAdmin('bob', T);
    await store.addSession('bob', 'old', T - 1);
    for (let i = 0; i < SESSION.most + 2; i++) await store.addSession('ada', String(i), T + i);
    const agents = (await store.sessions(T)).map(({ agent }) => agent);
    assert.equal(agents.length, SESSION.most + 1);
    assert.ok(agents.includes('old'));
    assert.ok(!agents.includes('0') && !agents.includes('1') && agents.includes('2'));
  });

  it('removes an administrator with links and sessions', async (store, open) => {
    await store.addAdmin('ada', T);
    const link = (await store.addLink('ada', T)) as string;
    const made = await store.addSession('ada', '', T);
    assert.equal(await store.removeAdmin('ada'), true);
    assert.equal(await store.removeAdmin('ada'), false);
    // One of the same name must not inherit them.
    await store.addAdmin('ada', T);
    const other = await open();
    assert.equal(await other.takeLink(link, T), undefined);
    assert.equal(await other.session(made?.secret as string, T), undefined);
    assert.equal(await other.valid(`session:${made?.session.id}`, T), false);
  });

  it('knows a token by its secret, notes its use, and forgets it when revoked', async (store, open) => {
    const other = await open();
    const { secret, token } = await store.addToken('ci', T);
    assert.deepEqual(token, { id: token.id, name: 'ci', created: T, lastUsed: null });
    assert.equal((await other.token(secret, T + 5))?.id, token.id);
    assert.equal((await store.tokens())[0]?.lastUsed, T + 5);
    await store.token(secret, T + 5 + TOKEN.coarse - 1);
    assert.equal((await store.tokens())[0]?.lastUsed, T + 5);
    await store.token(secret, T + 5 + TOKEN.coarse);
    assert.equal((await store.tokens())[0]?.lastUsed, T + 5 + TOKEN.coarse);
    assert.equal(await store.valid(`token:${token.id}`, T), true);
    assert.equal(await other.removeToken(token.id), true);
    assert.equal(await other.removeToken(token.id), false);
    assert.equal(await store.token(secret, T), undefined);
    assert.equal(await store.valid(`token:${token.id}`, T), false);
  });

  it('refuses a token with another secret, another id, or none', async (store) => {
    const [one, two] = [await store.addToken('one', T), await store.addToken('two', T)];
    const mixed = one.secret.replace(one.token.id, two.token.id);
    for (const secret of [mixed, one.token.id, one.secret.slice(0, -1), '', 'x'.repeat(10_000)])
      assert.equal(await store.token(secret, T), undefined);
  });

  it('answers for any text as a key', async (store) => {
    for (const text of ['', 'x'.repeat(5000), '\u0000', 'session:', '💥'.repeat(2000)]) {
      assert.equal(await store.site(text), undefined);
      assert.equal(await store.admin(text), undefined);
      assert.equal(await store.removeSite(text), false);
      assert.equal(await store.removeAdmin(text), false);
      assert.equal(await store.removeSession(text), false);
      assert.equal(await store.removeToken(text), false);
      assert.equal(await store.setPassword(text, 'x'), false);
      assert.equal(await store.addLink(text, T), undefined);
      assert.equal(await store.session(text, T), undefined);
      assert.equal(await store.takeLink(text, T), undefined);
      await store.markSeen(text, T);
      for (const kind of ['session', 'token', 'other']) assert.equal(await store.valid(`${kind}:${text}`, T), false);
    }
    assert.equal(await store.valid('env', T), true);
  });

  it('counts attempts for everybody together, until the limit, then for a while no more', async (store, open) => {
    const other = await open();
    const attempts: Attempt[] = [{ kind: 'name', value: 'ada', limit: 3, window: 1000 }];
    assert.equal(await store.countAttempt(attempts, T), 0);
    assert.equal(await other.countAttempt(attempts, T + 100), 0);
    assert.equal(await store.countAttempt(attempts, T + 200), 0);
    assert.equal(await other.countAttempt(attempts, T + 400), 600);
    assert.equal(await store.countAttempt(attempts, T + 999), 1);
    assert.equal(await store.countAttempt(attempts, T + 1000), 0);
  });

  it('counts exactly, also when asked at once from two sides', async (store, open) => {
    const other = await open();
    const attempts: Attempt[] = [{ kind: 'address', value: '192.0.2.1', limit: 5, window: 1000 }];
    const waits = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? store : other).countAttempt(attempts, T)),
    );
    assert.equal(waits.filter((wait) => wait === 0).length, 5);
  });

  it('counts against none when one is at its limit, and takes a good attempt back', async (store) => {
    const name: Attempt = { kind: 'name', value: 'ada', limit: 1, window: 1000 };
    const address: Attempt = { kind: 'address', value: '192.0.2.1', limit: 2, window: 5000 };
    assert.equal(await store.countAttempt([name, address], T), 0);
    assert.equal(await store.countAttempt([address, name], T), 1000);
    assert.equal(await store.countAttempt([address], T), 0);
    assert.equal(await store.countAttempt([address, name], T), 5000);
    await store.forgiveAttempt([name, address], T);
    assert.equal(await store.countAttempt([name, address], T), 0);
  });

  it('shows what one has written to the others at once', async (store, open) => {
    const other = await open();
    const { secret, token } = await other.addToken('ci', T);
    assert.ok(await store.token(secret, T));
    await other.removeToken(token.id);
    assert.equal(await store.token(secret, T), undefined);
    for (let i = 0; i < 100; i++) {
      await other.changeSite('demo', { name: `Demo ${i}`, origins: [] });
      assert.equal((await store.site('demo'))?.name, `Demo ${i}`);
    }
  });

  it('closes twice, and leaves others open', async (store, open) => {
    const other = await open();
    await store.close();
    await store.close();
    assert.equal((await other.sites()).length, 1);
  });
}

test('the embedded store clears away what has expired', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openStore(folder);
  await store.addAdmin('ada', T);
  const kept = await store.addSession('ada', 'kept', T);
  for (let i = 0; i < 100; i++) await store.addLink('ada', T);
  await store.session(kept?.secret as string, T + LINK.lifetime);
  // Each addition clears a bounded number.
  for (let i = 0; i < 5; i++) await store.addSession('ada', 'new', T + LINK.lifetime);
  const later = T + SESSION.slide + 1;
  assert.equal((await store.session(kept?.secret as string, later))?.agent, 'kept');
  await store.addLink('ada', later);
  assert.equal((await store.session(kept?.secret as string, later))?.agent, 'kept');
  await store.close();

  const { open } = await import('lmdb');
  const root = open({ path: join(folder, 'store.mdb') });
  t.after(() => root.close());
  assert.equal(root.openDB('links', {}).getCount(), 1);
});

test('the embedded store keeps no secret and no address in the clear', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openStore(folder);
  await store.addAdmin('ada', T);
  const link = (await store.addLink('ada', T)) as string;
  const session = (await store.addSession('ada', '', T))?.secret as string;
  const { secret } = await store.addToken('ci', T);
  await store.countAttempt([{ kind: 'address', value: '192.0.2.123', limit: 5, window: 1000 }], T);
  await store.close();
  const bytes = readFileSync(join(folder, 'store.mdb')).toString('latin1');
  for (const text of [link, session, secret, secret.slice(-43), '192.0.2.123']) assert.ok(!bytes.includes(text));
});

test('the embedded store is for its owner only', async (t) => {
  const folder = join(temporaryFolder(t), 'new', 'folder');
  await (await openStore(folder)).close();
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
});

test('the embedded store says in one line what is wrong with a folder', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  for (const [name, bytes] of [
    ['garbage', 'x'.repeat(40_000)],
    ['short', 'x'],
  ] as const) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'store.mdb'), bytes);
  }
  mkdirSync(join(folder, 'occupied', 'store.mdb'), { recursive: true });
  const cases = {
    garbage: 'not-a-store',
    short: 'not-a-store',
    file: 'no-access',
    'file/below': 'no-access',
    occupied: 'no-access',
    '/proc/fieldmouse': 'no-access',
  };
  for (const [name, code] of Object.entries(cases)) {
    const path = name.startsWith('/') ? name : join(folder, name);
    await assert.rejects(openStore(path), (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, /^[^\n]+$/);
      assert.ok(error.message.includes(path));
      return true;
    });
  }
});

test('the embedded store refuses a folder of a later version', async (t) => {
  const folder = temporaryFolder(t);
  await (await openStore(folder)).close();
  const { open } = await import('lmdb');
  const root = open({ path: join(folder, 'store.mdb') });
  await root.openDB('meta', {}).put('format', 99);
  await root.close();
  await assert.rejects(openStore(folder), { code: 'newer-store' });
});

test('the embedded store is shared by processes: made once, written by turns, read at once', async (t) => {
  const folder = join(temporaryFolder(t), 'data');
  const children = Array.from({ length: 4 }, () => startWriter(t, folder));
  const secrets = await Promise.all(children.map((child) => child.said('secret')));
  assert.equal(new Set(secrets).size, 1);
  const store = await openStore(folder);
  t.after(() => store.close());
  assert.equal((await store.secret()).toString('hex'), secrets[0]);

  // A change made here is read there by the next message.
  await store.addSite({ key: 'shop', name: 'Shop', origins: [], created: T, firstSeen: null });
  for (const child of children) assert.equal(await child.ask('site', 'shop'), 'Shop');
  await store.removeSite('shop');
  for (const child of children) assert.equal(await child.ask('site', 'shop'), '');

  // Attempts from all processes at once count exactly.
  const counted = await Promise.all(children.map((child) => child.ask('attempts', '')));
  assert.equal(
    counted.reduce((sum, text) => sum + Number(text), 0),
    10,
  );

  // A writer killed in the middle of its writes holds up nobody.
  children[0]?.ask('storm', '').catch(() => {});
  await children[0]?.said('storming');
  children[0]?.kill();
  assert.equal(await store.addAdmin('ada', T), true);
  assert.equal(await children[1]?.ask('admin', 'ada'), 'ada');
});

interface Writer {
  ask(what: string, text: string): Promise<string>;
  said(what: string): Promise<string>;
  kill(): void;
}

/** Runs support/store-process.ts, which answers to messages `[what, text]`. */
function startWriter(t: TestContext, folder: string): Writer {
  const file = fileURLToPath(new URL('support/store-process.ts', import.meta.url));
  const child = fork(file, [folder], { execArgv: ['--import', 'tsx'] });
  t.after(() => child.kill('SIGKILL'));
  const said = async (what: string): Promise<string> => {
    for (;;) {
      const [[name, text]] = (await once(child, 'message')) as [[string, string]];
      if (name === what) return text;
    }
  };
  return {
    said,
    ask(what, text) {
      const answer = said(what);
      child.send([what, text]);
      return answer;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
