import { useCallback, useState } from 'preact/hooks';
import { ApiError } from '../api.ts';
import { leave } from '../state.ts';

/** A call under way, and what it said when it failed. */
export interface Call {
  busy: boolean;
  /** Empty while nothing is wrong. */
  problem: string;
  /** Runs the work; true when it was done. A session that has ended leads to the sign-in page. */
  run(work: () => Promise<unknown>): Promise<boolean>;
}

export function useCall(): Call {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const run = useCallback(async (work: () => Promise<unknown>) => {
    setBusy(true);
    setProblem('');
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401 && error.code !== 'wrong-password') leave(true);
      else setProblem(error.message);
      return false;
    } finally {
      setBusy(false);
    }
  }, []);
  return { busy, problem, run };
}
