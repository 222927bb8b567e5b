/** The contract suite: every implementation of Store passes it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { AUDIT, type AuditAction, type AuditNote, type AuditQuery } from '../src/model/audit.ts';
import { MINUTE_MS, minuteOf } from '../src/model/minute.ts';
import { CURSOR } from '../src/model/query.ts';
import { REFUSALS_KEPT, type RefusalReason, refusalOf } from '../src/model/refusal.ts';
import { OWNER, type Rights } from '../src/model/rights.ts';
import type { Site } from '../src/model/site.ts';
import { NO_SITE } from '../src/protocol/peer.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { SESSION } from '../src/store/accounts/sessions.ts';
import { type Attempt, HITS, LINK, type Store, TOKEN } from '../src/store/contract.ts';
import { StoreFile } from '../src/store/lmdb/file/store-file.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { openRedisStore } from '../src/store/redis/redis-store.ts';
import { until } from './support/exact.ts';
import { forkModule } from './support/fork-module.ts';
import { startRedis, startRedisCluster } from './support/redis.ts';
import { temporaryFolder } from './support/server.ts';

/** Opens stores that share one record, as the processes of an installation do. */
type Opener = (t: TestContext) => Promise<() => Promise<Store>>;

const T = 1_700_000_000_000;
/** Begin of a minute. */
const HOUR = minuteOf(T);

const owner = { after: (end: () => unknown) => after(end) };
// Both before any test: what is to be done after the last one must not be done while they start.
const [server, cluster] = await Promise.all([startRedis(owner), startRedisCluster(owner)]);
contract('the embedded store', async (t) => {
  const folder = temporaryFolder(t);
  return async () => {
    const store = await openLmdbStore(folder);
    t.after(() => store.close());
    return store;
  };
});
contract('the store on Redis', onRedis(server));
// All that belongs to no site is on one node: what one Redis does with it, a cluster does.
contract('the store on a Redis cluster', onRedis(cluster), false);

/** Of one server or cluster for all tests, emptied for each. */
function onRedis(started: Awaited<ReturnType<typeof startRedis | typeof startRedisCluster>>): Opener {
  const target = readTarget(started.url) as RedisTarget;
  const nodes = 'nodes' in started ? started.nodes : [started];
  return async (t) => {
    for (const node of nodes) node.cli('flushall');
    const folder = temporaryFolder(t);
    return async () => {
      const store = await openRedisStore(target, { folder, isServer: true });
      t.after(() => store.close());
      return store;
    };
  };
}

