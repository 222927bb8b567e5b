import { useState } from 'preact/hooks';
import { api } from '../shell/api.ts';
import { leave, session } from '../shell/session.ts';
import { FormField } from '../ui/field.tsx';
import { ProblemText } from '../ui/problem.tsx';
import { useCall } from '../ui/use-call.ts';

const MIN_PASSWORD = 10;

/** The signed-in account: password and sign-out. */
export function Account() {
  const { problem, run, busy } = useCall();
  const signOut = async () => {
    if (await run(() => api.signOut())) leave(false);
  };
  return (
    <section class="card group" aria-labelledby="account-title">
      <div class="bar">
        <h2 id="account-title">Account</h2>
        <span class="muted">{session.value?.name}</span>
        <span class="gap" />
        <button type="button" disabled={busy} onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
      <ProblemText text={problem} />
      <Password />
    </section>
  );
}

function Password() {
  const has = session.value?.hasPassword ?? false;
  const [current, setCurrent] = useState('');
  const [password, setPassword] = useState('');
  const [done, setDone] = useState(false);
  const { busy, problem, run } = useCall();
  const save = async (event: Event) => {
    event.preventDefault();
    setDone(false);
    if (!(await run(() => api.setPassword(password, has ? current : undefined)))) return;
    setCurrent('');
    setPassword('');
    setDone(true);
    if (session.value) session.value = { ...session.value, hasPassword: true };
  };
  return (
    <form class="fields" onSubmit={save} data-form="password">
      <h3>{has ? 'Change password' : 'Set password'}</h3>
      <input type="hidden" name="username" autocomplete="username" value={session.value?.name ?? ''} />
      {has && (
        <FormField
          label="Current password"
          name="current"
          secret
          autocomplete="current-password"
          value={current}
          change={setCurrent}
        />
      )}
      <FormField
        label="New password"
        hint={`${MIN_PASSWORD} characters or more`}
        name="password"
        secret
        autocomplete="new-password"
        minLength={MIN_PASSWORD}
        value={password}
        change={setPassword}
      />
      <ProblemText text={problem} />
      {done && (
        <p class="done" role="status">
          Password saved. Your other sessions were signed out.
        </p>
      )}
      <div class="buttons">
        <button type="submit" class="primary" disabled={busy}>
          {has ? 'Change password' : 'Set password'}
        </button>
      </div>
    </form>
  );
}
