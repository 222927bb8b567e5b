/** Commands on accounts: administrators and API tokens. */

import { ADMIN_NAME, lookAlike, mixesScripts } from '../model/account.ts';
import { isLabel, tidy } from '../model/label.ts';
import { OWNER, rightsText } from '../model/rights.ts';
import type { AdminOutcome } from '../store/contract.ts';
import { noted } from './audit-commands.ts';
import {
  baseUrl,
  type Command,
  type ExitCode,
  type Invocation,
  NO_BASE_TEXT,
  onStore,
  refuseRunning,
  type StoreInvocation,
  table,
  timeText,
} from './command.ts';
import { checkRights, isGiven, rightsFromFlags, sitesText, unknownSiteText } from './rights-flags.ts';

const RIGHTS = '[--role owner|viewer] [--site KEY …]';
const RIGHTS_FLAGS = {
  role: 'owner (the default): full access; viewer: read-only access',
  site: 'a site that a viewer can see; may be repeated. Without it: all sites',
} as const;

export const ACCOUNT_COMMANDS: Readonly<Record<string, Command>> = {
  'admin add': {
    does: 'adds an administrator, or gives one a new sign-in link',
    more: 'The link works once, for 15 minutes. An existing administrator keeps their rights; admin set changes them.',
    usage: `NAME ${RIGHTS}`,
    takes: 'NAME',
    flags: RIGHTS_FLAGS,
    examples: ['admin add ada', 'admin add bob --role viewer --site shop'],
    check: checkAdmin,
    run: onStore(normalised(addAdmin)),
  },
  'admin set': {
    does: 'changes what an administrator may do and see',
    more:
      'Options you omit keep their value. The change takes effect at once: streams of other sites end. The last ' +
      'owner remains an owner.',
    usage: `NAME ${RIGHTS}`,
    takes: 'NAME',
    flags: {
      role: 'owner: full access; viewer: read-only access',
      site: "a site that a viewer can see; may be repeated. '*': all sites",
    },
    examples: ['admin set bob --role viewer --site shop', "admin set bob --site '*'"],
    check: checkChange,
    run: onStore(normalised(setAdmin)),
  },
  'admin reset': {
    does: 'removes a forgotten password and prints a sign-in link',
    more: 'All sessions and streams of the administrator end. The link works once, for 15 minutes.',
    usage: 'NAME',
    takes: 'NAME',
    examples: ['admin reset ada'],
    run: onStore(normalised(resetAdmin)),
  },
  'admin list': {
    does: 'lists administrators and their rights',
    examples: ['admin list'],
    run: onStore(listAdmins),
  },
  'admin remove': {
    does: 'removes an administrator',
    more: 'All sessions and streams of the administrator end. The last owner cannot be removed.',
    usage: 'NAME',
    takes: 'NAME',
    examples: ['admin remove bob'],
    run: onStore(normalised(removeAdmin)),
  },
  'token add': {
    does: 'creates an API token for programs and prints it',
    more: 'The token is shown only once: the server stores its hash.',
    usage: `NAME ${RIGHTS}`,
    takes: 'NAME',
    flags: RIGHTS_FLAGS,
    examples: ['token add builds', 'token add report --role viewer --site shop'],
    check: checkToken,
    run: onStore(normalised(addToken)),
  },
  'token list': {
    does: 'lists API tokens and when each was last used',
    examples: ['token list'],
    run: onStore(listTokens),
  },
  'token revoke': {
    does: 'revokes an API token and ends its streams',
    usage: 'ID',
    takes: 'ID',
    examples: ['token revoke 0123456789ab'],
    run: onStore(revokeToken),
  },
};

/** Wraps a command so that it gets its name argument normalised. */
function normalised(run: (call: StoreInvocation) => Promise<ExitCode>): (call: StoreInvocation) => Promise<ExitCode> {
  return (call) => run({ ...call, word: tidy(call.word) });
}

function checkAdmin({ word, flags }: Invocation): string[] {
  const faults = checkRights(flags, OWNER);
  if (word !== '' && !ADMIN_NAME.test(word))
    faults.push(
      `admin add: ${JSON.stringify(word)} is not a valid name; use up to 64 letters, digits, single spaces and ` +
        `. _ - @ '`,
    );
  return faults;
}

async function addAdmin(call: StoreInvocation): Promise<ExitCode> {
  const { word, flags, store, io } = call;
  const no = await unknownSiteText(call);
  if (no !== undefined) return refuseRunning(io, no);
  const known = lookAlike(await store.admins(), word);
  if (known !== undefined)
    return refuseRunning(io, `${word} looks like the existing administrator ${known}; choose another name`);
  if (mixesScripts(word) && (await store.admin(word)) === undefined)
    return refuseRunning(
      io,
      `${word} mixes scripts with letters that look alike in one word; write each word in one script`,
    );
  const rights = rightsFromFlags(flags, OWNER);
  const note = noted('admin-added', `${word}, ${rightsText(rights)}`);
  const isNew = await store.addAdmin(word, Date.now(), rights, note);
  if (!isNew && isGiven(flags))
    return refuseRunning(io, `administrator ${word} already exists; change its rights with fieldmouse admin set`);
  io.out(isNew ? `Added administrator ${word}.` : `Administrator ${word} already exists.`);
  return printLink(call);
}

