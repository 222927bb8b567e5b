import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Visit } from '../../model/visit.ts';
import { type ApiError, api } from '../shell/api.ts';
import { useCall } from '../ui/use-call.ts';

/** Number of visits per request. */
const PART_SIZE = 50;
/** An empty part can be followed by others. Maximum number of requests in a row until one returns visits. */
const MAX_REQUESTS = 10;

/** Parameters of `GET /v1/visits`. */
export type VisitFilter = Record<string, string | number | null | undefined>;

export interface Visits {
  list: readonly Visit[];
  /** True if there may be more. */
  hasMore: boolean;
  /** Number of visits that are left out because they are damaged, in the parts loaded so far. */
  damaged: number;
  /** True after the first response. */
  isKnown: boolean;
  busy: boolean;
  problem: ApiError | undefined;
  more: () => void;
  /** Removes a deleted visit from the list. */
  drop: (id: string) => void;
}

interface State {
  list: readonly Visit[];
  /** Cursor of the next part; undefined before the first response, null after the last part. */
  next: string | null | undefined;
  damaged: number;
}

const NONE: State = { list: [], next: undefined, damaged: 0 };

/**
 * The visits that match a filter, newest first, loaded in parts. `of` is a key for the filter: if it changes, the list
 * is loaded again.
 */
export function useVisits(filter: VisitFilter, of: string): Visits {
  const [state, setState] = useState<State>(NONE);
  const { busy, failure, run } = useCall(true);
  const round = useRef(0);
  const load = useCallback(
    async (before: State) => {
      const mine = ++round.current;
      await run(async () => {
        const found = await nextPart(filter, before.next ?? null);
        if (mine !== round.current) return;
        const damaged = before.damaged + found.damaged;
        setState({ list: [...before.list, ...found.list], next: found.next, damaged });
      });
    },
    [of, run],
  );
  useEffect(() => {
    setState(NONE);
    void load(NONE);
    return () => {
      round.current += 1;
    };
  }, [load]);
  return {
    list: state.list,
    damaged: state.damaged,
    hasMore: typeof state.next === 'string',
    isKnown: state.next !== undefined,
    busy,
    problem: failure,
    more: () => void load(state),
    drop: (id) => setState((before) => ({ ...before, list: before.list.filter((visit) => visit.id !== id) })),
  };
}

interface Found {
  list: Visit[];
  next: string | null;
  damaged: number;
}

/** Loads parts after a cursor until one is not empty, at most MAX_REQUESTS. */
async function nextPart(filter: VisitFilter, after: string | null): Promise<Found> {
  let next = after;
  let damaged = 0;
  for (let i = 0; i < MAX_REQUESTS; i++) {
    const part = await api.visits({ ...filter, after: next, limit: PART_SIZE });
    next = part.next;
    damaged += part.damaged;
    if (part.visits.length > 0 || next === null) return { list: part.visits, next, damaged };
  }
  return { list: [], next, damaged };
}
