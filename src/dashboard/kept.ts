/** Small choices kept in this browser. Storage may be forbidden: then nothing is kept, and nothing breaks. */

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(`fieldmouse.${key}`);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(`fieldmouse.${key}`, value);
  } catch {}
}
