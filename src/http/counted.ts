/** Which requests to the page-visit counter are visits of people. */
import type { IncomingHttpHeaders } from 'node:http';
import { isbot } from 'isbot';

/** How browsers say that a person may never see what they ask for: old and new names of one header. */
const PURPOSES = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'];

/** True if a browser only prepares for a visit: `prefetch`, `prefetch;prerender`, `preview`. */
export function isPreparation(headers: IncomingHttpHeaders): boolean {
  return PURPOSES.some((name) => /\b(?:prefetch|prerender|preview)\b/i.test(String(headers[name] ?? '')));
}

/** Proxies that fetch a picture each time a person looks at it: in a README, in a mail. */
const IMAGE_PROXIES =
  /^github-camo\b|^go-camo\b|\bcamo asset proxy\b|\bGoogleImageProxy\b|^YahooMailProxy\b|^imgproxy\//i;

/**
 * The part of a browser's name that says which device it is on: a phone may be called Spider 8, Discovery or XBot. Not where
 * a program names itself there, as `compatible; Somebot/1.0; +https://…` or `Storebot-Google/1.0`.
 */
const DEVICE = new RegExp(
  '^((?:Opera/\\S+ NETTV/\\S+ )?Mozilla/5\\.0 ?)' +
    '\\((?=[^()]*\\b(?:Android|iPhone|iPad|iPod|webOS|Web0S|Tizen|Bada|KAIOS|SMART-TV|GoogleTV|CE-HTML|Windows Phone|BlackBerry|BB10' +
    '|Symbian|MeeGo|Maemo|OpenHarmony|HarmonyOS)\\b)' +
    '(?![^)]*(?:compatible;(?! MSIE)|https?:|@|-Google/))' +
    '(?:[^()]|\\([^()]*\\))*\\)',
  'i',
);

/** Names of browsers, and of what apps add, with a word in them that only programs have elsewhere. */
const NAMES: readonly RegExp[] = [
  /\bSogou(?:MSE|MobileBrowser|Search)\b[^ ]*/g,
  /\bCE-HTML\/1\.0;?/gi,
  /\bProcess\/tools(?:mp)?\b/g,
  /\bOMI\/\S+/g,
  /\bchromeframe\/[\d.]+/g,
  /\bQQDownload [\d.]+/g,
  /\b(?:Apple|e)?News(?:Article)?\/[\d.]+/g,
  /\bInstagram [\d.]+ [^(]*\([^()]*\)/g,
  /\[FB[^\]]*\]/g,
  /\bJava\/Jbed\/[\d.]+/g,
];

/** True for programs that fetch pages without a person who looks: crawlers, link previews, monitors, libraries. */
export function isProgram(userAgent: string | undefined): boolean {
  if (userAgent === undefined || !isbot(userAgent)) return false;
  if (IMAGE_PROXIES.test(userAgent)) return false;
  // Its list goes by words, so it is asked again without those that are only names.
  return isbot(
    NAMES.reduce((text, name) => text.replace(name, ''), userAgent.replace(DEVICE, '$1(Windows NT 10.0; Win64; x64)')),
  );
}
