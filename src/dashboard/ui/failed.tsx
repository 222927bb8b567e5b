import { useState } from 'preact/hooks';
import { useRetry } from './use-retry.ts';

export interface FailedProps {
  problem: Error;
  /** Tries again. The message stays until that succeeds. */
  again: () => void;
}

/** Replaces content that could not be loaded. If the failure may pass, loading is retried automatically. */
export function Failed(props: FailedProps) {
  return (
    <div class="failed" role="alert">
      <FailureMessage {...props} />
    </div>
  );
}

/** The error message, and a button to retry. */
export function FailureMessage({ problem, again }: FailedProps) {
  const [tried, setTried] = useState<Error>();
  const retry = () => {
    setTried(problem);
    again();
  };
  const isRetried = useRetry(problem, retry);
  return (
    <>
      <p>{problem.message}</p>
      {isRetried && <p class="muted">Retrying automatically.</p>}
      <button type="button" class="primary" onClick={retry}>
        {tried === problem ? 'Retrying…' : isRetried ? 'Retry now' : 'Retry'}
      </button>
    </>
  );
}
