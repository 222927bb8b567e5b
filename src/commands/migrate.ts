/**
 * The commands that take everything from the data folder to Redis, or back. What they copy from stays as it is; what is there already
 * is passed over, so that one that was broken off goes on where it was.
 */
import { isDeepStrictEqual } from 'node:util';
import { lockFolder } from '../folder-lock.ts';
import { DAY_MS, dayText } from '../protocol/day.ts';
import type { Visit } from '../protocol/visit.ts';
import { targetText } from '../redis/target.ts';
import type { Archive } from '../store/archive.ts';
import type { Store } from '../store/contract.ts';
import type { Holdings } from '../store/holdings.ts';
import { openStore } from '../store/open.ts';
import { noted } from './audit.ts';
import { type Bar, createBar } from './bar.ts';
import { type Call, type Command, type ExitCode, noStore, refuse } from './command.ts';
import { EARLIEST } from './days.ts';
import { Importer } from './importer.ts';
import { countVisits, type Range, runsOf, visitsOf } from './walk.ts';

export const MIGRATE_HELP = `  fieldmouse migrate to-redis    copies everything from the data folder to Redis (--redis); stop the server before. Once more
                                 it goes on where it was broken off
  fieldmouse migrate to-folder   the same from Redis to the data folder`;

export const MIGRATE_COMMANDS: Readonly<Record<string, Command>> = {
  'migrate to-redis': { check, run: (call) => migrate(call, true) },
  'migrate to-folder': { check, run: (call) => migrate(call, false) },
};

function check({ config }: Call): string[] {
  return config.redis ? [] : ['migrate: needs --redis URL, or FIELDMOUSE_REDIS'];
}

async function migrate(call: Call, isToRedis: boolean): Promise<ExitCode> {
  const alone = { ...call.config, redis: undefined };
  const missing = isToRedis ? noStore({ ...call, config: alone }) : undefined;
  if (missing) return missing;
  const limits = { maxBytes: call.config.maxStore, durability: call.config.durability };
  const folder = await openStore(alone, isToRedis ? {} : limits);
  // A server that goes on would write what is not copied.
  const unlock = await lockFolder(call.config.data, {
    reload: () => Promise.reject(new Error('it is being migrated')),
  });
  const redis = await openStore(call.config, isToRedis ? limits : {});
  try {
    return await (isToRedis ? copy(call, folder, redis) : copy(call, redis, folder));
  } finally {
    await Promise.all([folder.close(), redis.close()]);
    unlock();
  }

  async function copy({ config, io }: Call, from: Store, to: Store): Promise<ExitCode> {
    const places = [config.data, `Redis at ${config.redis && targetText(config.redis)}`];
    const [source, target] = isToRedis ? places : places.toReversed();
    const holdings = await from.holdings();
    if (!(await to.adopt(holdings)))
      return refuse(io, `${target} has administrators or visits of another installation; nothing was copied`);
    if (!isDeepStrictEqual(kept(await to.holdings()), kept(holdings)))
      return refuse(
        io,
        `sites, people, sessions, tokens or totals have changed in ${target} or ${source} since they were copied; ` +
          'nothing was copied now. Take a new folder, or an empty database',
      );
    const bar = createBar(io.screen, 'copying', 'visits');
    const { visits, runs } = await copyRecord(from.archive, to.archive, bar).finally(bar.end);
    const differing = await unlikeSites(from.archive, to.archive);
    if (differing.length > 0)
      return refuse(
        io,
        `counts of ${differing.join(', ')} differ in ${target}; run the command again, with no server on it`,
      );
    if (visits > 0) await to.noteNow(noted('imported', `${visits} visits with ${runs} runs, from ${source}`));
    io.out(
      `Everything of ${source} is in ${target}; ${visits} visits with ${runs} runs were copied now. ${source} is as it was.`,
    );
    return 0;
  }
}

/** What has to be the same in both, in no order: all but the audit trail, in which it is noted that something was copied. */
function kept({ sites, admins, tokens, sessions, hits }: Holdings): unknown {
  const all = { sites, admins, tokens, sessions, hits };
  return Object.entries(all).map(([name, rows]) => [name, new Set(rows.map((row) => JSON.stringify(row)))]);
}

/** Copies the visits that are not there, or not whole. How many, and their runs. */
async function copyRecord(from: Archive, to: Archive, bar: Bar): Promise<Importer['total']> {
  await from.fileAll();
  const range: Range = { sites: await from.sites(), from: EARLIEST, to: Date.now() + DAY_MS };
  const total = await countVisits(from, range);
  const importer = new Importer(to);
  let done = 0;
  for (const site of range.sites)
    for await (const visit of visitsOf(from, site, range)) {
      if (!isWhole(visit, await to.visit(visit.id, site))) {
        await importer.visit(visit);
        for await (const run of runsOf(from, visit.id)) await importer.run(run);
      }
      done += 1;
      bar.show(done, Math.max(total, done));
    }
  await importer.flush();
  return importer.total;
}

/** Its window may differ: that is of the frame that came first, which need not be the first in time. */
function isWhole(visit: Visit, copied: Visit | undefined): boolean {
  return copied !== undefined && isDeepStrictEqual({ ...copied, size: null }, { ...visit, size: null });
}

/** Sites whose counts are not the same in both. */
async function unlikeSites(from: Archive, to: Archive): Promise<string[]> {
  const unlike: string[] = [];
  const days = { from: dayText(EARLIEST), to: dayText(Date.now() + DAY_MS) };
  for (const site of await from.sites())
    if (!isDeepStrictEqual(await to.days(site, null, days), await from.days(site, null, days))) unlike.push(site);
  return unlike;
}
