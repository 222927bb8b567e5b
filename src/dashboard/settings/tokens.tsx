import { useState } from 'preact/hooks';
import type { Token } from '../../model/account.ts';
import { api } from '../shell/api.ts';
import { Confirm } from '../ui/confirm.tsx';
import { ProblemText } from '../ui/problem.tsx';
import { Copyable } from '../ui/snippet.tsx';
import { ago, date } from '../ui/text.ts';
import { NamingForm } from './naming-form.tsx';
import { RightsNote } from './rights-fields.tsx';
import { useList } from './use-list.ts';

/** Tokens for programs. A secret is shown only once, after it has been created. */
export function Tokens() {
  const { list, busy, problem, change } = useList(api.tokens);
  const [made, setMade] = useState<(Token & { secret: string }) | null>(null);
  const revoke = async (id: string) => {
    await api.revokeToken(id);
    setMade((one) => (one?.id === id ? null : one));
  };
  return (
    <section class="card group" aria-labelledby="tokens-title">
      <div class="bar">
        <h2 id="tokens-title">API tokens</h2>
        <span class="muted">for programs, sent as Authorization: Bearer …</span>
      </div>
      <ProblemText text={problem} />
      {made && (
        <div class="secret" role="status">
          <p>
            Copy the token <strong>{made.name}</strong> now. It is not shown again.
          </p>
          <Copyable text={made.secret} label={`Token ${made.name}`} />
        </div>
      )}
      <ul class="items">
        {list?.length === 0 && <li class="muted">No tokens.</li>}
        {list?.map((token) => (
          <TokenItem key={token.id} token={token} revoke={() => void change(() => revoke(token.id))} />
        ))}
      </ul>
      <NamingForm
        kind="token"
        maxLength={100}
        action="Create token"
        busy={busy}
        make={(name, rights) => change(async () => setMade(await api.addToken(name, rights)))}
      />
    </section>
  );
}

function TokenItem({ token, revoke }: { token: Token; revoke: () => void }) {
  const [isAsking, setAsking] = useState(false);
  const { id, name, created, lastUsed } = token;
  return (
    <li class="item bar" data-token={id}>
      <div>
        <strong>{name}</strong>
        <p class="muted">
          <RightsNote {...token} /> · created {date(created)} ·{' '}
          {lastUsed === null ? 'never used' : `last used ${ago(Date.now() - lastUsed)}`}
        </p>
      </div>
      <span class="gap" />
      <button type="button" class="small danger" onClick={() => setAsking(true)}>
        Revoke
      </button>
      {isAsking && (
        <Confirm
          title={`Revoke ${name}?`}
          text="Programs that use it lose access immediately."
          action="Revoke"
          yes={() => {
            setAsking(false);
            revoke();
          }}
          no={() => setAsking(false)}
        />
      )}
    </li>
  );
}
