import type { ShownPage } from './use-preview.ts';

/** Chooses whether the page is shown behind the pointers or the heatmap. */
export function PreviewSwitch({ wanted, choose }: ShownPage) {
  return (
    <label class="switch">
      <input type="checkbox" checked={wanted} onChange={(event) => choose(event.currentTarget.checked)} />
      Show the page
    </label>
  );
}
