/** The command that exports the record for other programs, and for `import`. */
import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DAY_MS } from '../model/day.ts';
import { SITE_KEY } from '../model/site.ts';
import type { NO_COUNTS } from '../model/visit.ts';
import { version } from '../server/version.ts';
import type { Archive } from '../store/archive.ts';
import { noted, noteReading } from './audit-commands.ts';
import {
  ANY_SIZE,
  type Command,
  type ExitCode,
  type Invocation,
  noStore,
  onStore,
  refuseRunning,
  type StoreInvocation,
} from './command.ts';
import { CSV_BOM, csvRow } from './csv.ts';
import { dayStart } from './days.ts';
import { LeftOutCounts } from './left-out.ts';
import { outFault } from './out-file.ts';
import { type Bar, createBar } from './progress-bar.ts';
import { endLine, headerLine, runLine, visitLine } from './record-lines.ts';
import { unknownSiteText } from './rights-flags.ts';
import { countVisits, daysOf, type OnLeftOut, type Range, runsOf, visitsOf } from './walk-visits.ts';
import { writeWhole } from './whole-file.ts';

export const EXPORT_COMMANDS: Readonly<Record<string, Command>> = {
  export: {
    does: 'exports the record: visits as NDJSON, or counts as CSV',
    more:
      'It writes to standard output, or to the file of --out, which appears once it is complete. Servers can ' +
      'keep running.',
    usage: '[--site KEY] [--from DAY] [--to DAY] [--format ndjson|csv] [--out FILE] [--skip-damaged]',
    flags: {
      site: 'only this site',
      from: 'only visits that started on this day (UTC) or later, such as 2026-11-20',
      to: 'only visits that started on this day or earlier',
      format: 'ndjson (the default): visits with all their events, for fieldmouse import; csv: counts per page and day',
      out: 'file to write to instead of standard output',
      'skip-damaged': 'leave out unreadable data and list it on standard error; the exit code is then 3',
    },
    examples: ['export > record.ndjson', 'export --site shop --format csv --out shop.csv'],
    check: checkExport,
    run: exportRecord,
  },
};

/** The columns of counts, in this order, and their headers, with units. */
const HEADERS = {
  views: 'views',
  visits: 'visits',
  clicks: 'clicks',
  moves: 'moves',
  ms: 'total_time_ms',
  depth: 'total_depth_px',
  measuredDepth: 'measured_depth_px',
  measuredHeight: 'measured_height_px',
} as const satisfies Record<keyof typeof NO_COUNTS, string>;
const COUNTS = Object.keys(HEADERS) as (keyof typeof HEADERS)[];

function checkExport({ flags }: Invocation): string[] {
  const faults: string[] = [];
  for (const name of ['site', 'from', 'to', 'format', 'out'] as const)
    if (flags[name].length > 1) faults.push(`--${name}: give it only once`);
  const [site = 'any'] = flags.site;
  const [from] = flags.from;
  const [to] = flags.to;
  const [format = 'ndjson'] = flags.format;
  if (!SITE_KEY.test(site)) faults.push(`--site: ${JSON.stringify(site)} is not a site key; see fieldmouse site list`);
  for (const [name, day] of [
    ['from', from],
    ['to', to],
  ] as const)
    if (day !== undefined && dayStart(day) === undefined)
      faults.push(`--${name}: ${JSON.stringify(day)} is not a day; it must look like 2026-11-20`);
  if (from !== undefined && to !== undefined && from > to) faults.push(`--from: ${from} is after --to ${to}`);
  if (format !== 'ndjson' && format !== 'csv') faults.push(`--format: ${JSON.stringify(format)} is not ndjson or csv`);
  if (flags.out[0] === '') faults.push('--out: needs the name of a file');
  return faults;
}

async function exportRecord(call: Invocation): Promise<ExitCode> {
  const { flags, config, io } = call;
  const missing = noStore(call);
  if (missing) return missing;
  const [out] = flags.out;
  if (out === undefined) return onStore((opened) => write(opened, io.data), ANY_SIZE)(call);
  const path = resolve(out);
  const fault = outFault(path, config.data);
  if (fault !== undefined) return refuseRunning(io, fault);
  const isWritten = (code: ExitCode) => code === 0 || code === 3;
  return writeWhole(
    path,
    (part) => {
      const to = () => createWriteStream(part, { mode: 0o600 });
      return onStore((opened) => write(opened, to()), ANY_SIZE)(call);
    },
    isWritten,
  );
}

async function write(call: StoreInvocation, to: Writable): Promise<ExitCode> {
  const { flags, store, io } = call;
  const { archive } = store;
  const no = await unknownSiteText(call);
  if (no !== undefined) return refuseRunning(io, no);
  // So that the export includes everything acked until now.
  await archive.compactAll();
  const bar = createBar(io.screen, 'exporting', flags.format[0] === 'csv' ? 'days' : 'visits');
  const range = await rangeOf(flags, archive);
  const leftOut = new LeftOutCounts(flags['skip-damaged'].length > 0);
  const lines =
    flags.format[0] === 'csv' ? countRows(archive, range, bar) : recordLines(archive, range, bar, leftOut.take);
  try {
    // Noted first: a reader that stops early has received some of the data.
    await noteReading(store, noted('exported', flags.site[0] ?? 'all sites'), io);
    await pipeline(Readable.from(lines), to, { end: to !== io.data });
    bar.end();
    return leftOut.tell(io);
  } catch (error) {
    // The reader has closed the pipe, as `head` does.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 0;
    throw error;
  } finally {
    bar.end();
  }
}

async function rangeOf({ site, from, to }: Invocation['flags'], archive: Archive): Promise<Range> {
  const sites = site[0] === undefined ? await archive.sites() : [site[0]];
  const last = dayStart(to[0] ?? '');
  return { sites, from: dayStart(from[0] ?? ''), to: last === undefined ? undefined : last + DAY_MS };
}

async function* recordLines(archive: Archive, range: Range, bar: Bar, onLeftOut: OnLeftOut): AsyncGenerator<string> {
  const total = await countVisits(archive, range);
  let [visits, runs] = [0, 0];
  yield `${headerLine(version, Date.now())}\n`;
  for (const site of range.sites)
    for await (const visit of visitsOf(archive, site, range, onLeftOut)) {
      yield `${visitLine(visit)}\n`;
      for await (const run of runsOf(archive, visit.id, onLeftOut)) {
        yield `${runLine(run)}\n`;
        runs += 1;
      }
      visits += 1;
      bar.show(visits, Math.max(total, visits));
    }
  yield `${endLine(visits, runs)}\n`;
}

async function* countRows(archive: Archive, range: Range, bar: Bar): AsyncGenerator<string> {
  yield CSV_BOM + csvRow(['site', 'day', 'page', ...Object.values(HEADERS)]);
  for (const site of range.sites) {
    const days = await archive.days(site, null, daysOf(range));
    for (const [i, { day }] of days.entries()) {
      const pages = await archive.pages(site, { from: day, to: day });
      for (const counts of pages) yield csvRow([site, day, counts.page, ...COUNTS.map((what) => counts[what])]);
      bar.show(i + 1, days.length);
    }
  }
}
