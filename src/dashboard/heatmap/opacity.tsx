import { useState } from 'preact/hooks';
import type { HeatKind } from '../../model/heat.ts';
import { type ValueReader, within } from '../shell/readers.ts';
import { storedSetting, storeSetting } from '../shell/stored-setting.ts';

/** Default of each kind; a scroll map covers the whole page, so it is more transparent. */
const DEFAULTS: Record<HeatKind, number> = { move: 0.85, click: 0.85, scroll: 0.55 };

/** Reads a stored opacity: a number from 0 to 1, in digits. */
const opacity: ValueReader<number> = (value) =>
  typeof value === 'string' && /^[01](\.\d+)?$/.test(value) ? within(0, 1)(Number(value)) : undefined;

/** The opacity of a kind, from 0 to 1, and a function that changes it. It is stored in this browser. */
export function useOpacity(kind: HeatKind): [number, (value: number) => void] {
  const [, setRound] = useState(0);
  const key = `opacity.${kind}`;
  const change = (value: number) => {
    storeSetting(key, String(value));
    setRound((n) => n + 1);
  };
  return [storedSetting(key, opacity) ?? DEFAULTS[kind], change];
}

/** A slider for the opacity. */
export function Opacity({ value, change }: { value: number; change: (value: number) => void }) {
  return (
    <label class="switch">
      Opacity
      <input
        type="range"
        min={0}
        max={1}
        step={0.05}
        value={value}
        onInput={(event) => change(Number(event.currentTarget.value))}
      />
    </label>
  );
}
