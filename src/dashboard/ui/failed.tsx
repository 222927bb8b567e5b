import { useState } from 'preact/hooks';
import { useRetry } from './use-retry.ts';

export interface FailedProps {
  problem: Error;
  /** To try again; what is told stays meanwhile. */
  again: () => void;
}

/** In the place of what could not be loaded. What may pass is tried again by itself. */
export function Failed(props: FailedProps) {
  return (
    <div class="failed" role="alert">
      <Trouble {...props} />
    </div>
  );
}

/** What went wrong, and how to go on. */
export function Trouble({ problem, again }: FailedProps) {
  const [tried, setTried] = useState<Error>();
  const go = () => {
    setTried(problem);
    again();
  };
  const isRetried = useRetry(problem, go);
  return (
    <>
      <p>{problem.message}</p>
      {isRetried && <p class="muted">Retrying automatically.</p>}
      <button type="button" class="primary" onClick={go}>
        {tried === problem ? 'Retrying…' : isRetried ? 'Retry now' : 'Retry'}
      </button>
    </>
  );
}
