/** What administrators sign in with, as the store keeps it and the dashboard lists it. Times are Unix ms. */
import type { Rights } from './rights.ts';

export interface Session {
  /** Names the session; cannot be turned back into what the cookie holds. */
  id: string;
  /** Of the administrator. */
  name: string;
  created: number;
  /** To within some minutes. */
  lastSeen: number;
  expires: number;
  /** The browser, in a few words. */
  agent: string;
}

/** An API token for programs. */
export interface Token extends Rights {
  id: string;
  /** What it is for. */
  name: string;
  created: number;
  /** To within some minutes; null: never used. */
  lastUsed: number | null;
}

/**
 * Names of administrators: up to 64 letters of any script (with the marks and joiners that some need), digits, single
 * spaces and `. _ - @ '`, so that they are safe in tables, logs and addresses. Letters that are blank are none.
 */
export const ADMIN_NAME =
  /^(?=.{1,64}$)(?!\p{DI})[\p{L}\p{N}](?: ?(?:(?![\u115f\u1160\u3164\uffa0])[\p{L}\p{M}\p{N}._@'’-]|\u180e|\u200c|\u200d))*$/u;

/**
 * The name among `admins` that reads like `name` but is written differently: in capitals, wide letters, with a joiner.
 */
export function lookAlike(admins: readonly { name: string }[], name: string): string | undefined {
  const key = readKey(name);
  return admins.find((one) => one.name !== name && readKey(one.name) === key)?.name;
}

/** Two names with the same key look the same, or differ in capitals only. */
function readKey(name: string): string {
  // By capitals first: ß and SS are one, and so are both small sigmas.
  return name
    .normalize('NFKC')
    .replace(/\p{DI}/gu, '')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC');
}

/** Scripts with letters that look like letters of another one of them. */
const ALIKE = ['Latin', 'Cyrillic', 'Greek', 'Armenian', 'Cherokee', 'Coptic', 'Lisu', 'Deseret', 'Osage'].map(
  (script) => new RegExp(`\\p{Script=${script}}`, 'u'),
);

/**
 * True of a name with a word whose letters are of several of these scripts, as `admin` with a Cyrillic `а`: it can be
 * read as another name. Words of one script may look alike all the same (`асе`, `ace`).
 */
export function mixesScripts(name: string): boolean {
  const words = name.normalize('NFKC').split(/[ ._@'’-]/);
  return words.some((word) => ALIKE.filter((script) => script.test(word)).length > 1);
}