/** `everything`: also the cases that are about no site. */
function contract(name: string, opener: Opener, everything = true): void {
  test(`${name} gives each start of a server a unique number`, async (t) => {
    const open = await opener(t);
    const [one, other] = await Promise.all([open(), open()]);
    const runs = await Promise.all([one.nextRun(), other.nextRun(), one.nextRun()]);
    assert.deepEqual([...runs].sort(), [1, 2, 3]);
    assert.equal(await (await open()).nextRun(), 4);
  });

  const itOfSites = (title: string, run: (store: Store, open: () => Promise<Store>) => Promise<void>) =>
    test(`${name} ${title}`, async (t) => {
      const open = await opener(t);
      await run(await open(), open);
    });
  const it: typeof itOfSites = (...args) => (everything ? itOfSites(...args) : Promise.resolve());

  itOfSites('starts with the demo site, open to its own origin, and without administrators', async (store) => {
    const sites = await store.sites();
    assert.deepEqual(
      sites.map(({ created, ...site }) => site),
      [{ key: 'demo', name: 'Demo', origins: ['self'], firstSeen: null }],
    );
    assert.deepEqual(await store.admins(), []);
    assert.deepEqual(await store.tokens(), []);
    assert.deepEqual(await store.sessions(T), []);
  });

  itOfSites('does not restore the demo site after its removal', async (store, open) => {
    assert.equal(await store.removeSite('demo', T), true);
    assert.equal(await store.removeSite('demo', T), false);
    await store.close();
    assert.deepEqual(await (await open()).sites(), []);
  });

  it('has one secret of 32 bytes, the same for all and after a restart', async (store, open) => {
    const secret = await store.secret();
    assert.equal(secret.length, 32);
    assert.deepEqual(await (await open()).secret(), secret);
    await store.close();
    assert.deepEqual(await (await open()).secret(), secret);
  });

  itOfSites('adds, changes, lists and removes sites', async (store, open) => {
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
    assert.equal(await store.removeSite('shop', T), true);
    assert.equal(await other.site('shop'), undefined);
  });

  itOfSites(
    'keeps refused visitors of a site until the cause is mended or the site is removed',
    async (store, open) => {
      const shop: Site = { key: 'shop', name: 'Shop', origins: [], created: T, firstSeen: null };
      await store.addSite(shop);
      const other = await open();
      const refused = (site: string, origin: string, reason: RefusalReason = 'origin-not-allowed', now = T) =>
        refusalOf(site, origin, reason, now);
      await store.noteRefusals([refused('shop', 'https://a.example'), refused('shop', 'https://b.example')], T);
      await other.noteRefusals([refused('shop', 'https://a.example', 'origin-not-allowed', T + 1)], T + 1);
      await other.noteRefusals([refused('shpo', 'https://a.example', 'unknown-site', T + 2)], T + 2);
      await other.noteRefusals([refused('none', 'https://a.example')], T + 2);
      const seen = async (now = T + 3) =>
        (await store.refusals(now))
          .map(({ site, origin, count, last }) => `${site} ${origin} ${count} ${last - T}`)
          .sort();
      await until(async () => (await seen()).length === 3, 'three refusals');
      assert.deepEqual(await seen(), [
        'shop https://a.example 2 1',
        'shop https://b.example 1 0',
        'shpo https://a.example 1 2',
      ]);
      assert.deepEqual(await seen(T + 1 + REFUSALS_KEPT.keptMs), ['shpo https://a.example 1 2']);
      await store.changeSite('shop', { name: 'Shop', origins: ['https://b.example'] });
      await store.addSite({ ...shop, key: 'shpo' });
      assert.deepEqual(await seen(), ['shop https://a.example 2 1']);
      // What a worker still had when the cause was mended.
      await other.noteRefusals([refused('shop', 'https://b.example'), refused('shpo', '', 'unknown-site')], T + 3);
      await other.noteRefusals([refused('shop', 'https://c.example')], T + 3);
      await until(async () => (await seen()).length === 2, 'the refusal of another origin');
      assert.deepEqual(await seen(), ['shop https://a.example 2 1', 'shop https://c.example 1 0']);
      await store.removeSite('shop', T);
      assert.deepEqual(await seen(), []);
    },
  );

  itOfSites('records the first visitor of a site, and only the first', async (store, open) => {
    await store.markSeen('demo', T);
    await (await open()).markSeen('demo', T + 1);
    await store.markSeen('none', T);
    assert.equal((await store.site('demo'))?.firstSeen, T);
    assert.equal(await store.site('none'), undefined);
  });

  itOfSites('keeps the first visitor when the site changes', async (store) => {
    await store.markSeen('demo', T);
    const changed = await store.changeSite('demo', { name: 'D', origins: [] });
    assert.equal(changed?.firstSeen, T);
  });

  it('adds an administrator of a name once, even when two clients add it at once', async (store, open) => {
    const other = await open();
    const added = await Promise.all([store.addAdmin('ada', T), other.addAdmin('ada', T)]);
    assert.deepEqual(added.sort(), [false, true]);
    assert.deepEqual(await other.admins(), [{ name: 'ada', password: null, created: T, ...OWNER }]);
  });

  it('stores a password for one administrator only', async (store, open) => {
    await store.addAdmin('ada', T);
    assert.equal(await store.setPassword('ada', 'scrypt$x'), true);
    assert.equal(await store.setPassword('bob', 'scrypt$x'), false);
    assert.equal((await (await open()).admin('ada'))?.password, 'scrypt$x');
    assert.equal(await store.admin('bob'), undefined);
  });

  it('accepts a link once, from one of many concurrent requests', async (store, open) => {
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

  it('rejects a link after 15 minutes', async (store) => {
    await store.addAdmin('ada', T);
    const [early, late] = [await store.addLink('ada', T), await store.addLink('ada', T)];
    assert.equal(await store.takeLink(early as string, T + LINK.lifetime - 1), 'ada');
    assert.equal(await store.takeLink(late as string, T + LINK.lifetime), undefined);
  });

  it('creates no link and no session for an unknown administrator', async (store) => {
    assert.equal(await store.addLink('bob', T), undefined);
    assert.equal(await store.addSession('bob', '', T), undefined);
    assert.equal(await store.takeLink('made-up', T), undefined);
  });

  it('finds a session by its secret, and does not reveal the secret', async (store, open) => {
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
    assert.deepEqual(await other.rights(`session:${session.id}`, T + 1), OWNER);
  });

  it('extends a session when it is used, and ends it when it is not', async (store) => {
    await store.addAdmin('ada', T);
    const { secret, session } = (await store.addSession('ada', '', T)) as NonNullable<
      Awaited<ReturnType<Store['addSession']>>
    >;
    assert.equal((await store.session(secret, T + SESSION.coarse - 1))?.lastSeen, T);
    const slid = await store.session(secret, T + SESSION.coarse);
    assert.equal(slid?.lastSeen, T + SESSION.coarse);
    const end = T + SESSION.coarse + SESSION.slide;
    assert.equal(slid?.expires, end);
    // With Redis nobody waits until it is noted.
    await until(async () => (await store.rights(`session:${session.id}`, end - 1)) !== undefined, 'note of its use');
    assert.deepEqual(await store.rights(`session:${session.id}`, end - 1), OWNER);
    assert.equal(await store.rights(`session:${session.id}`, end), undefined);
    assert.equal(await store.session(secret, end), undefined);
    assert.deepEqual(await store.sessions(end), []);
  });

  it('ends one session, or all sessions of an administrator but one', async (store, open) => {
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
    assert.equal(await other.rights(`session:${c}`, T), undefined);
  });

  it('ends the session unused for longest when an administrator has too many', async (store) => {
    await store.addAdmin('ada', T);
    await store.addAdmin('bob', T);
    await store.addSession('bob', 'old', T - 1);
    for (let i = 0; i < SESSION.most + 2; i++) await store.addSession('ada', String(i), T + i);
    const agents = (await store.sessions(T)).map(({ agent }) => agent);
    assert.equal(agents.length, SESSION.most + 1);
    assert.ok(agents.includes('old'));
    assert.ok(!agents.includes('0') && !agents.includes('1') && agents.includes('2'));
  });

  it('removes an administrator with its links and sessions', async (store, open) => {
    await store.addAdmin('ada', T);
    await store.addAdmin('bob', T);
    const link = (await store.addLink('ada', T)) as string;
    const made = await store.addSession('ada', '', T);
    assert.equal(await store.removeAdmin('ada'), 'done');
    assert.equal(await store.removeAdmin('ada'), 'unknown');
    // One of the same name must not inherit them.
    await store.addAdmin('ada', T);
    const other = await open();
    assert.equal(await other.takeLink(link, T), undefined);
    assert.equal(await other.session(made?.secret as string, T), undefined);
    assert.equal(await other.rights(`session:${made?.session.id}`, T), undefined);
  });

  it('gives administrators and tokens rights, which apply to sessions at once', async (store, open) => {
    const other = await open();
    await store.addSite({ key: 'shop', name: 'Shop', origins: [], created: T, firstSeen: null });
    const some: Rights = { role: 'viewer', sites: ['shop'] };
    await store.addAdmin('ada', T);
    await store.addAdmin('bob', T, some);
    const session = `session:${(await store.addSession('bob', '', T))?.session.id}`;
    const { secret, token } = await store.addToken('ci', T, some);
    assert.deepEqual(token, { id: token.id, name: 'ci', created: T, lastUsed: null, ...some });
    assert.deepEqual(await other.token(secret, T), { ...token, lastUsed: T });
    for (const credential of [session, `token:${token.id}`]) assert.deepEqual(await other.rights(credential, T), some);
    assert.deepEqual(await other.admin('bob'), { name: 'bob', password: null, created: T, ...some });
    const all: Rights = { role: 'viewer', sites: null };
    assert.equal(await other.setRights('bob', all), 'done');
    assert.deepEqual(await store.rights(session, T), all);
    assert.equal(await other.setPassword('bob', 'scrypt$x'), true);
    assert.deepEqual(await store.admin('bob'), { name: 'bob', password: 'scrypt$x', created: T, ...all });
    // An owner is one of all sites.
    await other.setRights('bob', { role: 'owner', sites: ['shop'] });
    assert.deepEqual(await store.rights(session, T), OWNER);
    assert.equal(await store.setRights('eve', all), 'unknown');
  });

  it('always keeps an owner, even when two clients remove owners at once', async (store, open) => {
    const other = await open();
    await store.addAdmin('ada', T);
    await store.addAdmin('bob', T);
    await store.addAdmin('eve', T, { role: 'viewer', sites: null });
    const outcomes = await Promise.all([
      store.removeAdmin('ada'),
      other.setRights('bob', { role: 'viewer', sites: null }),
    ]);
    assert.deepEqual(outcomes.sort(), ['done', 'last-owner']);
    const owners = (await store.admins()).filter(({ role }) => role === 'owner');
    assert.equal(owners.length, 1);
    assert.equal(await store.setRights(owners[0]?.name as string, OWNER), 'done');
    assert.equal(await store.removeAdmin('eve'), 'done');
  });

  itOfSites('grants no rights to unknown sites, and revokes the rights to a removed site', async (store) => {
    for (const key of ['a', 'b']) await store.addSite({ key, name: key, origins: [], created: T, firstSeen: null });
    const sites = ['a', 'b', 'none', 'a', 'x'.repeat(5000)];
    await store.addAdmin('ada', T, { role: 'viewer', sites });
    const { token } = await store.addToken('ci', T, { role: 'viewer', sites });
    assert.deepEqual(token.sites, ['a', 'b']);
    assert.deepEqual((await store.admin('ada'))?.sites, ['a', 'b']);
    await store.removeSite('a', T);
    await store.addSite({ key: 'a', name: 'Another', origins: [], created: T, firstSeen: null });
    assert.deepEqual((await store.admin('ada'))?.sites, ['b']);
    assert.deepEqual((await store.tokens())[0]?.sites, ['b']);
  });

  it('writes an audit entry together with each change, and none without a change', async (store, open) => {
    const other = await open();
    let at = T;
    const note = (what: AuditAction): AuditNote => ({ at: at++, who: 'ada', what, on: 'it' });
    const site = { key: 'shop', name: 'Shop', origins: [], created: T, firstSeen: null };
    await store.addAdmin('root', T);
    // Each is done, and then cannot be done any more.
    for (const work of [
      () => store.addSite(site, note('site-added')),
      () => store.addAdmin('bob', T, OWNER, note('admin-added')),
    ]) {
      assert.equal(await work(), true);
      assert.equal(await work(), false);
    }
    const session = (await store.addSession('bob', '', T, note('signed-in')))?.session.id as string;
    const { token } = await store.addToken('ci', T, OWNER, note('token-made'));
    assert.ok(await store.changeSite('shop', { name: 'S', origins: [] }, note('site-changed')));
    assert.ok(await store.addLink('bob', T, note('link-made')));
    assert.ok(await store.setPassword('bob', 'scrypt$x', note('password-set')));
    for (const work of [
      async () => (await store.setRights('bob', OWNER, note('admin-changed'))) === 'done',
      () => store.removeSession(session, note('session-ended')),
      () => store.removeToken(token.id, note('token-revoked')),
      async () => (await store.removeAdmin('bob', note('admin-removed'))) === 'done',
      () => store.removeSite('shop', T, note('site-removed')),
    ])
      assert.equal(await work(), true);
    for (const work of [
      async () => (await store.setRights('bob', OWNER, note('admin-changed'))) === 'done',
      async () => (await store.removeAdmin('root', note('admin-removed'))) === 'done',
      () => store.removeSession(session, note('session-ended')),
      () => store.removeToken(token.id, note('token-revoked')),
      () => store.setPassword('bob', 'scrypt$x', note('password-set')),
      () => store.removeSite('shop', T, note('site-removed')),
      () => store.archive.erase('none', note('visit-erased')),
      async () => (await store.changeSite('shop', { name: 'S', origins: [] }, note('site-changed'))) !== undefined,
      async () => (await store.addLink('bob', T, note('link-made'))) !== undefined,
      async () => (await store.addSession('bob', '', T, note('signed-in'))) !== undefined,
    ])
      assert.equal(await work(), false);
    const { items, next } = await other.audit({ limit: 100 });
    assert.equal(next, null);
    const whats = ['site-added', 'admin-added', 'signed-in', 'token-made', 'site-changed', 'link-made', 'password-set'];
    assert.deepEqual(items.map(({ what }) => what).reverse(), [
      ...whats,
      'admin-changed',
      'session-ended',
      'token-revoked',
      'admin-removed',
      'site-removed',
    ]);
    assert.deepEqual(items.at(-1), { at: T, who: 'ada', what: 'site-added', on: 'it', from: '', count: 1 });
  });

  it('returns the audit trail in pages, by actor and action', async (store, open) => {
    const other = await open();
    for (let i = 0; i < 10; i++)
      await store.note({
        at: T + i,
        who: i % 2 ? 'ada' : 'bob',
        what: i % 3 ? 'site-changed' : 'site-added',
        on: `${i}`,
        from: 'Firefox',
      });
    const read = async (query: Omit<AuditQuery, 'limit'>) => {
      const found: string[] = [];
      for (let after: string | null | undefined; after !== null; ) {
        const part = await other.audit({ ...query, limit: 3, ...(after !== undefined && { after }) });
        assert.ok(part.items.length <= 3);
        assert.ok(part.next === null || CURSOR.test(part.next));
        found.push(...part.items.map(({ on }) => on));
        after = part.next;
      }
      return found.join('');
    };
    assert.equal(await read({}), '9876543210');
    assert.equal(await read({ who: 'ada' }), '97531');
    assert.equal(await read({ what: 'site-added' }), '9630');
    assert.equal(await read({ who: 'bob', what: 'site-added' }), '60');
    assert.equal(await read({ who: 'eve' }), '');
    // What comes meanwhile does not shift the parts.
    const first = await store.audit({ limit: 2 });
    await other.note({ at: T + 10, who: 'ada', what: 'site-added', on: 'new' });
    const second = await store.audit({ limit: 2, after: first.next as string });
    assert.deepEqual([...first.items, ...second.items].map(({ on }) => on).join(''), '9876');
    assert.deepEqual(await store.audit({ limit: 2, after: '0.0' }), { items: [], next: null });
    assert.equal((await store.audit({ limit: 1, after: '9999999999999999.0' })).items.length, 1);
  });

  it('merges equal sign-ins within an hour into one entry with an exact count, also from two clients at once', async (store, open) => {
    const other = await open();
    const refused = (at: number, who = 'ada'): AuditNote => ({ at, who, what: 'sign-in-refused', on: 'by password' });
    await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? store : other).note(refused(T + i))));
    await store.note(refused(T + AUDIT.together / 2, 'bob'));
    await store.note(refused(T + AUDIT.together - 1));
    await store.note(refused(T + AUDIT.together + 39));
    const { items } = await other.audit({ limit: 10 });
    assert.deepEqual(
      items.map(({ who, count }) => [who, count]),
      [
        ['ada', 1],
        ['bob', 1],
        ['ada', 41],
      ],
    );
    // Changes are each a change.
    for (let i = 0; i < 2; i++) await store.note({ at: T, who: 'ada', what: 'site-changed', on: 'shop' });
    assert.equal((await store.audit({ limit: 10 })).items.length, 5);
  });

  it('limits the number, the age and the text length of audit entries', async (store) => {
    const note = (at: number, on = ''): AuditNote => ({ at, who: 'ada', what: 'site-changed', on });
    await Promise.all(Array.from({ length: AUDIT.most + 100 }, (_, i) => store.note(note(T + i))));
    const ages = async () => {
      const found: number[] = [];
      for (let after: string | null | undefined; after !== null; ) {
        const part = await store.audit({ limit: 1000, ...(after !== undefined && { after }) });
        found.push(...part.items.map(({ at }) => at));
        after = part.next;
      }
      return found;
    };
    const kept = await ages();
    assert.deepEqual([kept.length, kept.at(-1)], [AUDIT.most, T + 100]);
    const later = T + 200 + AUDIT.age;
    for (let i = 0; i < 10; i++) await store.note(note(later, 'x'.repeat(100_000)));
    assert.equal((await store.audit({ limit: 1 })).items[0]?.on.length, AUDIT.text);
    assert.equal((await ages()).at(-1), T + 201);
  });

  it('records the names of options that changed since the last start, and no values', async (store, open) => {
    const other = await open();
    await store.noteOptions({ workers: 2, token: 'secret-one', listen: [{ port: 1 }] }, T);
    await store.noteOptions({ workers: 2, token: 'secret-one', listen: [{ port: 1 }], added: true }, T + 1);
    assert.deepEqual((await store.audit({ limit: 10 })).items, []);
    await other.noteOptions({ workers: 3, token: 'secret-two', listen: [{ port: 1 }] }, T + 2);
    const entry = { at: T + 2, who: 'server', what: 'options-changed', on: 'workers, token', from: '', count: 1 };
    assert.deepEqual((await store.audit({ limit: 10 })).items, [entry]);
    await store.noteOptions({ workers: 3, token: 'secret-two', listen: [{ port: 1 }] }, T + 3);
    assert.equal((await store.audit({ limit: 10 })).items.length, 1);
  });

  it('finds a token by its secret, records its use, and forgets it when it is revoked', async (store, open) => {
    const other = await open();
    const { secret, token } = await store.addToken('ci', T);
    assert.deepEqual(token, { id: token.id, name: 'ci', created: T, lastUsed: null, ...OWNER });
    const isUsedAt = (at: number) => until(async () => (await store.tokens())[0]?.lastUsed === at, 'note of its use');
    assert.equal((await other.token(secret, T + 5))?.id, token.id);
    await isUsedAt(T + 5);
    await store.token(secret, T + 5 + TOKEN.coarse - 1);
    assert.equal((await store.tokens())[0]?.lastUsed, T + 5);
    await store.token(secret, T + 5 + TOKEN.coarse);
    await isUsedAt(T + 5 + TOKEN.coarse);
    assert.deepEqual(await store.rights(`token:${token.id}`, T), OWNER);
    assert.equal(await other.removeToken(token.id), true);
    assert.equal(await other.removeToken(token.id), false);
    assert.equal(await store.token(secret, T), undefined);
    assert.equal(await store.rights(`token:${token.id}`, T), undefined);
  });

  it('rejects a token with a wrong or missing secret or id', async (store) => {
    const [one, two] = [await store.addToken('one', T), await store.addToken('two', T)];
    const mixed = one.secret.replace(one.token.id, two.token.id);
    for (const secret of [mixed, one.token.id, one.secret.slice(0, -1), '', 'x'.repeat(10_000)])
      assert.equal(await store.token(secret, T), undefined);
  });

  it('accepts any text as a key', async (store) => {
    for (const text of ['', 'x'.repeat(5000), '\u0000', 'session:', '💥'.repeat(2000)]) {
      assert.equal(await store.site(text), undefined);
      assert.equal(await store.admin(text), undefined);
      assert.equal(await store.removeSite(text, T), false);
      assert.equal(await store.removeAdmin(text), 'unknown');
      assert.equal(await store.setRights(text, OWNER), 'unknown');
      assert.equal(await store.removeSession(text), false);
      assert.equal(await store.removeToken(text), false);
      assert.equal(await store.setPassword(text, 'x'), false);
      assert.equal(await store.addLink(text, T), undefined);
      assert.equal(await store.session(text, T), undefined);
      assert.equal(await store.takeLink(text, T), undefined);
      await store.markSeen(text, T);
      assert.equal(await store.hit(text, '/'), 'unknown-site');
      assert.equal(await store.hits(text, '/'), 0);
      for (const kind of ['session', 'token', 'other'])
        assert.equal(await store.rights(`${kind}:${text}`, T), undefined);
    }
    assert.deepEqual(await store.rights('env', T), OWNER);
  });

  it('counts attempts for all clients together, and rejects them for a while after the limit', async (store, open) => {
    const other = await open();
    const attempts: Attempt[] = [{ kind: 'name', value: 'ada', limit: 3, window: 1000 }];
    assert.equal(await store.countAttempt(attempts, T), 0);
    assert.equal(await other.countAttempt(attempts, T + 100), 0);
    assert.equal(await store.countAttempt(attempts, T + 200), 0);
    assert.equal(await other.countAttempt(attempts, T + 400), 600);
    assert.equal(await store.countAttempt(attempts, T + 999), 1);
    assert.equal(await store.countAttempt(attempts, T + 1000), 0);
  });

  it('counts exactly, also with concurrent attempts from two clients', async (store, open) => {
    const other = await open();
    const attempts: Attempt[] = [{ kind: 'address', value: '192.0.2.1', limit: 5, window: 1000 }];
    const waits = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? store : other).countAttempt(attempts, T)),
    );
    assert.equal(waits.filter((wait) => wait === 0).length, 5);
  });

  it('counts nothing when one counter is at its limit, and gives back a successful attempt', async (store) => {
    const name: Attempt = { kind: 'name', value: 'ada', limit: 1, window: 1000 };
    const address: Attempt = { kind: 'address', value: '192.0.2.1', limit: 2, window: 5000 };
    assert.equal(await store.countAttempt([name, address], T), 0);
    assert.equal(await store.countAttempt([address, name], T), 1000);
    assert.equal(await store.countAttempt([address], T), 0);
    assert.equal(await store.countAttempt([address, name], T), 5000);
    await store.forgiveAttempt([name, address], T);
    assert.equal(await store.countAttempt([name, address], T), 0);
  });

  itOfSites('counts visits of a page exactly and numbers each, also from two clients at once', async (store, open) => {
    const other = await open();
    const totals = await Promise.all(
      Array.from({ length: 600 }, (_, i) => (i % 2 ? store : other).hit('demo', i % 3 ? '/' : '/pots')),
    );
    assert.deepEqual(
      totals.filter((_, i) => i % 3).sort((a, b) => Number(a) - Number(b)),
      Array.from({ length: 400 }, (_, i) => i + 1),
    );
    for (const one of [store, other]) {
      assert.equal(await one.hits('demo', '/'), 400);
      assert.equal(await one.hits('demo', '/pots'), 200);
      assert.equal(await one.hits('demo', '/other'), 0);
    }
    await store.close();
    assert.equal(await (await open()).hits('demo', '/'), 400);
  });

  itOfSites('counts visits of existing sites only, and deletes the counts with the site', async (store, open) => {
    const other = await open();
    const site = { key: 'a', name: 'A', origins: [], created: T, firstSeen: null };
    for (const key of ['a', 'a-b', 'a0']) {
      assert.equal(await store.hit(key, '/'), 'unknown-site');
      await store.addSite({ ...site, key });
      assert.equal(await other.hit(key, '/'), 1);
    }
    await other.removeSite('a', T);
    assert.equal(await store.hit('a', '/'), 'unknown-site');
    assert.equal(await store.hits('a', '/'), 0);
    await store.addSite(site);
    assert.deepEqual(await Promise.all(['a', 'a-b', 'a0'].map((key) => store.hit(key, '/'))), [1, 2, 2]);
  });

  itOfSites('lists the totals of all pages, and resets one page or all pages of a site', async (store, open) => {
    const other = await open();
    await store.addSite({ key: 'shop', name: 'Shop', origins: [], created: T, firstSeen: null });
    await Promise.all([
      store.hit('shop', '/b'),
      other.hit('shop', '/a'),
      other.hit('demo', '/'),
      store.hit('demo', '/'),
    ]);
    const all = [
      { site: 'demo', page: '/', count: 2 },
      { site: 'shop', page: '/a', count: 1 },
      { site: 'shop', page: '/b', count: 1 },
    ];
    assert.deepEqual(await other.allHits(), all);
    const note: AuditNote = { at: T, who: 'ada', what: 'hits-removed', on: 'it' };
    assert.equal(await store.removeHits('shop', '/c', note), 0);
    assert.equal(await store.removeHits('none', undefined, note), 0);
    assert.equal(await store.removeHits('shop', '/a', note), 1);
    assert.deepEqual(await other.allHits(), [all[0], all[2]]);
    assert.equal(await store.hit('shop', '/a'), 1);
    assert.equal(await other.removeHits('shop', undefined, note), 2);
    assert.deepEqual(await store.allHits(), [all[0]]);
    assert.equal((await store.audit({ limit: 10 })).items.length, 2);
  });

  it('has written pending audit entries before a process may exit', async (store, open) => {
    await store.noteNow({ at: T, who: 'ada', what: 'exported', on: 'all sites' });
    assert.equal((await (await open()).audit({ limit: 10 })).items[0]?.what, 'exported');
  });

  itOfSites('counts any valid page, and rejects invalid pages without harm to others', async (store) => {
    const pages = [`/${'x'.repeat(1023)}`, `/${'💥'.repeat(255)}`, `/${'é'.repeat(511)}`, '/a b?c#d%'];
    const none = ['', 'x', `/${'x'.repeat(1024)}`, '/\u0000', '/\u007f', '/\ud800', `/${'é'.repeat(512)}`];
    const counted = pages.map((page) => store.hit('demo', page));
    for (const page of none) {
      await assert.rejects(store.hit('demo', page), RangeError);
      assert.equal(await store.hits('demo', page), 0);
    }
    assert.deepEqual(await Promise.all(counted), [1, 1, 1, 1]);
    for (const page of pages) assert.equal(await store.hits('demo', page), 1);
  });

  it('limits the number of waiting visits', async (store) => {
    const totals = await Promise.all(Array.from({ length: HITS.waiting + 1 }, () => store.hit('demo', '/')));
    assert.equal(totals.at(-1), 'busy');
    assert.equal(await store.hits('demo', '/'), HITS.waiting);
  });

  it('has a name for its node, the same at each start', async (store, open) => {
    const name = await store.machine();
    assert.match(name, /^[\w-]{1,64}$/);
    assert.equal(await (await open()).machine(), name);
    await store.close();
    assert.equal(await (await open()).machine(), name);
  });

  itOfSites(
    'stores the minutes of sites by node, each once, and raises a minute that is reported again',
    async (store, open) => {
      const other = await open();
      await store.addSite({ key: 'shop', name: 'Shop', origins: [], created: T, firstSeen: null });
      const at = (n: number, visitors: number, samples = 0) => ({ t: HOUR + n * MINUTE_MS, visitors, samples });
      const now = HOUR + 5 * MINUTE_MS;
      await store.putMinutes('b', [{ site: 'demo', ...at(1, 2) }], now);
      const [first, second] = [at(0, 3, 40), at(1, 9)];
      await store.putMinutes(
        'a',
        [first, second, at(2, 1, 7)].map((minute) => ({ site: 'demo', ...minute })),
        now,
      );
      await store.putMinutes('a', [{ site: 'shop', ...at(1, 5) }], now);
      await other.putMinutes(
        'a',
        [at(1, 4, 60), at(2, 1, 7)].map((minute) => ({ site: 'demo', ...minute })),
        now,
      );
      const ofDemo = async (from: number) =>
        (await other.minutes('demo', from)).sort((a, b) => (a.machine < b.machine ? -1 : 1));
      const [a, b] = [
        { machine: 'a', minutes: [first, { ...second, samples: 60 }, at(2, 1, 7)] },
        { machine: 'b', minutes: [at(1, 2)] },
      ];
      assert.deepEqual(await ofDemo(HOUR), [a, b]);
      assert.deepEqual(await ofDemo(HOUR + MINUTE_MS), [{ ...a, minutes: a.minutes.slice(1) }, b]);
      assert.deepEqual(await ofDemo(HOUR + 2 * MINUTE_MS), [{ ...a, minutes: a.minutes.slice(2) }]);
      assert.deepEqual(await store.minutes('shop', HOUR), [{ machine: 'a', minutes: [at(1, 5)] }]);
      assert.deepEqual(await store.minutes('none', HOUR), []);
    },
  );

  itOfSites('stores minutes for an hour, and none of unknown sites', async (store) => {
    const put = (site: string, t: number, now: number) =>
      store.putMinutes('a', [{ site, t, visitors: 1, samples: 0 }], now);
    await put('demo', HOUR, HOUR);
    await put('none', HOUR, HOUR);
    await put(NO_SITE, HOUR, HOUR);
    assert.deepEqual(await store.minutes(NO_SITE, HOUR), await store.minutes('demo', HOUR));
    assert.equal(await store.addSite({ key: 'none', name: '', origins: [], created: T, firstSeen: null }), true);
    assert.deepEqual(await store.minutes('none', 0), []);
    const last = HOUR + 60 * MINUTE_MS;
    await put('demo', last, last);
    assert.deepEqual(await store.minutes('demo', 0), [
      { machine: 'a', minutes: [{ t: last, visitors: 1, samples: 0 }] },
    ]);
    await store.removeSite('demo', T);
    await store.addSite({ key: 'demo', name: '', origins: [], created: T, firstSeen: null });
    assert.deepEqual(await store.minutes('demo', 0), []);
  });

  itOfSites('shows a write of one client to the others at once', async (store, open) => {
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

  test(`${name} takes over the data of another store, and gives it back`, async (t) => {
    const [source, last] = [await openLmdbStore(temporaryFolder(t)), await openLmdbStore(temporaryFolder(t))];
    t.after(() => Promise.all([source.close(), last.close()]));
    await furnish(source);
    const held = await source.accountSnapshot();
    const open = await opener(t);
    const store = await open();
    if (name !== 'the embedded store') {
      const [own] = [await store.secret(), await store.addAdmin('bob', T)];
      assert.deepEqual([await store.adopt(held), await store.secret()], [false, own]);
      for (const admin of await store.admins()) assert.equal(admin.name, 'bob');
    }
    const fresh = await (await opener(t))();
    assert.equal(await fresh.adopt(held), true);
    assert.deepEqual(await fresh.accountSnapshot(), held);
    assert.deepEqual(await fresh.secret(), await source.secret());
    assert.equal(await fresh.hit('shop', '/'), 4);
    // Done again it takes nothing back.
    assert.equal(await fresh.adopt(held), true);
    assert.equal(await fresh.hits('shop', '/'), 4);
    const given = await fresh.accountSnapshot();
    assert.equal(await last.adopt(given), true);
    assert.deepEqual(await last.accountSnapshot(), given);
    assert.equal(await last.addSite({ ...(held.sites[0] as Site), key: 'late' }), true);
  });

  itOfSites('can be closed twice, and leaves other clients open', async (store, open) => {
    const other = await open();
    await store.close();
    await store.close();
    assert.equal((await other.sites()).length, 1);
  });
}

/** Something of all that a store keeps. */
async function furnish(store: Store): Promise<void> {
  const note: AuditNote = { at: T, who: 'command line', what: 'admin-added', on: 'ada' };
  await store.removeSite('demo', T);
  for (const key of ['garden', 'shop'])
    await store.addSite({ key, name: key, origins: ['https://a.example'], created: T, firstSeen: T + 1 });
  await store.addAdmin('ada', T, OWNER, note);
  await store.addAdmin('cy', T, { role: 'viewer', sites: ['shop'] }, { ...note, on: 'cy' });
  await store.setPassword('ada', 'scrypt$…');
  await store.addSession('ada', 'Firefox', T);
  await store.addToken('builds', T, { role: 'viewer', sites: ['garden'] });
  for (const page of ['/', '/', '/', '/pots']) await store.hit('shop', page);
}

test('the embedded store removes expired entries', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
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

test('the embedded store stores no secret and no address in plain text', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  await store.addAdmin('ada', T);
  const link = (await store.addLink('ada', T)) as string;
  const session = (await store.addSession('ada', '', T))?.secret as string;
  const { secret } = await store.addToken('ci', T);
  await store.countAttempt([{ kind: 'address', value: '192.0.2.123', limit: 5, window: 1000 }], T);
  await store.noteOptions({ token: 'from-the-environment' }, T);
  await store.close();
  const bytes = readFileSync(join(folder, 'store.mdb')).toString('latin1');
  for (const text of [link, session, secret, secret.slice(-43), '192.0.2.123', 'from-the-environment'])
    assert.ok(!bytes.includes(text));
});

test('administrators and tokens stored before roles existed are owners', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  await store.addAdmin('ada', T);
  const { secret, token } = await store.addToken('ci', T);
  await store.close();
  const file = StoreFile.open(folder);
  const tables = file.alone(() => ['admins', 'tokens'].map((name) => file.root.openDB<object, string>(name, {})));
  for (const table of tables)
    for (const { key, value } of [...table.getRange()]) {
      const { role, sites, ...before } = value as Rights;
      await file.writeLater(() => void table.put(key, before));
    }
  await file.close();
  const again = await openLmdbStore(folder);
  t.after(() => again.close());
  assert.deepEqual(await again.admins(), [{ name: 'ada', password: null, created: T, ...OWNER }]);
  assert.deepEqual(await again.tokens(), [token]);
  assert.equal((await again.token(secret, T))?.role, 'owner');
  assert.deepEqual(await again.rights(`token:${token.id}`, T), OWNER);
  assert.equal(await again.removeAdmin('ada'), 'last-owner');
});

