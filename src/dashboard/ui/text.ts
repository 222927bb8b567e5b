/** Numbers and times as people read them. */
import type { LeaveReason, Visitor } from '../../model/visitor.ts';
import { isTime } from '../shell/readers.ts';

/** What is shown for a time or a number that is none. No function here throws, whatever it is given. */
const UNKNOWN = '–';

/** `12 s`, `3 min`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return UNKNOWN;
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${numberText(Math.floor(hours / 24))} days`;
}

/** `just now`, `3 min ago`. */
export function ago(ms: number): string {
  return ms < 2000 ? 'just now' : `${duration(ms)} ago`;
}

/** A text of Unix ms; `UNKNOWN` for what no date can have, of which formats of Intl throw. */
function timeFormat(options: Intl.DateTimeFormatOptions): (t: number) => string {
  const format = new Intl.DateTimeFormat(undefined, options);
  return (t) => (isTime(t) ? format.format(t) : UNKNOWN);
}

/** `08:05:09`. */
export const clock = timeFormat({ timeStyle: 'medium', hourCycle: 'h23' });
/** `08:05`. */
export const shortClock = timeFormat({ timeStyle: 'short', hourCycle: 'h23' });

/** `20 Nov`. */
export const shortDate = timeFormat({ day: 'numeric', month: 'short' });
/** The same of a day of UTC. */
export const dayNameText = timeFormat({ day: 'numeric', month: 'short', timeZone: 'UTC' });
/** `20 Nov 2026, 08:05`. */
export const date = timeFormat({ dateStyle: 'medium', timeStyle: 'short' });

/** As the attribute of a `time` element has it: `2026-11-20T14:05:12.000Z`; undefined for what is no time. */
export function isoTime(t: number): string | undefined {
  return isTime(t) ? new Date(t).toISOString() : undefined;
}

/** As a `datetime-local` input has it: `2026-11-20T14:05:12` by this browser's clock; empty for what is no time. */
export function localTime(t: number): string {
  if (!isTime(t)) return '';
  return isoTime(t - new Date(t).getTimezoneOffset() * 60_000)?.slice(0, 19) ?? '';
}

const numbers = new Intl.NumberFormat();

/** `1 visitor`, `1,000 visitors`. */
export function countText(n: number, noun: string): string {
  return `${numberText(n)} ${noun}${n === 1 ? '' : 's'}`;
}

export function numberText(n: number): string {
  return Number.isFinite(n) ? numbers.format(n) : UNKNOWN;
}

/** Time of a player: `0:07`, `1:02:03`. */
export function playTime(ms: number): string {
  if (!Number.isFinite(ms)) return UNKNOWN;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const countries = new Intl.DisplayNames(undefined, { type: 'region', fallback: 'code' });

/** The name of a country by its two letters; what is none stays as it is. */
export function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (countries.of(code) ?? code) : code;
}

/**
 * The two letters of every country and territory (ISO 3166-1, as of 2026), and XK, which Cloudflare and MaxMind tell of
 * Kosovo.
 */
const COUNTRY_CODES =
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW'.split(
    ' ',
  );

/** Every country's two letters and name, in the order of the names. */
export function allCountries(): [code: string, name: string][] {
  const named = COUNTRY_CODES.map((code): [string, string] => [code, countryName(code)]);
  return named.sort(([, a], [, b]) => a.localeCompare(b));
}

/**
 * A path with its percent-encoded letters decoded. Characters that are invisible, change the
 * direction of text or have a meaning in a path stay encoded, as do bytes that are not UTF-8.
 */
export function readablePath(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => {
    try {
      return decodeURI(bytes).replace(HIDDEN, encodeURIComponent);
    } catch {
      return bytes;
    }
  });
}

/** Control, format and space characters, but for the plain space and the joiners that words of some scripts have. */
const HIDDEN = /(?![ \u200c\u200d])[\p{C}\p{Z}]/gu;

/** A text of at most `most` characters: of a longer one the middle is cut out. */
export function cutMiddle(text: string, most: number): string {
  const signs = [...text];
  if (signs.length <= most) return text;
  const head = Math.ceil((most - 1) / 2);
  return `${signs.slice(0, head).join('')}…${signs.slice(signs.length - (most - 1 - head)).join('')}`;
}

/** How a visitor left, as the end of a sentence. */
export const LEFT: Record<LeaveReason, string> = {
  closed: 'left',
  lost: 'lost the connection',
  refused: 'was rejected',
  server: 'was disconnected',
};

export const DEVICE: Record<Visitor['device'], string> = {
  phone: 'Phone',
  tablet: 'Tablet',
  desktop: 'Desktop',
  wide: 'Wide screen',
  unknown: 'Simple client',
};

/** Of a visit that grew too large. */
export const TRUNCATED = 'Only part of this visit is recorded: it exceeded --max-visit-size.';
