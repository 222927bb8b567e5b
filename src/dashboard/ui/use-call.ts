import { useCallback, useState } from 'preact/hooks';
import { ApiError } from '../shell/api.ts';
import { leave } from '../shell/session.ts';

/** State of a request. */
export interface ApiCall {
  busy: boolean;
  /** Message of the failure; empty if there is none. */
  problem: string;
  /** The failure itself. */
  failure: ApiError | undefined;
  /** Runs the work and returns true if it succeeded. If the session has ended, it leads to the sign-in page. */
  run(work: () => Promise<unknown>): Promise<boolean>;
}

/** `keepsFailure`: a failure stays visible during further attempts, until one succeeds. */
export function useCall(keepsFailure = false): ApiCall {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError>();
  const run = useCallback(async (work: () => Promise<unknown>) => {
    setBusy(true);
    if (!keepsFailure) setFailure(undefined);
    try {
      await work();
      setFailure(undefined);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401 && error.code !== 'wrong-password') leave(true);
      else setFailure(error);
      return false;
    } finally {
      setBusy(false);
    }
  }, []);
  return { busy, problem: failure?.message ?? '', failure, run };
}
