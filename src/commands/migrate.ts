/**
 * The commands that copy everything from the data folder to Redis, or back. The source stays unchanged. Existing data
 * in the target is skipped, so an interrupted migration continues where it stopped.
 */
import { isDeepStrictEqual } from 'node:util';
import { SILENCE_MS } from '../broker/membership.ts';
import type { Config } from '../config/config.ts';
import type { Visit } from '../model/visit.ts';
import { type RedisTarget, targetText } from '../redis/redis-url.ts';
import { FolderInUse, lockFolder } from '../server/folder-lock.ts';
import type { AccountSnapshot } from '../store/accounts/account-snapshot.ts';
import type { Archive } from '../store/archive.ts';
import type { Store } from '../store/contract.ts';
import { ownFolder } from '../store/lmdb/file/folder.ts';
import { openStore } from '../store/open.ts';
import { noted } from './audit-commands.ts';
import { ANY_SIZE, type Command, type ExitCode, type Invocation, noStore, refuseRunning } from './command.ts';
import { ALL_DAYS } from './days.ts';
import { Importer } from './importer.ts';
import { LeftOutCounts } from './left-out.ts';
import { type Bar, createBar } from './progress-bar.ts';
import { countVisits, type Range, runsOf, visitsOf } from './walk-visits.ts';

const FRESH = 'a new folder, or an empty database';
const COPY_TEXT = 'The source is not changed. If the command is interrupted, run it again to continue.';

const FLAGS = { 'skip-damaged': 'leave out visits and parts of visits that cannot be read; the exit code is then 3' };

export const MIGRATE_COMMANDS: Readonly<Record<string, Command>> = {
  'migrate to-redis': {
    does: 'copies everything from the data folder to Redis',
    more: `First stop the server of the folder and all servers on the Redis. ${COPY_TEXT}`,
    usage: '--redis URL [--skip-damaged]',
    flags: FLAGS,
    options: ['data', 'redis', 'maxStore'],
    examples: ['migrate to-redis --data /srv/fieldmouse --redis redis://10.0.0.10'],
    check,
    run: (call) => migrate(call, true),
  },
  'migrate to-folder': {
    does: 'copies everything from Redis to the data folder',
    more: `First stop all servers on the Redis. Use a new folder. ${COPY_TEXT}`,
    usage: '--redis URL [--skip-damaged]',
    flags: FLAGS,
    options: ['data', 'redis', 'maxStore'],
    examples: ['migrate to-folder --data /srv/another --redis redis://10.0.0.10'],
    check,
    run: (call) => migrate(call, false),
  },
};

function check({ config }: Invocation): string[] {
  return config.redis ? [] : ['migrate: needs --redis URL, or FIELDMOUSE_REDIS'];
}

async function migrate(call: Invocation, isToRedis: boolean): Promise<ExitCode> {
  const { config, io } = call;
  const alone = { ...config, redis: undefined };
  const missing = isToRedis ? noStore({ ...call, config: alone }) : undefined;
  if (missing) return missing;
  const running = await runningText(config.redis as RedisTarget);
  if (running !== undefined) return refuseRunning(io, `${running}; nothing was copied`);
  const unlock = await holdFolder(config.data);
  if (unlock === undefined)
    return refuseRunning(io, `a server or another command is using ${config.data}: stop it first; nothing was copied`);
  try {
    return await betweenStores(call, alone, isToRedis);
  } finally {
    unlock();
  }
}

/**
 * Names running servers that would write data that is not copied, and says what to do; undefined if no server is
 * running.
 */
async function runningText(redis: RedisTarget): Promise<string | undefined> {
  // Loaded on demand: no other command needs the client of Redis when it starts, and loading it is slow.
  const { presentNodes } = await import('../broker/present-nodes.ts');
  const servers = await presentNodes(redis);
  if (servers === 0) return undefined;
  const [run, them, one] = servers === 1 ? ['server runs', 'it', 'if it'] : ['servers run', 'them', 'if one'];
  return (
    `${servers} ${run} on Redis at ${targetText(redis)}: stop ${them} first ` +
    `(${one} was killed, try again in ${SILENCE_MS / 1000} s)`
  );
}

/**
 * Locks the folder, so that no server can start and write to it. Returns undefined if a server is running. Throws
 * StoreError.
 */
async function holdFolder(folder: string): Promise<(() => void) | undefined> {
  ownFolder(folder);
  try {
    return await lockFolder(folder, { reload: () => Promise.reject(new Error('it is being migrated')) });
  } catch (error) {
    if (error instanceof FolderInUse) return undefined;
    throw error;
  }
}

