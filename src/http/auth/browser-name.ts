/** The order matters: most browsers also claim to be some of those further down. */
const BROWSERS: [RegExp, string][] = [
  [/\bEdgA?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\bHeadlessChrome\//, 'Headless Chrome'],
  [/\b(Chrome|CriOS)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];

const SYSTEMS: [RegExp, string][] = [
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

/** Names a browser by its User-Agent in words that a person recognises: `Firefox on Linux`. */
export function agentText(userAgent: string | undefined): string {
  const nameOf = (table: [RegExp, string][]) => table.find(([pattern]) => pattern.test(userAgent ?? ''))?.[1];
  const system = nameOf(SYSTEMS);
  const browser = nameOf(BROWSERS) ?? /^[\w.-]{1,40}/.exec(userAgent ?? '')?.[0] ?? 'unknown';
  return system ? `${browser} on ${system}` : browser;
}
