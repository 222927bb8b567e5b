import { useCallback, useEffect, useState } from 'preact/hooks';
import { ApiError } from '../shell/api.ts';
import { leave } from '../shell/session.ts';

export interface Loaded<T> {
  /** What was loaded last; undefined before. It may be of an earlier `of`: see `isFresh`. */
  value: T | undefined;
  /** The value is what was asked for last. */
  isFresh: boolean;
  /** Why it could not be loaded. */
  problem: ApiError | undefined;
  /** Loads again while what is there stays, also what went wrong. */
  again: () => void;
}

interface State<T> {
  of: string;
  value: T | undefined;
  problem: ApiError | undefined;
}

/** A server that is busy is asked again so often before that is told. */
const TRIES = 5;

/**
 * Loads with `load` when shown, and whenever `of`, which names what is loaded, changes. null loads nothing. A session that has ended
 * leads to the sign-in page.
 */
export function useLoaded<T>(load: () => Promise<T>, of: string | null): Loaded<T> {
  const [state, setState] = useState<State<T>>({ of: '', value: undefined, problem: undefined });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (of === null) return;
    let isOld = false;
    patiently(load, () => isOld).then(
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
  }, [load, of, round]);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const isOf = state.of === of;
  return {
    value: state.value,
    isFresh: isOf && !state.problem,
    problem: isOf ? state.problem : undefined,
    again,
  };
}

/** Loads, and waits for a server that says when it will have time. Gives up when it has no store, or nobody wants it any more. */
async function patiently<T>(load: () => Promise<T>, isOld: () => boolean): Promise<T> {
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
