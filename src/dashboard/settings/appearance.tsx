import { THEMES, theme } from '../shell/theme.ts';

export function Appearance() {
  return (
    <section class="card group" aria-labelledby="appearance-title">
      <h2 id="appearance-title">Appearance</h2>
      <fieldset class="choice">
        <legend class="unseen">Theme</legend>
        {THEMES.map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={theme.value === one}
            onClick={() => {
              theme.value = one;
            }}
          >
            {one === 'system' ? 'System' : one === 'light' ? 'Light' : 'Dark'}
          </button>
        ))}
      </fieldset>
    </section>
  );
}
