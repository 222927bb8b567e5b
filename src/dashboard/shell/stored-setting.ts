/** Settings stored in this browser. If storage is forbidden, nothing is stored and nothing fails. */
import type { ValueReader } from './readers.ts';

/** The value stored under a key; undefined if it is missing or unreadable: other scripts and people write there. */
export function storedSetting<T>(key: string, reader: ValueReader<T>): T | undefined {
  try {
    return reader(localStorage.getItem(`fieldmouse.${key}`));
  } catch {
    return undefined;
  }
}

/** Returns the value stored for this tab, and removes it. */
export function takeFromSession<T>(key: string, reader: ValueReader<T>): T | undefined {
  try {
    const value = reader(sessionStorage.getItem(`fieldmouse.${key}`));
    sessionStorage.removeItem(`fieldmouse.${key}`);
    return value;
  } catch {
    return undefined;
  }
}

export function storeInSession(key: string, value: string): void {
  try {
    sessionStorage.setItem(`fieldmouse.${key}`, value);
  } catch {}
}

export function storeSetting(key: string, value: string): void {
  try {
    localStorage.setItem(`fieldmouse.${key}`, value);
  } catch {}
}
