import { useEffect } from 'preact/hooks';
import { Happenings } from '../parts/happenings.tsx';
import { Now } from '../parts/now.tsx';
import { StageView } from '../parts/stage-view.tsx';
import { TopPages } from '../parts/top-pages.tsx';
import { Visitors } from '../parts/visitors.tsx';
import { follow, link, server, sites, watchSite } from '../state.ts';
import type { Link } from '../stream.ts';

/** The stream stands still, and so does what is seen. */
const STALE = new Set<Link['state']>(['lost', 'paused']);

/** The live screen: what people look for first comes first. */
export function LivePage() {
  useEffect(watchSite, []);
  useEffect(() => {
    document.title = 'Live · Fieldmouse';
    const end = (event: KeyboardEvent) => {
      if (event.key === 'Escape') follow(null);
    };
    addEventListener('keydown', end);
    return () => removeEventListener('keydown', end);
  }, []);
  if (server.value && sites.value.length === 0) return <NoSites />;
  return (
    <main class={STALE.has(link.value.state) ? 'screen stale' : 'screen'}>
      <h1 class="unseen">Live</h1>
      <Now />
      <StageView />
      <Visitors />
      <Happenings />
      <TopPages />
    </main>
  );
}

function NoSites() {
  return (
    <main class="gate">
      <div class="card gate-card">
        <h1>No site yet</h1>
        <p>Add your site first; then its visitors show here.</p>
        <a class="button" href="/admin/settings">
          Add a site
        </a>
      </div>
    </main>
  );
}
