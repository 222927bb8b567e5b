import { useState } from 'preact/hooks';
import { OWNER, type Rights } from '../../model/rights.ts';
import { FormField } from '../ui/field.tsx';
import { RightsFields } from './rights-fields.tsx';

export interface NamingFormProps {
  /** What is to be made; it stands in names of the form's parts and in the label. */
  kind: 'person' | 'token';
  maxLength: number;
  autocapitalize?: 'none';
  /** The button's text. */
  action: string;
  busy: boolean;
  /** False if it was not made: what was filled in stays. */
  make: (name: string, rights: Rights) => Promise<boolean>;
}

/** Makes something that has a name and rights. */
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
