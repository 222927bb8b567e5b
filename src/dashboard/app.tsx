import { useEffect, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { AuditPage } from './pages/audit.tsx';
import { CountsPage } from './pages/counts.tsx';
import { HeatmapPage } from './pages/heatmap.tsx';
import { LinkPage } from './pages/link.tsx';
import { LivePage } from './pages/live.tsx';
import { SettingsPage } from './pages/settings.tsx';
import { SignInPage } from './pages/sign-in.tsx';
import { VisitPage } from './pages/visit.tsx';
import { VisitsPage } from './pages/visits.tsx';
import { DegradedBanner } from './parts/degraded-banner.tsx';
import { type FailedProps, Trouble } from './parts/failed.tsx';
import { Header } from './parts/header.tsx';
import { Logo } from './parts/icons.tsx';
import { Missing } from './parts/missing.tsx';
import { isPassing } from './parts/use-retry.ts';
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
      {page === 'audit' && (isOwner.value ? <AuditPage /> : <Missing />)}
      {page === 'missing' && <Missing />}
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
