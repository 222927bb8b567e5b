/** Sessions and API tokens, as the store keeps them and the dashboard lists them. Times are Unix ms. */
import type { Rights } from './rights.ts';

export interface Session {
  /** Public id of the session. The cookie's secret cannot be derived from it. */
  id: string;
  /** Name of the administrator. */
  name: string;
  created: number;
  /** Accurate to some minutes. */
  lastSeen: number;
  expires: number;
  /** Short name of the browser. */
  agent: string;
}

/** An API token for programs. */
export interface Token extends Rights {
  id: string;
  /** What it is for. */
  name: string;
  created: number;
  /** Accurate to some minutes; null: never used. */
  lastUsed: number | null;
}

/**
 * Names of administrators: up to 64 letters of any script (with the marks and joiners that some need), digits, single
 * spaces and `. _ - @ '`, so that they are safe in tables, logs and addresses. Blank letters are not allowed.
 */
export const ADMIN_NAME =
  /^(?=.{1,64}$)(?!\p{DI})[\p{L}\p{N}](?: ?(?:(?![\u115f\u1160\u3164\uffa0])[\p{L}\p{M}\p{N}._@'’-]|\u180e|\u200c|\u200d))*$/u;

/**
 * Returns the name among `admins` that looks like `name` but is written differently: in capitals, wide letters, or with
 * a joiner. Undefined if there is none.
 */
export function lookAlike(admins: readonly { name: string }[], name: string): string | undefined {
  const key = readKey(name);
  return admins.find((one) => one.name !== name && readKey(one.name) === key)?.name;
}

/** Names with the same key look the same, or differ only in capitals. */
function readKey(name: string): string {
  // Capitals first, so that ß equals SS, and both small sigmas are equal.
  return name
    .normalize('NFKC')
    .replace(/\p{DI}/gu, '')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC');
}

/** Scripts with letters that look like letters of another one in this list. */
const SIMILAR_SCRIPTS = [
  'Latin',
  'Cyrillic',
  'Greek',
  'Armenian',
  'Cherokee',
  'Coptic',
  'Lisu',
  'Deseret',
  'Osage',
].map((script) => new RegExp(`\\p{Script=${script}}`, 'u'));

/**
 * Returns true if a word of the name mixes letters of several of these scripts. Such a name can be mistaken for another
 * one: `admin` with a Cyrillic `а`, for example. Words of a single script may still look alike (`асе`, `ace`).
 */
export function mixesScripts(name: string): boolean {
  const words = name.normalize('NFKC').split(/[ ._@'’-]/);
  return words.some((word) => SIMILAR_SCRIPTS.filter((script) => script.test(word)).length > 1);
}
