/** Light, dark, or what the system says; kept in this browser. */
import { effect, signal } from '@preact/signals';
import { oneOf } from './readers.ts';
import { storedSetting, storeSetting } from './stored-setting.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

export const theme = signal<Theme>(storedSetting('theme', oneOf(THEMES)) ?? 'system');
/** Counts changes of the colours on the page, whoever made them, so that canvases can follow. */
export const repaint = signal(0);

/** Puts the theme on the page and keeps it there. */
export function startTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    storeSetting('theme', theme.value);
    repaint.value = repaint.peek() + 1;
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    repaint.value += 1;
  });
}

/** The root's font size, CSS pixels: what is drawn grows with what is written. */
export function rem(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** The current value of a colour variable of base.css. */
export function colour(name: `--${string}`): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
