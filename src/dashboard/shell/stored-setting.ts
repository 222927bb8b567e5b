/** Small choices kept in this browser. Storage may be forbidden: then nothing is kept, and nothing breaks. */
import type { ValueReader } from './readers.ts';

/** What was kept under a key; undefined if there is nothing, or nothing that can be read: other scripts and people write there, too. */
export function storedSetting<T>(key: string, reader: ValueReader<T>): T | undefined {
  try {
    return reader(localStorage.getItem(`fieldmouse.${key}`));
  } catch {
    return undefined;
  }
}

/** As `kept`, of what is kept for this tab only, and once. */
export function takeFromTab<T>(key: string, reader: ValueReader<T>): T | undefined {
  try {
    const value = reader(sessionStorage.getItem(`fieldmouse.${key}`));
    sessionStorage.removeItem(`fieldmouse.${key}`);
    return value;
  } catch {
    return undefined;
  }
}

export function keepInTab(key: string, value: string): void {
  try {
    sessionStorage.setItem(`fieldmouse.${key}`, value);
  } catch {}
}

export function storeSetting(key: string, value: string): void {
  try {
    localStorage.setItem(`fieldmouse.${key}`, value);
  } catch {}
}
