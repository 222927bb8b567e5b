import { useCallback, useEffect, useState } from 'preact/hooks';
import { ApiError } from '../shell/api.ts';
import { leave } from '../shell/session.ts';

export interface Loaded<T> {
  /** The value that was loaded last, perhaps for an earlier `of` (see `isFresh`); undefined before. */
  value: T | undefined;
  /** True if the value belongs to the current `of`. */
  isFresh: boolean;
  /** The failure of the last attempt. */
  problem: ApiError | undefined;
  /** Loads again. The value and the failure stay until then. */
  again: () => void;
}

interface State<T> {
  of: string;
  value: T | undefined;
  problem: ApiError | undefined;
}

/** Number of attempts at a busy server before the failure is shown. */
const TRIES = 5;

/**
 * Calls `load` when the component is shown and whenever `of`, the name of the value, changes. If `of` is null, nothing
 * is loaded. If the session has ended, it leads to the sign-in page.
 */
export function useLoaded<T>(load: () => Promise<T>, of: string | null): Loaded<T> {
  const [state, setState] = useState<State<T>>({ of: '', value: undefined, problem: undefined });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (of === null) return;
    let isOld = false;
    withRetries(load, () => isOld).then(
      (value) => !isOld && setState({ of, value, problem: undefined }),
      (error: unknown) => {
        if (isOld) return;
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 401) leave(true);
        else setState((before) => ({ of, value: before.value, problem: error }));
      },
    );
    return () => {
      isOld = true;
    };
  }, [load, of, attempt]);
  const again = useCallback(() => setAttempt((n) => n + 1), []);
  const isOf = state.of === of;
  return {
    value: state.value,
    isFresh: isOf && !state.problem,
    problem: isOf ? state.problem : undefined,
    again,
  };
}

/** Loads, and waits if a busy server says how long. Gives up if the server has no store, or `isOld` is true. */
async function withRetries<T>(load: () => Promise<T>, isOld: () => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await load();
    } catch (error) {
      const wait = isBusy(error) ? error.retryAfter : undefined;
      if (wait === undefined || tries === TRIES || isOld()) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
  }
}

function isBusy(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 503 && error.code !== 'unavailable';
}
