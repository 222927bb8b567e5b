import type { ShownPage } from './use-preview.ts';

/** Whether the page itself is shown behind what moves or lies on it. */
export function PreviewSwitch({ wanted, choose }: ShownPage) {
  return (
    <label class="switch">
      <input type="checkbox" checked={wanted} onChange={(event) => choose(event.currentTarget.checked)} />
      Show the page
    </label>
  );
}
