import { useState } from 'preact/hooks';
import type { Rights } from '../../model/rights.ts';
import type { AdminAnswer } from '../shell/answers.ts';
import { api } from '../shell/api.ts';
import { based } from '../shell/base.ts';
import { session } from '../shell/session.ts';
import { Confirm } from '../ui/confirm.tsx';
import { ProblemText } from '../ui/problem.tsx';
import { Copyable } from '../ui/snippet.tsx';
import { date } from '../ui/text.ts';
import { NamingForm } from './naming-form.tsx';
import { RightsFields, RightsNote } from './rights-fields.tsx';
import { useList } from './use-list.ts';
import { useOpener } from './use-opener.ts';

type Change = (work: () => Promise<unknown>) => Promise<boolean>;

/** People who can sign in, and their rights. */
export function People() {
  const { list, busy, problem, change } = useList(api.admins);
  const [link, setLink] = useState<{ name: string; url: string } | null>(null);
  const show = (name: string, token: string) => setLink({ name, url: location.origin + based(`/admin/link/${token}`) });
  return (
    <section class="card group" aria-labelledby="people-title">
      <div class="bar">
        <h2 id="people-title">People</h2>
        <span class="muted">owners have full access, viewers have read-only access</span>
      </div>
      <ProblemText text={problem} />
      {link && (
        <div class="secret" role="status">
          <p>
            Send this link to <strong>{link.name}</strong>. It works once and expires in 15 minutes.
          </p>
          <Copyable text={link.url} label={`Link for ${link.name}`} />
        </div>
      )}
      <ul class="items">
        {list?.map((admin) => (
          <Person key={admin.name} admin={admin} busy={busy} change={change} show={show} />
        ))}
      </ul>
      <NamingForm
        kind="person"
        maxLength={64}
        autocapitalize="none"
        action="Add person"
        busy={busy}
        make={(name, rights) => change(async () => show(name, await api.addAdmin(name, rights)))}
      />
    </section>
  );
}

interface PersonProps {
  admin: AdminAnswer;
  busy: boolean;
  change: Change;
  show: (name: string, token: string) => void;
}

function Person({ admin, busy, change, show }: PersonProps) {
  const [mode, setMode] = useState<'shown' | 'edit' | 'remove'>('shown');
  const opener = useOpener(mode === 'edit');
  const { name, created, hasPassword } = admin;
  const isSelf = name === session.value?.name;
  const remove = () => {
    setMode('shown');
    void change(() => api.removeAdmin(name));
  };
  return (
    <li class="item" data-person={name}>
      <div class="bar">
        <div>
          <strong>{name}</strong> {isSelf && <span class="tag">you</span>}
          <p class="muted">
            <RightsNote {...admin} /> · added {date(created)} · signs in with a {hasPassword ? 'password' : 'link'}
          </p>
        </div>
        <span class="gap" />
        <button
          type="button"
          class="small"
          disabled={busy}
          onClick={() => void change(async () => show(name, await api.addLink(name)))}
        >
          Create link
        </button>
        <button type="button" class="small" ref={opener} onClick={() => setMode('edit')}>
          Edit rights
        </button>
        <button type="button" class="small danger" onClick={() => setMode('remove')}>
          Remove
        </button>
      </div>
      {mode === 'edit' && <RightsForm admin={admin} busy={busy} change={change} close={() => setMode('shown')} />}
      {mode === 'remove' && (
        <Confirm
          title={`Remove ${name}?`}
          text={
            `${isSelf ? 'This is your own account. ' : ''}All sessions and open streams of ${name} end ` +
            'immediately.'
          }
          action="Remove"
          yes={remove}
          no={() => setMode('shown')}
        />
      )}
    </li>
  );
}

interface RightsFormProps {
  admin: AdminAnswer;
  busy: boolean;
  change: Change;
  close: () => void;
}

function RightsForm({ admin, busy, change, close }: RightsFormProps) {
  const [rights, setRights] = useState<Rights>({ role: admin.role, sites: admin.sites });
  const save = async (event: Event) => {
    event.preventDefault();
    if (await change(() => api.changeAdmin(admin.name, rights))) close();
  };
  return (
    <form class="fields" onSubmit={save} data-form="rights">
      <RightsFields rights={rights} change={setRights} />
      <div class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="primary" disabled={busy}>
          Save
        </button>
      </div>
    </form>
  );
}
