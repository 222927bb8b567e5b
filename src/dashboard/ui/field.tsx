import { useId } from 'preact/hooks';

export interface FieldProps {
  label: string;
  /** A few words more, in a smaller voice. */
  hint?: string;
  name: string;
  value: string;
  change: (value: string) => void;
  /** What is typed is not shown. */
  secret?: true;
  autocomplete?: 'username' | 'current-password' | 'new-password';
  autocapitalize?: 'none';
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  /** What the pattern asks for, in words; browsers add it to their complaint. */
  title?: string;
}

/** A labelled line of text that must not be empty. */
export function FormField({ label, hint, change, secret, ...rest }: FieldProps) {
  const id = useId();
  const onInput = (event: { currentTarget: HTMLInputElement }) => change(event.currentTarget.value);
  return (
    <label for={id}>
      {label} {hint && <span class="muted">{hint}</span>}
      {secret ? (
        <input {...rest} id={id} type="password" required onInput={onInput} />
      ) : (
        <input {...rest} id={id} type="text" required onInput={onInput} />
      )}
    </label>
  );
}
