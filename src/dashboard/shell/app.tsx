import { useEffect, useState } from 'preact/hooks';
import { AuditPage } from '../audit/audit-page.tsx';
import { CountsPage } from '../counts/counts-page.tsx';
import { HeatmapPage } from '../heatmap/heatmap-page.tsx';
import { LivePage } from '../live/live-page.tsx';
import { VisitPage } from '../replay/visit-page.tsx';
import { SettingsPage } from '../settings/settings-page.tsx';
import { LinkPage } from '../sign-in/link-page.tsx';
import { SignInPage } from '../sign-in/sign-in-page.tsx';
import { type FailedProps, Trouble } from '../ui/failed.tsx';
import { Logo } from '../ui/icons.tsx';
import { isPassing } from '../ui/use-retry.ts';
import { VisitsPage } from '../visits/visits-page.tsx';
import { ApiError } from './api.ts';
import { DegradedBanner } from './degraded-banner.tsx';
import { Header } from './header.tsx';
import { NotFound } from './not-found.tsx';
import { goOnFromSignIn, goToSignIn, type Route, route } from './route.ts';
import { isOwner, leave, loadSession, loadSites, session } from './state.ts';

/** Asks who is signed in, then shows the page of the address, or the way to sign in. */
export function App() {
  const { failure, retry } = useLoading();
  const { page } = route.value;
  const here = session.value;
  useEffect(() => {
    if (here === null && page !== 'link' && page !== 'sign-in') goToSignIn();
    if (here && page === 'sign-in') goOnFromSignIn();
  }, [here, page]);
  if (failure) return <Failure problem={failure} again={retry} />;
  if (here === undefined) return <p class="waiting">Loading…</p>;
  if (page === 'link') return <LinkPage token={(route.value as Route & { page: 'link' }).token} />;
  if (here === null) return <SignInPage />;
  return (
    <>
      <Header />
      <DegradedBanner />
      {page === 'live' && <LivePage />}
      {page === 'visits' && <VisitsPage />}
      {page === 'pages' && <CountsPage />}
      {page === 'heatmap' && <HeatmapPage />}
      {page === 'visit' && <VisitPage id={(route.value as Route & { page: 'visit' }).id} />}
      {page === 'settings' && <SettingsPage />}
      {page === 'audit' && (isOwner.value ? <AuditPage /> : <NotFound />)}
      {page === 'missing' && <NotFound />}
    </>
  );
}

/** Loads the session, and once there is one the sites. */
function useLoading(): { failure: Error | undefined; retry: () => void } {
  const [failure, setFailure] = useState<Error>();
  const [round, setRound] = useState(0);
  const name = session.value?.name;
  useEffect(() => {
    const work = name === undefined ? (session.peek() === undefined ? loadSession() : undefined) : loadSites();
    work?.then(
      () => setFailure(undefined),
      (error: unknown) => {
        if (error instanceof ApiError && error.status === 401) leave(true);
        else setFailure(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }, [name, round]);
  return { failure, retry: () => setRound((n) => n + 1) };
}

/** Nothing can be shown for now. */
function Failure(props: FailedProps) {
  return (
    <main class="gate">
      <div class="card gate-card" role="alert">
        <Logo />
        <h1>{isPassing(props.problem) ? 'Temporarily unavailable' : 'Something went wrong'}</h1>
        <Trouble {...props} />
      </div>
    </main>
  );
}
