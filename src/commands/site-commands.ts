/** Commands on sites, whose pages may report. */
import { isLabel, tidy } from '../model/label.ts';
import { normalOrigin, ORIGIN_EXAMPLES, SITE_KEY, SITE_LIMIT } from '../model/site.ts';
import { noted } from './audit-commands.ts';
import {
  baseUrl,
  type Command,
  type ExitCode,
  type Invocation,
  NO_BASE_TEXT,
  onStore,
  onStoreIfSure,
  refuseRunning,
  type StoreInvocation,
  table,
  timeText,
} from './command.ts';
import { YES } from './flags.ts';

export const SITE_COMMANDS: Readonly<Record<string, Command>> = {
  'site add': {
    does: 'adds a site and prints the script tag for its pages',
    more: 'KEY identifies the site in that tag and in URLs: up to 40 of a-z, 0-9 and -.',
    usage: 'KEY --name NAME --origin ORIGIN …',
    takes: 'KEY',
    flags: {
      name: 'name shown in the dashboard',
      origin: `origin of its pages, such as ${ORIGIN_EXAMPLES}; may be repeated. self: this server`,
    },
    options: ['data', 'redis', 'scriptPath'],
    examples: ['site add shop --name "My shop" --origin https://shop.example'],
    check: checkSite,
    run: onStore(addSite),
  },
  'site list': {
    does: 'lists sites and when each had its first visitor',
    examples: ['site list'],
    run: onStore(listSites),
  },
  'site remove': {
    does: 'removes a site and its whole record',
    usage: 'KEY [--yes]',
    takes: 'KEY',
    flags: { yes: YES },
    examples: ['site remove shop'],
    run: onStoreIfSure((key) => `site ${key} and its whole record`, removeSite),
  },
};

function checkSite({ word, flags }: Invocation): string[] {
  const { name: names, origin: origins } = flags;
  const faults: string[] = [];
  if (word !== '' && !SITE_KEY.test(word))
    faults.push(`site add: ${JSON.stringify(word)} is not a site key; use up to 40 of a-z, 0-9 and -`);
  const [name = '', ...more] = names;
  if (more.length > 0 || !isLabel(name, SITE_LIMIT.name))
    faults.push(`--name: needs one name of up to ${SITE_LIMIT.name} visible characters, such as --name "My shop"`);
  if (origins.length === 0) faults.push('--origin: needs at least one, such as --origin https://www.example.org');
  if (origins.length > SITE_LIMIT.origins) faults.push(`--origin: give at most ${SITE_LIMIT.origins}`);
  for (const origin of origins)
    if (normalOrigin(origin) === undefined)
      faults.push(
        `--origin: ${JSON.stringify(origin)} is not an origin; it must look like ${ORIGIN_EXAMPLES}, or be self`,
      );
  return faults;
}

async function addSite(call: StoreInvocation): Promise<ExitCode> {
  const { word: key, flags, config, store, io } = call;
  const normal = [...new Set(flags.origin.map((origin) => normalOrigin(origin) as string))];
  const site = {
    key,
    name: tidy(flags.name[0] as string),
    origins: normal,
    created: Date.now(),
    firstSeen: null,
  };
  if (!(await store.addSite(site, noted('site-added', key)))) return refuseRunning(io, `site ${key} already exists`);
  const { base, isKnown } = await baseUrl(call);
  io.out(`Added site ${key}. Put this tag into its pages:`);
  io.out(`  <script defer src="${base}${config.scriptPath}" data-site="${key}"></script>`);
  io.out(isKnown ? 'Replace the address with the one under which visitors reach this server.' : NO_BASE_TEXT);
  return 0;
}

async function listSites({ store, io }: StoreInvocation): Promise<ExitCode> {
  const rows = (await store.sites()).map(({ key, name, firstSeen, origins }) => [
    key,
    name,
    firstSeen === null ? 'nobody yet' : timeText(firstSeen),
    origins.join(' '),
  ]);
  table(io, ['KEY', 'NAME', 'FIRST VISITOR', 'ORIGINS'], rows, 'No sites yet. Add one with: fieldmouse site add KEY');
  return 0;
}

async function removeSite({ word, store, io }: StoreInvocation): Promise<ExitCode> {
  if (!(await store.removeSite(word, Date.now(), noted('site-removed', word))))
    return refuseRunning(io, `there is no site ${word}; see fieldmouse site list`);
  io.out(`Removed site ${word}; its visits are deleted in the background.`);
  return 0;
}