test('an administrator or token with a field that cannot have been written is treated as missing', async (t) => {
  const folder = temporaryFolder(t);
  const damages: [table: 'admins' | 'tokens', field: object][] = [
    ['admins', { created: 'x' }],
    ['admins', { password: 5 }],
    ['tokens', { created: undefined }],
    ['tokens', { lastUsed: 'x' }],
    ['tokens', { lastUsed: undefined }],
  ];
  const store = await openLmdbStore(folder);
  for (const name of ['sound', ...damages.map((_, i) => `damaged-${i}`)]) {
    await store.addAdmin(name, T);
    await store.addToken(name, T);
  }
  await store.close();
  const file = StoreFile.open(folder);
  for (const [i, [name, field]] of damages.entries()) {
    const table = file.alone(() => file.root.openDB<{ name: string }, string>(name, {}));
    const entry = [...table.getRange()].find(({ value }) => value.name === `damaged-${i}`);
    await file.writeLater(
      () => void table.put(entry?.key as string, { ...entry?.value, ...field } as { name: string }),
    );
  }
  await file.close();
  const again = await openLmdbStore(folder);
  t.after(() => again.close());
  const names = async (table: 'admins' | 'tokens') => (await again[table]()).map(({ name }) => name).sort();
  assert.deepEqual(await names('admins'), ['damaged-2', 'damaged-3', 'damaged-4', 'sound']);
  assert.deepEqual(await names('tokens'), ['damaged-0', 'damaged-1', 'sound']);
});

