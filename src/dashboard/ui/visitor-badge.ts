/** Name and colour of a visitor. They derive from its id, so they are the same on every screen. */
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

/** The badge for a visitor's id. The label of a client replaces the name. */
export function badgeOf(id: string, label: string): Badge {
  const seed = hash(id);
  const name = label.trim() || `${FIRST[seed % 32]} ${LAST[(seed >>> 5) % 32]}`;
  const hue = ((seed >>> 10) % HUES) * (360 / HUES);
  return { name, initials: initialsOf(name), colour: `oklch(${(seed >>> 15) % 2 ? 0.54 : 0.47} 0.12 ${hue})` };
}

/** Maximum number of names that a list keeps unique, a few megabytes. Then the oldest are forgotten. */
const MAX_NAMES = 50_000;

/** Unique names for the visitors of a list. A visitor with the name of another gets a number, derived from its id. */
export class Names {
  /** Id of the visitor with each name. */
  readonly #owners = new Map<string, string>();

  /** The badge of a visitor in this list. The first visitor with a name keeps it. */
  badgeOf(id: string, label: string): Badge {
    const badge = badgeOf(id, label);
    let { name } = badge;
    for (let attempt = 0; (this.#owners.get(name) ?? id) !== id; attempt++)
      name = `${badge.name} ${2 + (hash(`${attempt} ${id}`) % (98 * 10 ** (attempt >> 3)))}`;
    this.#owners.set(name, id);
    if (this.#owners.size > MAX_NAMES) this.#owners.delete(this.#owners.keys().next().value as string);
    return { ...badge, name };
  }

  clear(): void {
    this.#owners.clear();
  }
}

/** Names by site key. */
const visitNames = new Map<string, Names>();

/**
 * The names of a site's visitors. All pages share them, so a visitor keeps its name until the dashboard is reloaded.
 */
export function visitNamesOf(site: string): Names {
  return getOrInsert(visitNames, site, () => new Names());
}

/** At most two letters or digits: of the first and the last word, or the first and last of a single word. */
function initialsOf(name: string): string {
  const words = name.match(/[\p{L}\p{N}]+/gu) ?? [];
  const first = words[0];
  if (first === undefined) return '?';
  const characters = [...first];
  const last = words.length > 1 ? [...(words.at(-1) as string)][0] : characters.length > 1 ? characters.at(-1) : '';
  return `${characters[0]}${last}`.toUpperCase();
}

/** FNV-1a, then a mix so that neighbours such as `v1` and `v2` differ in every bit. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
