import { useState } from 'preact/hooks';
import { api, type Token } from '../api.ts';
import { Copyable } from '../parts/snippet.tsx';
import { ago, date } from '../text.ts';
import { Confirm } from './confirm.tsx';
import { Problem } from './problem.tsx';
import { useList } from './use-list.ts';

/** Tokens for programs. A secret is shown once, when it is made. */
export function Tokens() {
  const { list, busy, problem, change } = useList(api.tokens);
  const [name, setName] = useState('');
  const [secret, setSecret] = useState<{ name: string; text: string } | null>(null);
  const [doomed, setDoomed] = useState<Token | null>(null);
  const add = (event: Event) => {
    event.preventDefault();
    void change(async () => {
      const made = await api.addToken(name.trim());
      setSecret({ name: made.name, text: made.secret });
      setName('');
    });
  };
  const revoke = ({ id }: Token) => {
    setDoomed(null);
    void change(() => api.revokeToken(id));
  };
  return (
    <section class="card group" aria-labelledby="tokens-title">
      <div class="bar">
        <h2 id="tokens-title">API tokens</h2>
        <span class="muted">for programs: Authorization: Bearer …</span>
      </div>
      <Problem text={problem} />
      {secret && (
        <div class="secret" role="status">
          <p>
            Copy the token <strong>{secret.name}</strong> now: it is not shown again.
          </p>
          <Copyable text={secret.text} label={`Token ${secret.name}`} />
        </div>
      )}
      <ul class="items">
        {list?.length === 0 && <li class="muted">No tokens.</li>}
        {list?.map((token) => (
          <li key={token.id} class="item bar" data-token={token.id}>
            <div>
              <strong>{token.name}</strong>
              <p class="muted">
                made {date(token.created)} ·{' '}
                {token.lastUsed === null ? 'never used' : `used ${ago(Date.now() - token.lastUsed)}`}
              </p>
            </div>
            <span class="gap" />
            <button type="button" class="small danger" disabled={busy} onClick={() => setDoomed(token)}>
              Revoke
            </button>
          </li>
        ))}
      </ul>
      <form class="fields inline" onSubmit={add} data-form="token">
        <label>
          Name of a new token
          <input
            name="token-name"
            required
            maxLength={100}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary" disabled={busy}>
          Make
        </button>
      </form>
      {doomed && (
        <Confirm
          title={`Revoke ${doomed.name}?`}
          text="Programs that use it are shut out at once."
          action="Revoke"
          yes={() => revoke(doomed)}
          no={() => setDoomed(null)}
        />
      )}
    </section>
  );
}
