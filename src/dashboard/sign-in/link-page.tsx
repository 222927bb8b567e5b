import { useEffect, useState } from 'preact/hooks';
import { ApiError, api } from '../shell/api.ts';
import { leaveSignIn } from '../shell/route.ts';
import { enter } from '../shell/session.ts';
import { Logo } from '../ui/icons.tsx';
import { ProblemText } from '../ui/problem.tsx';

/**
 * The page of a one-time link. Opening the page does not use the link: chat programs and mail scanners open links too.
 * A button uses it.
 */
export function LinkPage({ token }: { token: string }) {
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = 'Sign in · Fieldmouse';
  }, []);
  const use = async () => {
    setBusy(true);
    setProblem('');
    try {
      enter(await api.signInByLink(token));
      leaveSignIn();
    } catch (error) {
      setProblem(explain(error));
      setBusy(false);
    }
  };
  return (
    <main class="gate">
      <div class="card gate-card">
        <Logo />
        <h1>Welcome to Fieldmouse</h1>
        <p>This link signs you in. It works once.</p>
        <ProblemText text={problem} />
        <button type="button" class="primary" disabled={busy} onClick={() => void use()}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
        <p class="muted">
          Have a password? <a href="/admin/sign-in">Sign in with your password</a> instead.
        </p>
      </div>
    </main>
  );
}

function explain(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401)
    return (
      'This link was already used or has expired. To get a new one, run `npx fieldmouse admin add NAME` on the ' +
      'server.'
    );
  return error.message;
}
