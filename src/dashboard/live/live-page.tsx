import { useEffect } from 'preact/hooks';
import { RewindPanel } from '../rewind/rewind-panel.tsx';
import { server, sites } from '../shell/sites.ts';
import { NoSites } from '../ui/no-sites.tsx';
import { ActivityFeed } from './activity-feed.tsx';
import { LateBanner } from './late-banner.tsx';
import { backToLive } from './live-address.ts';
import { followed, link, rewind } from './live-signals.ts';
import { follow, watchSite } from './live-site.ts';
import { Now } from './now.tsx';
import { StageView } from './stage-view.tsx';
import type { StreamLink } from './stream.ts';
import { TopPages } from './top-pages.tsx';
import { Visitors } from './visitors.tsx';

/** States of the stream in which the screen is not up to date. */
const STALE = new Set<StreamLink['state']>(['lost', 'paused']);

/** The live screen. */
export function LivePage() {
  useEffect(watchSite, []);
  useEffect(() => {
    const end = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      if (followed.peek() !== null) follow(null);
      else if (rewind.peek()) backToLive();
    };
    addEventListener('keydown', end);
    return () => removeEventListener('keydown', end);
  }, []);
  const past = rewind.value;
  useEffect(() => {
    document.title = `${past ? 'Rewind' : 'Live'} · Fieldmouse`;
  }, [past]);
  if (server.value && sites.value.length === 0) return <NoSites />;
  return (
    <>
      {!past && <LateBanner />}
      <main class={lookOf(past !== null, link.value.state)}>
        <h1 class="unseen">{past ? 'Rewind' : 'Live'}</h1>
        {past ? <RewindPanel rewind={past} /> : <Now />}
        <StageView />
        <Visitors />
        <ActivityFeed />
        <TopPages />
      </main>
    </>
  );
}

function lookOf(isPast: boolean, state: StreamLink['state']): string {
  if (isPast) return 'screen past';
  return STALE.has(state) ? 'screen stale' : 'screen';
}