function checkChange({ flags }: Invocation): string[] {
  return isGiven(flags) ? checkRights(flags, undefined) : ['admin set: needs --role, --site, or both'];
}

/** Options that are omitted keep their value. */
async function setAdmin(call: StoreInvocation): Promise<ExitCode> {
  const { word, flags, store, io } = call;
  const admin = await store.admin(word);
  if (admin === undefined) return refuseRunning(io, `there is no administrator ${word}`);
  const faults = checkRights(flags, admin);
  const no = faults[0] ?? (await unknownSiteText(call));
  if (no !== undefined) return refuseRunning(io, no);
  const rights = rightsFromFlags(flags, admin);
  const late = refusal(
    word,
    await store.setRights(word, rights, noted('admin-changed', `${word}, ${rightsText(rights)}`)),
  );
  if (late !== undefined) return refuseRunning(io, late);
  io.out(`Administrator ${word} is now ${rightsText(rights)}; streams of other sites end.`);
  return 0;
}

async function resetAdmin(call: StoreInvocation): Promise<ExitCode> {
  const { word, store, io } = call;
  if (!(await store.setPassword(word, null, noted('password-reset', word))))
    return refuseRunning(io, `there is no administrator ${word}`);
  await store.removeSessions(word, undefined);
  io.out(`Removed the password of administrator ${word}; open sessions and streams end.`);
  return printLink(call);
}

async function printLink(call: StoreInvocation): Promise<ExitCode> {
  const { word, store, io } = call;
  const link = await store.addLink(word, Date.now(), noted('link-made', word));
  const { base, isKnown } = await baseUrl(call);
  io.out('Sign in with this link; it works once, for 15 minutes:');
  io.out(`  ${base}/admin/link/${link}`);
  io.out(
    isKnown
      ? "From another machine, replace the server's address with the one under which you reach it."
      : NO_BASE_TEXT,
  );
  return 0;
}

async function listAdmins({ store, io }: StoreInvocation): Promise<ExitCode> {
  const rows = (await store.admins()).map(({ name, password, created, role, sites }) => [
    name,
    timeText(created),
    password === null ? 'by link only' : 'by password',
    role,
    sitesText(sites),
  ]);
  table(
    io,
    ['NAME', 'ADDED', 'SIGNS IN', 'ROLE', 'SITES'],
    rows,
    'No administrators yet. Add one with: fieldmouse admin add NAME',
  );
  return 0;
}

async function removeAdmin({ word, store, io }: StoreInvocation): Promise<ExitCode> {
  const no = refusal(word, await store.removeAdmin(word, noted('admin-removed', word)));
  if (no !== undefined) return refuseRunning(io, no);
  io.out(`Removed administrator ${word}; open sessions and streams end.`);
  return 0;
}

/** Why nothing was changed; undefined on success. */
function refusal(name: string, outcome: AdminOutcome): string | undefined {
  if (outcome === 'unknown') return `there is no administrator ${name}`;
  return outcome === 'last-owner' ? `${name} is the last owner; make another administrator an owner first` : undefined;
}

function checkToken({ word, flags }: Invocation): string[] {
  const faults = checkRights(flags, OWNER);
  if (word !== '' && !isLabel(word, 100))
    faults.push(`token add: ${JSON.stringify(word)} is not a valid name; use up to 100 visible characters on one line`);
  return faults;
}

async function addToken(call: StoreInvocation): Promise<ExitCode> {
  const { word, flags, store, io } = call;
  const no = await unknownSiteText(call);
  if (no !== undefined) return refuseRunning(io, no);
  const rights = rightsFromFlags(flags, OWNER);
  const note = noted('token-made', `${word}, ${rightsText(rights)}`);
  const { secret, token } = await store.addToken(word, Date.now(), rights, note);
  io.out(`Created token ${token.id} (${word}) for ${rightsText(token)}. It is shown only once:`);
  io.out(`  ${secret}`);
  return 0;
}

async function listTokens({ store, io }: StoreInvocation): Promise<ExitCode> {
  const rows = (await store.tokens()).map(({ id, name, created, lastUsed, role, sites }) => [
    id,
    name,
    timeText(created),
    lastUsed === null ? 'never' : timeText(lastUsed),
    role,
    sitesText(sites),
  ]);
  table(
    io,
    ['ID', 'NAME', 'CREATED', 'LAST USED', 'ROLE', 'SITES'],
    rows,
    'No tokens yet. Create one with: fieldmouse token add NAME',
  );
  return 0;
}

async function revokeToken({ word, store, io }: StoreInvocation): Promise<ExitCode> {
  const name = (await store.tokens()).find(({ id }) => id === word)?.name ?? '';
  if (!(await store.removeToken(word, noted('token-revoked', name))))
    return refuseRunning(io, `there is no token ${word}; see fieldmouse token list`);
  io.out(`Revoked token ${word}; its streams end.`);
  return 0;
}
