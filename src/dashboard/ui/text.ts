/** Numbers and times as people read them. */
import type { LeaveReason, Visitor } from '../../model/visitor.ts';
import { isTimeValue } from '../shell/readers.ts';

/** Shown for invalid times and numbers. No function in this file throws, whatever its input is. */
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

/** Returns a function that formats Unix ms. It returns `UNKNOWN` for invalid times, for which Intl formats throw. */
function timeFormat(options: Intl.DateTimeFormatOptions): (t: number) => string {
  const format = new Intl.DateTimeFormat(undefined, options);
  return (t) => (isTimeValue(t) ? format.format(t) : UNKNOWN);
}

/** `08:05:09`. */
export const clock = timeFormat({ timeStyle: 'medium', hourCycle: 'h23' });
/** `08:05`. */
export const shortClock = timeFormat({ timeStyle: 'short', hourCycle: 'h23' });

/** `20 Nov`. */
export const shortDate = timeFormat({ day: 'numeric', month: 'short' });
/** The same, in UTC. */
export const dayNameText = timeFormat({ day: 'numeric', month: 'short', timeZone: 'UTC' });
/** `20 Nov 2026, 08:05`. */
export const date = timeFormat({ dateStyle: 'medium', timeStyle: 'short' });

/** Value of the `datetime` attribute of a `time` element: `2026-11-20T14:05:12.000Z`; undefined for an invalid time. */
export function isoTime(t: number): string | undefined {
  return isTimeValue(t) ? new Date(t).toISOString() : undefined;
}

/** Value of a `datetime-local` input: `2026-11-20T14:05:12` in the browser's time zone; empty for an invalid time. */
export function localTime(t: number): string {
  if (!isTimeValue(t)) return '';
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
  const twoDigits = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${twoDigits(m)}:${twoDigits(s)}` : `${m}:${twoDigits(s)}`;
}

const countries = new Intl.DisplayNames(undefined, { type: 'region', fallback: 'code' });

/** The name of a country by its two-letter code. Other texts are returned unchanged. */
export function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (countries.of(code) ?? code) : code;
}

/**
 * The two-letter codes of all countries and territories (ISO 3166-1, as of 2026), and XK, which Cloudflare and MaxMind
 * use for Kosovo.
 */
const COUNTRY_CODES =
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW'.split(
    ' ',
  );

/** Code and name of all countries, sorted by name. */
export function allCountries(): [code: string, name: string][] {
  const named = COUNTRY_CODES.map((code): [string, string] => [code, countryName(code)]);
  return named.sort(([, a], [, b]) => a.localeCompare(b));
}

/**
 * Decodes percent-encoded characters of a path. Characters that are invisible, change the direction of text or have a
 * meaning in a path stay encoded, and so do bytes that are not UTF-8.
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

/**
 * Control, format and space characters, except the plain space and the joiners that are used in words of some scripts.
 */
const HIDDEN = /(?![ \u200c\u200d])[\p{C}\p{Z}]/gu;

/** Shortens a text to at most `maxLength` characters: the middle of a longer text is cut out. */
export function cutMiddle(text: string, maxLength: number): string {
  const characters = [...text];
  if (characters.length <= maxLength) return text;
  const head = Math.ceil((maxLength - 1) / 2);
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - (maxLength - 1 - head)).join('')}`;
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

/** Shown for a visit that grew too large. */
export const TRUNCATED = 'Only part of this visit is recorded: it exceeded --max-visit-size.';
