/** The theme: light, dark, or that of the system. It is stored in this browser. */
import { effect, signal } from '@preact/signals';
import { oneOf } from './readers.ts';
import { storedSetting, storeSetting } from './stored-setting.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

export const theme = signal<Theme>(storedSetting('theme', oneOf(THEMES)) ?? 'system');
/** Counts changes of the page's colours, so that canvases are redrawn. */
export const repaint = signal(0);

/** Applies the theme to the page, now and whenever it changes. */
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

/** Font size of the root, CSS pixels. Drawings scale with it. */
export function rem(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** The current value of a colour variable of base.css. */
export function colour(name: `--${string}`): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
