import { useId } from 'preact/hooks';

export interface FieldProps {
  label: string;
  /** Additional text beside the label, less prominent. */
  hint?: string;
  name: string;
  value: string;
  change: (value: string) => void;
  /** Hides the typed characters, as for a password. */
  secret?: true;
  autocomplete?: 'username' | 'current-password' | 'new-password';
  autocapitalize?: 'none';
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  /** The pattern in words. Browsers add it to their error message. */
  title?: string;
}

/** A required text field with a label. */
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
