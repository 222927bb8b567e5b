import { api } from '../shell/api.ts';
import { ProblemText } from '../ui/problem.tsx';
import { ago, date } from '../ui/text.ts';
import { useList } from './use-list.ts';

/** Active sessions: one per signed-in browser. */
export function SignIns() {
  const { list, busy, problem, change } = useList(api.signIns);
  return (
    <section class="card group" aria-labelledby="sign-ins-title">
      <div class="bar">
        <h2 id="sign-ins-title">Active sessions</h2>
      </div>
      <ProblemText text={problem} />
      <ul class="items">
        {list?.map(({ id, name, agent, created, lastSeen, current }) => (
          <li key={id} class="item bar" data-session={id}>
            <div>
              <strong>{agent}</strong> {current && <span class="tag">this browser</span>}
              <p class="muted">
                {name} · signed in {date(created)} · last active {ago(Date.now() - lastSeen)}
              </p>
            </div>
            <span class="gap" />
            {!current && (
              <button
                type="button"
                class="small danger"
                disabled={busy}
                onClick={() => void change(() => api.endSignIn(id))}
              >
                End session
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
