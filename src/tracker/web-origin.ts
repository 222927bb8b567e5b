/**
 * Origin of a web address, or of an app as `android-app://com.example`; empty if there is none. It is cut out as text:
 * `origin` of a URL is "null" for all but web addresses, and a page may have a variable named `URL`.
 */
export function originOf(address: string): string {
  return address.split(/[/?#]/, 3).join('/');
}
