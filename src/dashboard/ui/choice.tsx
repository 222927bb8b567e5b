export interface ChoiceProps<T extends string> {
  label: string;
  /** Values and their labels. */
  options: readonly (readonly [T, string])[];
  value: T;
  choose: (value: T) => void;
}

/** Chooses one of a few options, all of which are visible. */
export function Choice<T extends string>({ label, options, value, choose }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend class="unseen">{label}</legend>
      {options.map(([one, name]) => (
        <button key={one} type="button" aria-pressed={one === value} onClick={() => choose(one)}>
          {name}
        </button>
      ))}
    </fieldset>
  );
}
