export interface PreviewSwitchProps {
  shown: boolean;
  choose: (shown: boolean) => void;
}

/** Whether the page itself is shown behind what moves or lies on it. */
export function PreviewSwitch({ shown, choose }: PreviewSwitchProps) {
  return (
    <label class="switch">
      <input type="checkbox" checked={shown} onChange={(event) => choose(event.currentTarget.checked)} />
      Show the page
    </label>
  );
}
