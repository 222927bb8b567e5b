import { useEffect, useState } from 'preact/hooks';
import { DASHBOARD_PAGES } from '../../model/dashboard-page.ts';
import { SignInPage } from '../sign-in/sign-in-page.tsx';
import { type FailedProps, FailureMessage } from '../ui/failed.tsx';
import { Logo } from '../ui/icons.tsx';
import { isPassing } from '../ui/use-retry.ts';
import { ApiError } from './api.ts';
import { DegradedBanner } from './degraded-banner.tsx';
import { Header } from './header.tsx';
import { NotFound } from './not-found.tsx';
import { goToSignIn, leaveSignIn, route } from './route.ts';
import { leave, loadSession, session } from './session.ts';
import { loadSites } from './sites.ts';
import { viewOf } from './views.tsx';

/** Asks who is signed in, then shows the page of the address, or the sign-in page. */
export function App() {
  const { failure, retry } = useLoading();
  const match = route.value;
  const name = match?.name;
  const isPublic = name !== undefined && DASHBOARD_PAGES[name].section === null;
  const current = session.value;
  useEffect(() => {
    if (current === null && !isPublic) goToSignIn();
    if (current && name === 'sign-in') leaveSignIn();
  }, [current, name, isPublic]);
  if (failure) return <Failure problem={failure} again={retry} />;
  if (current === undefined) return <p class="waiting">Loading…</p>;
  if (current === null && !isPublic) return <SignInPage />;
  const view = match ? viewOf(match) : <NotFound />;
  if (isPublic) return view;
  return (
    <>
      <Header />
      <DegradedBanner />
      {view}
    </>
  );
}

/** Loads the session, then the sites. */
function useLoading(): { failure: Error | undefined; retry: () => void } {
  const [failure, setFailure] = useState<Error>();
  const [attempt, setAttempt] = useState(0);
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
  }, [name, attempt]);
  return { failure, retry: () => setAttempt((n) => n + 1) };
}

/** Shown while the dashboard cannot load. */
function Failure(props: FailedProps) {
  return (
    <main class="gate">
      <div class="card gate-card" role="alert">
        <Logo />
        <h1>{isPassing(props.problem) ? 'Temporarily unavailable' : 'Something went wrong'}</h1>
        <FailureMessage {...props} />
      </div>
    </main>
  );
}
