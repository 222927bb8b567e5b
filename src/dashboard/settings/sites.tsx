import { useEffect, useState } from 'preact/hooks';
import type { Refusal } from '../../model/refusal.ts';
import type { Site } from '../../model/site.ts';
import { api } from '../shell/api.ts';
import { reloadSites, sites } from '../shell/sites.ts';
import { Confirm } from '../ui/confirm.tsx';
import { CheckIcon } from '../ui/icons.tsx';
import { ProblemText } from '../ui/problem.tsx';
import { LocalHostNote, PolicySources, Snippet } from '../ui/snippet.tsx';
import { date } from '../ui/text.ts';
import { useCall } from '../ui/use-call.ts';
import { Refusals, UnknownSites, useRefusals } from './refusals.tsx';
import { SiteForm } from './site-form.tsx';
import { useOpener } from './use-opener.ts';

/** Interval between checks for a site's first visitor, milliseconds. */
const POLL_MS = 2000;

export function Sites() {
  const [adding, setAdding] = useState(false);
  const opener = useOpener(adding);
  useFirstVisitors();
  const { refusals, load } = useRefusals();
  const isUnknown = (one: Refusal) => one.reason === 'unknown-site';
  return (
    <section class="card group" aria-labelledby="sites-title">
      <div class="bar">
        <h2 id="sites-title">Sites</h2>
        <span class="gap" />
        {!adding && (
          <button type="button" class="primary" ref={opener} onClick={() => setAdding(true)}>
            Add a site
          </button>
        )}
      </div>
      {adding && <SiteForm close={() => setAdding(false)} />}
      <LocalHostNote />
      <UnknownSites refusals={refusals.filter(isUnknown)} />
      <ul class="items">
        {sites.value.map((site) => (
          <SiteItem
            key={site.key}
            site={site}
            refused={refusals.filter((one) => one.site === site.key && !isUnknown(one))}
            loadRefused={load}
          />
        ))}
      </ul>
    </section>
  );
}

/** Reloads the sites regularly while one of them has had no visitor. */
function useFirstVisitors(): void {
  const waiting = sites.value.some((site) => site.firstSeen === null);
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => {
      if (!document.hidden) void reloadSites().catch(() => undefined);
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [waiting]);
}

interface SiteItemProps {
  site: Site;
  refused: readonly Refusal[];
  loadRefused: () => Promise<unknown>;
}

function SiteItem({ site, refused, loadRefused }: SiteItemProps) {
  const [mode, setMode] = useState<'shown' | 'edit' | 'remove'>('shown');
  const { problem, run } = useCall();
  const opener = useOpener(mode === 'edit');
  const remove = async () => {
    setMode('shown');
    if (await run(() => api.removeSite(site.key))) await run(reloadSites);
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
        <button type="button" class="small" ref={opener} onClick={() => setMode('edit')}>
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
      <PolicySources />
      <FirstVisitor site={site} />
      <Refusals site={site} refusals={refused} load={loadRefused} />
      <ProblemText text={problem} />
      {mode === 'remove' && (
        <Confirm
          title={`Remove ${site.name}?`}
          text="Its visitors are disconnected, and its visits, counts and heatmaps are deleted."
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
      <span class="status-dot" aria-hidden="true" />
      {seen === null ? (
        'Waiting for the first visitor. Paste the snippet into your site, then open one of its pages.'
      ) : (
        <>
          <CheckIcon /> It works. The first visitor arrived on {date(seen)}.
        </>
      )}
    </p>
  );
}