test('only its owner can access the embedded store', async (t) => {
  const folder = join(temporaryFolder(t), 'new', 'folder');
  await (await openLmdbStore(folder)).close();
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
});

test('the embedded store reports an error of its folder in one line', async (t) => {
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
  await (await openLmdbStore(join(folder, 'gate'))).close();
  writeFileSync(join(folder, 'gate', 'store.gate'), 'x'.repeat(8192));
  await assert.rejects(openLmdbStore(join(folder, 'gate')), {
    code: 'damaged',
    message: `${join(folder, 'gate', 'store.gate')} is damaged; delete it while nothing uses the store; it is then created again`,
  });
  for (const [name, code] of Object.entries(cases)) {
    const path = name.startsWith('/') ? name : join(folder, name);
    await assert.rejects(openLmdbStore(path), (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, /^[^\n]+$/);
      assert.ok(error.message.includes(path));
      return true;
    });
  }
});

test('the embedded store rejects a folder of a later version', async (t) => {
  const folder = temporaryFolder(t);
  await (await openLmdbStore(folder)).close();
  const { open } = await import('lmdb');
  const root = open({ path: join(folder, 'store.mdb') });
  await root.openDB('meta', {}).put('format', 99);
  await root.close();
  await assert.rejects(openLmdbStore(folder), { code: 'newer-store' });
});

