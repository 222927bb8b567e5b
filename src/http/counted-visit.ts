/** Decides which requests to the page-visit counter are visits of people. */
import type { IncomingHttpHeaders } from 'node:http';
import { isbot } from 'isbot';

/** Headers by which browsers say that the person may never see the page: old and new names of one header. */
const PURPOSES = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'];

/** True if a browser only prepares for a visit: `prefetch`, `prefetch;prerender`, `preview`. */
export function isPreparation(headers: IncomingHttpHeaders): boolean {
  return PURPOSES.some((name) => /\b(?:prefetch|prerender|preview)\b/i.test(String(headers[name] ?? '')));
}

/** Proxies that fetch an image each time a person looks at it, in a README or a mail. Matched by their whole name. */
const IMAGE_PROXIES: readonly RegExp[] = [
  /^github-camo(?: \([\da-f]+\))?$/,
  /^go-camo(?:[ /]v?\d[\w.-]*)?$/,
  /^Camo Asset Proxy(?: \d[\w.-]*)?$/i,
  /^imgproxy\/v?\d[\w.-]*$/i,
  /^Mozilla\/5\.0 \([^()]*\) [^()]*(?:\([^()]*\) [^()]*)?\(via ggpht\.com GoogleImageProxy\)$/,
  /^YahooMailProxy; https:\/\/help\.yahoo\.com\/\S+$/,
];

/** Browsers whose User-Agent does not start with Mozilla. */
const SMALL_BROWSERS =
  /^(?:Amaya|AmigaVoyager|Dillo|HotJava|iCab|Konqueror|NetSurf|OmniWeb|w3m)\/\d[\w.+-]*(?: \([^()]*\))?$/;

/** Phones before smartphones, and TVs. They list features in words that programs use, such as JavaPlatform. */
const OLD_DEVICE = /\bMIDP-\d|\bMAUI\b|\bUP\.Browser\/|\bHbbTV\/\d|\bNETTV\/\d|\bCE-HTML\/\d/i;
const PROGRAM_NAME = /(?:bot|crawler|spider)\b|https?:|@|compatible;/i;

/**
 * The part of a User-Agent that names the device: a phone may be called Spider 8, Discovery or XBot. Does not match
 * where a program names itself there, as in `compatible; Somebot/1.0; +https://…` or `Storebot-Google/1.0`.
 */
const DEVICE = new RegExp(
  '^((?:Opera/\\S+ NETTV/\\S+ )?Mozilla/5\\.0 ?)' +
    '\\((?=[^()]*\\b(?:Android|iPhone|iPad|iPod|webOS|Web0S|Tizen|Bada|KAIOS|SMART-TV|GoogleTV|CE-HTML|Windows Phone|BlackBerry|BB10' +
    '|Symbian|MeeGo|Maemo|OpenHarmony|HarmonyOS)\\b)' +
    '(?![^)]*(?:compatible;(?! MSIE)|https?:|@|-Google/))' +
    '(?:[^()]|\\([^()]*\\))*\\)',
  'i',
);

/** Names of browsers, and additions of apps, with a word that otherwise only programs use. */
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
  /\bGoogleTV\/\d+/g,
  /\bGoogle Earth\/[\d.]+/g,
  /\bcom\.google\.[\w.]+\/[\d.]+/g,
  /\bNetNewsWire\b/g,
  // What Google's servers append to the User-Agent of a browser that uses them as a proxy.
  /,gzip\(gfe\)(?:;GoogleHypersonic)?$/g,
];

/** True for a User-Agent that looks like a program's but is not. */
function isKnown(userAgent: string): boolean {
  if (IMAGE_PROXIES.some((proxy) => proxy.test(userAgent))) return true;
  return (SMALL_BROWSERS.test(userAgent) || OLD_DEVICE.test(userAgent)) && !PROGRAM_NAME.test(userAgent);
}

/** True for programs that fetch pages without a person: crawlers, link previews, monitors, libraries. */
export function isProgram(userAgent: string | undefined): boolean {
  if (userAgent === undefined || !isbot(userAgent)) return false;
  if (isKnown(userAgent)) return false;
  // isbot matches words, so it is asked again without the words that are only names.
  return isbot(
    NAMES.reduce((text, name) => text.replace(name, ''), userAgent.replace(DEVICE, '$1(Windows NT 10.0; Win64; x64)')),
  );
}
