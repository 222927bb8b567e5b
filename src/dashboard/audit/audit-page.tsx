import { useCallback, useEffect, useState } from 'preact/hooks';
import { AUDIT_ACTIONS, type AuditAction, type AuditEntry } from '../../model/audit.ts';
import { api } from '../shell/api.ts';
import { NotFound } from '../shell/not-found.tsx';
import { address, go, query } from '../shell/route.ts';
import { isOwner } from '../shell/session.ts';
import { Failed } from '../ui/failed.tsx';
import { countText, date, isoTime } from '../ui/text.ts';
import { useCall } from '../ui/use-call.ts';

/** An empty part can be followed by others. Maximum number of requests in a row until one returns entries. */
const MAX_REQUESTS = 5;

interface State {
  list: readonly AuditEntry[];
  /** Cursor of the next part; undefined before the first response, null after the last part. */
  next: string | null | undefined;
}

const NONE: State = { list: [], next: undefined };

/** The audit trail, for owners only. */
export function AuditPage() {
  return isOwner.value ? <AuditTrail /> : <NotFound />;
}

/** Sign-ins and changes, with the people who made them, newest first. */
function AuditTrail() {
  useEffect(() => {
    document.title = 'Audit trail · Fieldmouse';
  }, []);
  const who = query.value.get('who') ?? '';
  const what = AUDIT_ACTIONS.find((one) => one === query.value.get('what'));
  const { state, busy, problem, more } = useTrail(who, what);
  return (
    <main class="counts" aria-busy={busy}>
      <div class="bar">
        <h1>Audit trail</h1>
        <span class="gap" />
        <a class="button small" href="/admin/settings">
          Settings
        </a>
      </div>
      <section class="card" aria-label="Audit trail">
        <Filters who={who} what={what} />
        {state.list.length > 0 && <Table list={state.list} />}
        {problem && <Failed problem={problem} again={more} />}
        {!problem && state.next === undefined && <p class="hint">Loading…</p>}
        {!problem && typeof state.next === 'string' && (
          <div class="more-box">
            <button type="button" disabled={busy} onClick={more}>
              Load more
            </button>
          </div>
        )}
        {!problem && state.next === null && <EndOfList isEmpty={state.list.length === 0} isAll={!who && !what} />}
      </section>
    </main>
  );
}

function useTrail(who: string, what: AuditAction | undefined) {
  const [state, setState] = useState<State>(NONE);
  const { busy, failure: problem, run } = useCall(true);
  const load = useCallback(
    (before: State, isOld: () => boolean) =>
      run(async () => {
        const part = await nextPart({ who, what }, before.next ?? null);
        if (!isOld()) setState({ list: [...before.list, ...part.entries], next: part.next });
      }),
    [who, what, run],
  );
  useEffect(() => {
    let isOld = false;
    setState(NONE);
    void load(NONE, () => isOld);
    return () => {
      isOld = true;
    };
  }, [load]);
  return { state, busy, problem, more: () => void load(state, () => false) };
}

/** Loads parts after a cursor until one is not empty, at most MAX_REQUESTS. */
async function nextPart(filter: { who: string; what: AuditAction | undefined }, after: string | null) {
  let part = await api.audit({ ...filter, after });
  for (let i = 1; i < MAX_REQUESTS && part.entries.length === 0 && part.next !== null; i++)
    part = await api.audit({ ...filter, after: part.next });
  return part;
}

function choose(values: Record<string, string>): void {
  go(address('/admin/audit', { ...Object.fromEntries(query.peek()), ...values }), true);
}

function Filters({ who, what }: { who: string; what: AuditAction | undefined }) {
  return (
    <div class="bar filters">
      <input
        type="text"
        class="filter"
        aria-label="User"
        placeholder="User"
        maxLength={200}
        spellcheck={false}
        value={who}
        onChange={(event) => choose({ who: event.currentTarget.value.trim() })}
      />
      <select
        class="filter"
        aria-label="Action"
        value={what ?? ''}
        onChange={(event) => choose({ what: event.currentTarget.value })}
      >
        <option value="">Any action</option>
        {AUDIT_ACTIONS.map((one) => (
          <option key={one} value={one}>
            {WORDS[one]}
          </option>
        ))}
      </select>
      {(who || what) && (
        <button type="button" class="small" onClick={() => choose({ who: '', what: '' })}>
          Clear filters
        </button>
      )}
    </div>
  );
}

const WORDS: Record<AuditAction, string> = {
  'signed-in': 'Signed in',
  'sign-in-refused': 'Sign-in refused',
  'signed-out': 'Signed out',
  'session-ended': 'Session ended',
  'password-set': 'Password set',
  'password-reset': 'Password reset',
  'admin-added': 'Person added',
  'admin-changed': 'Person changed',
  'admin-removed': 'Person removed',
  'link-made': 'Link created',
  'token-made': 'Token created',
  'token-revoked': 'Token revoked',
  'site-added': 'Site added',
  'site-changed': 'Site changed',
  'site-removed': 'Site removed',
  'visit-erased': 'Visit deleted',
  'hits-removed': 'Hits removed',
  exported: 'Exported',
  imported: 'Imported',
  'backed-up': 'Backed up',
  restored: 'Restored',
  'options-changed': 'Options changed',
};

function Table({ list }: { list: readonly AuditEntry[] }) {
  return (
    <div class="table-box">
      <table class="table">
        <thead>
          <tr>
            {['Time', 'User', 'Action', 'Details', 'Browser'].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {list.map((entry, i) => (
            <Row key={list.length - i} entry={entry} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ entry }: { entry: AuditEntry }) {
  const { at, who, what, on, from, count: times } = entry;
  return (
    <tr data-what={what}>
      <td class="nowrap">
        <time dateTime={isoTime(at)}>{date(at)}</time>
      </td>
      <td>{who}</td>
      <td class="nowrap">
        {WORDS[what]} {times > 1 && <span class="muted">{countText(times, 'time')}</span>}
      </td>
      <td class="where" title={on}>
        {on}
      </td>
      <td>{from || '–'}</td>
    </tr>
  );
}

function EndOfList({ isEmpty, isAll }: { isEmpty: boolean; isAll: boolean }) {
  if (!isEmpty) return <p class="hint">No more entries.</p>;
  return (
    <div class="nothing">
      <div class="mice" aria-hidden="true" />
      <h3>{isAll ? 'No entries yet' : 'No matching entries'}</h3>
    </div>
  );
}
