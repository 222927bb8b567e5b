export interface SpeedChooserProps {
  speeds: readonly number[];
  speed: number;
  choose: (speed: number) => void;
}

export function SpeedChooser({ speeds, speed, choose }: SpeedChooserProps) {
  return (
    <fieldset class="choice speeds">
      <legend class="unseen">Speed</legend>
      {speeds.map((one) => (
        <button key={one} type="button" aria-pressed={one === speed} onClick={() => choose(one)}>
          {one} ×
        </button>
      ))}
    </fieldset>
  );
}
