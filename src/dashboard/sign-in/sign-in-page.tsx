import { useEffect, useState } from 'preact/hooks';
import { ApiError, api } from '../shell/api.ts';
import { ended, enter } from '../shell/session.ts';
import { FormField } from '../ui/field.tsx';
import { Logo } from '../ui/icons.tsx';
import { ProblemText } from '../ui/problem.tsx';
import { duration } from '../ui/text.ts';

/** Sign-in with name and password, and help for people without a password. */
export function SignInPage() {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = 'Sign in · Fieldmouse';
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem('');
    try {
      enter(await api.signIn(name.trim(), password));
    } catch (error) {
      setProblem(explain(error));
      setPassword('');
    }
    setBusy(false);
  };
  return (
    <main class="gate">
      <form class="card gate-card" onSubmit={submit}>
        <Logo />
        <h1>Sign in to Fieldmouse</h1>
        {ended.value && !problem && <p role="status">Your session has ended. Please sign in again.</p>}
        <FormField
          label="Name"
          name="username"
          autocomplete="username"
          autocapitalize="none"
          value={name}
          change={setName}
        />
        <FormField
          label="Password"
          name="password"
          secret
          autocomplete="current-password"
          value={password}
          change={setPassword}
        />
        <ProblemText text={problem} />
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
        <p class="muted">
          No password yet? Run <code>npx fieldmouse admin add NAME</code> on the server. It prints a one-time link. Sign
          in with it, then set a password in Settings.
        </p>
      </form>
    </main>
  );
}

function explain(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) return 'The name or password is wrong.';
  if (error.status === 429)
    return (
      `Too many attempts. Try again in ${duration((error.retryAfter ?? 60) * 1000)}, or sign in with a one-time ` +
      'link.'
    );
  return error.message;
}
