import { useCallback, useEffect, useState } from 'preact/hooks';
import { useCall } from '../ui/use-call.ts';

/** A list from the server. It is loaded when the component is shown, and after every change. */
export function useList<T>(fetch: () => Promise<T[]>) {
  const [list, setList] = useState<T[] | null>(null);
  const { busy, problem, run } = useCall();
  const load = useCallback(() => run(async () => setList(await fetch())), [run]);
  useEffect(() => void load(), [load]);
  /** Runs the work and then reloads the list. Resolves with true if both succeeded. */
  const change = async (work: () => Promise<unknown>) => (await run(work)) && (await load());
  return { list, busy, problem, change };
}