async function betweenStores(call: Invocation, alone: Config, isToRedis: boolean): Promise<ExitCode> {
  const { config } = call;
  const limits = { maxBytes: config.maxStore, durability: config.durability };
  const folder = await openStore(alone, isToRedis ? { checkBytes: ANY_SIZE } : { ...limits, create: true });
  let redis: Store | undefined;
  try {
    redis = await openStore(config, isToRedis ? { ...limits, create: true } : {});
    return await copy(call, isToRedis ? [folder, redis] : [redis, folder], placesOf(config, isToRedis));
  } finally {
    await Promise.all([folder.close(), redis?.close()]);
  }
}

function placesOf(config: Config, isToRedis: boolean): [source: string, target: string] {
  const redis = `Redis at ${targetText(config.redis as RedisTarget)}`;
  return isToRedis ? [config.data, redis] : [redis, config.data];
}

async function copy(
  { config, flags, io }: Invocation,
  [from, to]: [Store, Store],
  [source, target]: [string, string],
): Promise<ExitCode> {
  const snapshot = await from.accountSnapshot();
  if (!(await to.adopt(snapshot)))
    return refuseRunning(io, `${target} has administrators or visits of another installation; nothing was copied`);
  if (!isDeepStrictEqual(comparable(await to.accountSnapshot()), comparable(snapshot)))
    return refuseRunning(
      io,
      `sites, administrators, sessions, tokens or totals in ${target} or ${source} have changed since they ` +
        'were copied; ' +
        `nothing was copied this time. Use ${FRESH}`,
    );
  const bar = createBar(io.screen, 'copying', 'visits');
  const leftOut = new LeftOutCounts(flags['skip-damaged'].length > 0);
  const { visits, runs } = await copyRecord(from.archive, to.archive, bar, leftOut).finally(bar.end);
  const running = await runningText(config.redis as RedisTarget);
  if (running !== undefined)
    return refuseRunning(io, `${running}; data written meanwhile may be missing: run the command again afterwards`);
  const differing = await differingSites(from.archive, to.archive);
  const code = leftOut.tell(io);
  // The copy lacks the counts of what was left out.
  if (differing.length > 0 && code === 0)
    return refuseRunning(
      io,
      `counts of ${differing.join(', ')} differ in ${target}; run the command again; if they still differ, use ` +
        `${FRESH}`,
    );
  if (visits > 0) await to.noteNow(noted('imported', `${visits} visits with ${runs} runs, from ${source}`));
  io.out(
    `${code === 0 ? 'Everything' : 'Everything readable'} in ${source} is now in ${target}; ${visits} visits ` +
      `with ${runs} runs were copied this time. ${source} was not changed.`,
  );
  return code;
}

/** What must be the same in both stores, in any order: everything except the audit trail, which notes the migration. */
function comparable({ sites, admins, tokens, sessions, hits }: AccountSnapshot): unknown {
  const all = { sites, admins, tokens, sessions, hits };
  return Object.entries(all).map(([name, rows]) => [name, new Set(rows.map((row) => JSON.stringify(row)))]);
}

/** Copies the visits that are missing or incomplete. Returns the number of visits and runs. */
async function copyRecord(from: Archive, to: Archive, bar: Bar, leftOut: LeftOutCounts): Promise<Importer['total']> {
  await from.compactAll();
  const range: Range = { sites: await from.sites() };
  const total = await countVisits(from, range);
  const importer = new Importer(to);
  let done = 0;
  for (const site of range.sites)
    for await (const visit of visitsOf(from, site, range, leftOut.take)) {
      if (!isWhole(visit, await to.visit(visit.id, site))) {
        await importer.visit(visit);
        for await (const run of runsOf(from, visit.id, leftOut.take)) await importer.run(run);
      }
      done += 1;
      bar.show(done, Math.max(total, done));
    }
  await importer.flush();
  return importer.total;
}

/**
 * The window size may differ: it comes from the frame that arrived first, which need not be the earliest. So may the
 * heights of pages: the copy has them also for visits that were recorded before format 3.
 */
function isWhole(visit: Visit, copied: Visit | undefined): boolean {
  return copied !== undefined && isDeepStrictEqual(lasting(copied), lasting(visit));
}

function lasting(visit: Visit): Visit {
  const stays = visit.stays.map(({ page, t, until, depth }) => ({ page, t, until, depth }));
  return { ...visit, size: [0, 0, 0, 0], stays };
}

/** Sites whose counts differ. Heights of pages may; see isWhole. */
async function differingSites(from: Archive, to: Archive): Promise<string[]> {
  const countsOf = async (archive: Archive, site: string) =>
    (await archive.days(site, null, ALL_DAYS)).map(({ measuredDepth, measuredHeight, ...counts }) => counts);
  const differing: string[] = [];
  for (const site of await from.sites())
    if (!isDeepStrictEqual(await countsOf(to, site), await countsOf(from, site))) differing.push(site);
  return differing;
}
