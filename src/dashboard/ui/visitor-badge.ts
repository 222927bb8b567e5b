/** What a visitor is called and painted as: the same on every screen, since it comes from the id alone. */
import { getOrInsert } from '../../lib/get-or-insert.ts';

export interface Badge {
  name: string;
  initials: string;
  /** CSS colour; white text is readable on it. */
  colour: string;
}

const FIRST =
  'Amber Bold Brisk Calm Clever Cosy Dapper Eager Fleet Gentle Golden Hazel Humble Jolly Keen Kind Lively Lucky Mellow Merry Mossy Nimble Patient Plucky Quiet Rosy Russet Silver Sunny Swift Velvet Witty'.split(
    ' ',
  );
const LAST =
  'Badger Beaver Bunting Cricket Curlew Dormouse Egret Finch Fox Grouse Hare Hedgehog Heron Jay Kestrel Lapwing Lark Linnet Marten Mole Newt Otter Owl Partridge Plover Robin Shrew Stoat Swallow Toad Vole Wren'.split(
    ' ',
  );
const HUES = 24;

/** The badge of a visitor's id; a label that a client gave itself takes the place of the name. */
export function badgeOf(id: string, label: string): Badge {
  const seed = hash(id);
  const name = label.trim() || `${FIRST[seed % 32]} ${LAST[(seed >>> 5) % 32]}`;
  const hue = ((seed >>> 10) % HUES) * (360 / HUES);
  return { name, initials: initialsOf(name), colour: `oklch(${(seed >>> 15) % 2 ? 0.54 : 0.47} 0.12 ${hue})` };
}

/** Names that a list keeps apart; beyond, the oldest are forgotten. A few megabytes. */
const MAX_NAMES = 50_000;

/** Gives the visitors of one list names that differ: who has the name of another gets a number, which comes from the id. */
export class Names {
  /** Whose each name is, by id. */
  readonly #owners = new Map<string, string>();

  /** The badge of a visitor in this list. The first to have a name keeps it. */
  badgeOf(id: string, label: string): Badge {
    const badge = badgeOf(id, label);
    let { name } = badge;
    for (let round = 0; (this.#owners.get(name) ?? id) !== id; round++)
      name = `${badge.name} ${2 + (hash(`${round} ${id}`) % (98 * 10 ** (round >> 3)))}`;
    this.#owners.set(name, id);
    if (this.#owners.size > MAX_NAMES) this.#owners.delete(this.#owners.keys().next().value as string);
    return { ...badge, name };
  }

  clear(): void {
    this.#owners.clear();
  }
}

/** By the keys of sites. */
const visitNames = new Map<string, Names>();

/**
 * The names of a site's visitors. All pages share them, so a visitor keeps its name until the dashboard is reloaded.
 */
export function visitNamesOf(site: string): Names {
  return getOrInsert(visitNames, site, () => new Names());
}

/** Two letters or digits at most: of the first and the last word, or of a single word its first and last. */
function initialsOf(name: string): string {
  const words = name.match(/[\p{L}\p{N}]+/gu) ?? [];
  const first = words[0];
  if (first === undefined) return '?';
  const signs = [...first];
  const last = words.length > 1 ? [...(words.at(-1) as string)][0] : signs.length > 1 ? signs.at(-1) : '';
  return `${signs[0]}${last}`.toUpperCase();
}

/** FNV-1a, then a mix so that neighbours such as `v1` and `v2` differ in every bit. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
