import { useState } from 'preact/hooks';
import { OWNER, type Rights } from '../../model/rights.ts';
import { FormField } from '../ui/field.tsx';
import { RightsFields } from './rights-fields.tsx';

export interface NamingFormProps {
  /** What the form adds. It is part of field names and of the label. */
  kind: 'person' | 'token';
  maxLength: number;
  autocapitalize?: 'none';
  /** Text of the button. */
  action: string;
  busy: boolean;
  /** Returns false on failure. Then the form keeps its values. */
  make: (name: string, rights: Rights) => Promise<boolean>;
}

/** Adds a person or a token, with a name and rights. */
export function NamingForm({ kind, action, busy, make, ...field }: NamingFormProps) {
  const [name, setName] = useState('');
  const [rights, setRights] = useState<Rights>(OWNER);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!(await make(name.trim(), rights))) return;
    setName('');
    setRights(OWNER);
  };
  return (
    <form class="fields" onSubmit={submit} data-form={kind}>
      <FormField {...field} label={`Name of a new ${kind}`} name={`${kind}-name`} value={name} change={setName} />
      <RightsFields rights={rights} change={setRights} />
      <div class="buttons">
        <button type="submit" class="primary" disabled={busy}>
          {action}
        </button>
      </div>
    </form>
  );
}
