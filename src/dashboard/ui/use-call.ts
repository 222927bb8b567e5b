import { useCallback, useState } from 'preact/hooks';
import { ApiError } from '../shell/api.ts';
import { leave } from '../shell/session.ts';

/** A call under way, and what it said when it failed. */
export interface ApiCall {
  busy: boolean;
  /** Empty while nothing is wrong. */
  problem: string;
  /** The same, with what the server said. */
  failure: ApiError | undefined;
  /** Runs the work; true when it was done. A session that has ended leads to the sign-in page. */
  run(work: () => Promise<unknown>): Promise<boolean>;
}

/** `lasting`: what went wrong is told until something goes well, also while it is tried again. */
export function useCall(lasting = false): ApiCall {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError>();
  const run = useCallback(async (work: () => Promise<unknown>) => {
    setBusy(true);
    if (!lasting) setFailure(undefined);
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
