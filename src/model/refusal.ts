/** Visitors that were not accepted, so that an owner who sets up a site sees why. Never a path or an address. */
import { DAY_MS } from './day.ts';
import { isLabel, tidy } from './label.ts';

/** Reasons that have to do with the site or its setup. `protocol/problems.ts` explains them. */
const REASONS = ['origin-not-allowed', 'unknown-site', 'address-full', 'address-fast', 'worker-full'] as const;
export type RefusalReason = (typeof REASONS)[number];

/** Refused connections and POSTs of one origin, for one reason. */
export interface Refusal {
  /** Key of the site. For `unknown-site` the key that was given, which may be empty. */
  site: string;
  /** `scheme://host[:port]`, `null` for a sandboxed frame or a file, or empty if it is unknown. */
  origin: string;
  reason: RefusalReason;
  count: number;
  /** Time of the last one, Unix ms. */
  last: number;
}

/** Of each site, the latest `origins` of the last `keptMs` are kept. The same holds for unknown keys together. */
export const REFUSALS_KEPT = { origins: 20, keptMs: 7 * DAY_MS } as const;

/** Longer keys of unknown sites are cut. A site's key has at most as many characters. */
const MAX_KEY = 40;
/** RFC 6454 section 6.2. A host name has at most 253 characters. */
const ORIGIN = /^[a-z][a-z0-9+.-]{0,30}:\/\/[a-z0-9._:[\]-]{1,260}$/;

export function isRefusalReason(code: string): code is RefusalReason {
  return (REASONS as readonly string[]).includes(code);
}

/** Returns a refusal without what must not be kept or shown: a client may claim any key and any origin. */
export function refusalOf(site: string, origin: string | undefined, reason: RefusalReason, now: number): Refusal {
  const key = tidy(site.slice(0, MAX_KEY));
  const isSound = origin === 'null' || ORIGIN.test(origin ?? '');
  return {
    site: isLabel(key, MAX_KEY) ? key : '',
    origin: isSound ? (origin as string) : '',
    reason,
    count: 1,
    last: now,
  };
}

/** Adds refusals to others of the same site, or to others of unknown sites. Returns those to keep, the latest first. */
export function addRefusals(known: readonly Refusal[], more: readonly Refusal[], now: number): Refusal[] {
  const all = new Map<string, Refusal>();
  for (const one of [...known, ...more]) {
    const { count = 0, last = 0 } = all.get(refusalKey(one)) ?? {};
    all.set(refusalKey(one), { ...one, count: count + one.count, last: Math.max(last, one.last) });
  }
  const recent = [...all.values()].filter((one) => isRecent(one, now)).sort((a, b) => b.last - a.last);
  const names = new Set([...new Set(recent.map(nameOf))].slice(0, REFUSALS_KEPT.origins));
  return recent.filter((one) => names.has(nameOf(one)));
}

export function isRecent({ last }: Refusal, now: number): boolean {
  return last > now - REFUSALS_KEPT.keptMs;
}

/** The same for refusals that are counted together. */
export function refusalKey(one: Refusal): string {
  return `${nameOf(one)} ${one.reason}`;
}

/** An origin, or the key of an unknown site with its origin. */
function nameOf({ site, origin }: Refusal): string {
  return `${site} ${origin}`;
}
