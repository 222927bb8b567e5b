/**
 * Origin of a web address or of an app (`android-app://com.example`), or an empty string. It is cut out as text,
 * because `origin` of a URL is "null" except for web addresses, and because a page may have a variable named `URL`.
 */
export function originOf(address: string): string {
  return address.split(/[/?#]/, 3).join('/');
}