test('nobody commits while another process opens the file, and the newest commit number never decreases', async (t) => {
  const folder = join(temporaryFolder(t), 'data');
  const children = Array.from({ length: 2 }, () => startWriter(t, folder));
  await Promise.all(children.map((child) => child.said('secret')));
  const file = StoreFile.open(folder);
  t.after(() => file.close());
  const hits = file.alone(() => file.root.openDB<number, string>('hits', {}));
  const counted = () => {
    file.root.resetReadTxn();
    return hits.get('demo/a') ?? 0;
  };
  for (const child of children) child.ask('count', '/a').catch(() => {});
  let before = 0;
  for (let i = 0; i < 20; i++) {
    while (counted() <= before) await setImmediate();
    const [first, last] = file.alone(() => {
      const first = counted();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      return [first, counted()];
    });
    assert.equal(last, first);
    before = last;
  }
});

test('the embedded store is shared by processes: created once, written in turn, read concurrently', async (t) => {
  const folder = join(temporaryFolder(t), 'data');
  const children = Array.from({ length: 4 }, () => startWriter(t, folder));
  const secrets = await Promise.all(children.map((child) => child.said('secret')));
  assert.equal(new Set(secrets).size, 1);
  const store = await openLmdbStore(folder);
  t.after(() => store.close());
  assert.equal((await store.secret()).toString('hex'), secrets[0]);

  // A change made here is read there by the next message.
  await store.addSite({ key: 'shop', name: 'Shop', origins: [], created: T, firstSeen: null });
  for (const child of children) assert.equal(await child.ask('site', 'shop'), 'Shop');
  await store.removeSite('shop', T);
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
  const child = forkModule('store-process', [folder]);
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
