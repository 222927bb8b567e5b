import type { Rights, Role } from '../../model/rights.ts';
import { sites } from '../shell/sites.ts';
import { Choice } from '../ui/choice.tsx';

const ROLES = [
  ['owner', 'Owner'],
  ['viewer', 'Viewer'],
] as const satisfies (readonly [Role, string])[];
const SITE_CHOICES = [
  ['all', 'All sites'],
  ['some', 'Selected sites'],
] as const;

export interface RightsFieldsProps {
  rights: Rights;
  change: (rights: Rights) => void;
}

/** Fields for a role, and for the sites that a viewer can see. */
export function RightsFields({ rights, change }: RightsFieldsProps) {
  const { role, sites: chosen } = rights;
  const toggle = (key: string, isOn: boolean) => {
    const others = (chosen ?? []).filter((one) => one !== key);
    change({ role, sites: isOn ? [...others, key] : others });
  };
  return (
    <div class="rights">
      <div class="bar">
        <Choice label="Role" options={ROLES} value={role} choose={(one) => change({ role: one, sites: null })} />
        <span class="muted">{role === 'owner' ? 'full access' : 'read-only access'}</span>
      </div>
      {role === 'viewer' && (
        <Choice
          label="Sites"
          options={SITE_CHOICES}
          value={chosen === null ? 'all' : 'some'}
          choose={(choice) => change({ role, sites: choice === 'all' ? null : [] })}
        />
      )}
      {chosen !== null && (
        <fieldset class="ticks">
          <legend class="unseen">Visible sites</legend>
          {sites.value.map(({ key, name }) => (
            <label key={key}>
              <input
                type="checkbox"
                checked={chosen.includes(key)}
                onChange={(event) => toggle(key, event.currentTarget.checked)}
              />
              {name} <code>{key}</code>
            </label>
          ))}
        </fieldset>
      )}
    </div>
  );
}

/** Short text for rights. */
export function RightsNote({ role, sites: chosen }: Rights) {
  if (role === 'owner') return <span class="tag">owner</span>;
  return (
    <>
      <span class="tag">viewer</span> {chosen === null ? 'of all sites' : `of ${chosen.join(', ') || 'no site'}`}
    </>
  );
}
