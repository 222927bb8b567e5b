import { useEffect, useState } from 'preact/hooks';
import { api, type Site } from '../api.ts';
import { CheckIcon } from '../parts/icons.tsx';
import { Snippet } from '../parts/snippet.tsx';
import { sites } from '../state.ts';
import { date } from '../text.ts';
import { Confirm } from './confirm.tsx';
import { Problem } from './problem.tsx';
import { useCall } from './use-call.ts';

/** How often to look whether a site's first visitor has come, milliseconds. */
const LOOK_MS = 2000;

export function Sites() {
  const [adding, setAdding] = useState(false);
  useFirstVisitors();
  return (
    <section class="card group" aria-labelledby="sites-title">
      <div class="bar">
        <h2 id="sites-title">Sites</h2>
        <span class="gap" />
        {!adding && (
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            Add a site
          </button>
        )}
      </div>
      {adding && <SiteForm close={() => setAdding(false)} />}
      <ul class="items">
        {sites.value.map((site) => (
          <SiteItem key={site.key} site={site} />
        ))}
      </ul>
    </section>
  );
}

/** Asks again and again while a site waits for its first visitor. */
function useFirstVisitors(): void {
  const waiting = sites.value.some((site) => site.firstSeen === null);
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => {
      if (!document.hidden) void load().catch(() => undefined);
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [waiting]);
}

async function load(): Promise<void> {
  sites.value = await api.sites();
}

function SiteItem({ site }: { site: Site }) {
  const [mode, setMode] = useState<'shown' | 'edit' | 'remove'>('shown');
  const { problem, run } = useCall();
  const remove = async () => {
    setMode('shown');
    if (await run(() => api.removeSite(site.key))) await run(load);
  };
  if (mode === 'edit')
    return (
      <li class="item">
        <SiteForm site={site} close={() => setMode('shown')} />
      </li>
    );
  return (
    <li class="item" data-site={site.key}>
      <div class="bar">
        <h3>{site.name}</h3>
        <code>{site.key}</code>
        <span class="gap" />
        <a class="button small" href={`/admin?site=${site.key}`}>
          Live
        </a>
        <button type="button" class="small" onClick={() => setMode('edit')}>
          Edit
        </button>
        <button type="button" class="small danger" onClick={() => setMode('remove')}>
          Remove
        </button>
      </div>
      <p class="muted">
        {site.origins.map((origin) => (origin === 'self' ? 'this server' : origin)).join(', ') ||
          'No origin is allowed yet.'}
      </p>
      <Snippet site={site.key} />
      <FirstVisitor site={site} />
      <Problem text={problem} />
      {mode === 'remove' && (
        <Confirm
          title={`Remove ${site.name}?`}
          text="Its visitors are disconnected, and its pages are no longer followed."
          action="Remove"
          yes={() => void remove()}
          no={() => setMode('shown')}
        />
      )}
    </li>
  );
}

function FirstVisitor({ site }: { site: Site }) {
  const seen = site.firstSeen;
  return (
    <p class={seen === null ? 'first waiting-line' : 'first seen'} role="status" data-seen={seen !== null}>
      <span class="lamp" aria-hidden="true" />
      {seen === null ? (
        'Waiting for the first visitor: paste the snippet, then open a page of the site.'
      ) : (
        <>
          <CheckIcon /> It works: the first visitor came {date(seen)}.
        </>
      )}
    </p>
  );
}

/** Adds a site, or changes the one given. */
function SiteForm({ site, close }: { site?: Site; close: () => void }) {
  const [key, setKey] = useState(site?.key ?? '');
  const [name, setName] = useState(site?.name ?? '');
  const [origins, setOrigins] = useState(site?.origins.join('\n') ?? '');
  const { busy, problem, run } = useCall();
  const save = async (event: Event) => {
    event.preventDefault();
    const values = {
      name: name.trim(),
      origins: origins
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(originOf),
    };
    const work = () => (site ? api.changeSite(site.key, values) : api.addSite({ key, ...values }));
    if ((await run(work)) && (await run(load))) close();
  };
  return (
    <form class="fields" onSubmit={save}>
      <label>
        Name
        <input
          name="name"
          required
          maxLength={100}
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      {!site && (
        <label>
          Key <span class="muted">in the snippet: small letters, digits and hyphens</span>
          <input
            name="key"
            required
            pattern="[a-z0-9\-]{1,40}"
            autocapitalize="none"
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
      )}
      <label>
        Origins <span class="muted">one per line, as https://www.example.com</span>
        <textarea
          name="origins"
          rows={3}
          required
          spellcheck={false}
          value={origins}
          onInput={(event) => setOrigins(event.currentTarget.value)}
        />
      </label>
      <Problem text={problem} />
      <div class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="primary" disabled={busy}>
          {site ? 'Save' : 'Add'}
        </button>
      </div>
    </form>
  );
}

/** What people paste is often an address of a page; its origin is what counts. */
function originOf(text: string): string {
  if (text === 'self' || !URL.canParse(text)) return text;
  const { origin } = new URL(text);
  return origin === 'null' ? text : origin;
}
