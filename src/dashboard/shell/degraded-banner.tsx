import { useEffect, useState } from 'preact/hooks';
import type { TroubleName } from '../../protocol/ipc.ts';
import { api } from './api.ts';

/** Time between two checks of the server's health, milliseconds. */
const POLL_MS = 10_000;

const TEXTS = {
  'redis-away': 'Redis is not responding. Activity is shown live but not recorded. Visitors’ tabs send it again later.',
  'store-lost':
    'The store lost its data, was moved, or was replaced. Nothing is recorded until the original store is back.',
  'redis-evicts': 'Redis may delete recorded data when its memory is full. Set maxmemory-policy to noeviction.',
  'store-full': 'The disk or the store is full. Nothing is recorded until you free some space.',
  'disk-error': 'The server cannot write to its disk, which may be failing. Nothing is recorded. Check the system log.',
  'not-stored': 'The store rejects writes. Check the server log for the reason.',
} satisfies Record<TroubleName, string>;

/** A reason as text; the name of a reason that this dashboard does not know. */
function textOf(reason: string): string {
  return Object.hasOwn(TEXTS, reason) ? TEXTS[reason as TroubleName] : reason;
}

/** Says why the server is degraded, while it is. */
export function DegradedBanner() {
  const reasons = useReasons();
  return (
    <div class="notices" role="status">
      {reasons.map((reason) => (
        <p class="banner" key={reason} data-reason={reason}>
          <span class="status-dot" />
          <span>
            <strong>Server degraded:</strong> {textOf(reason)}
          </span>
        </p>
      ))}
    </div>
  );
}

/** Checks the health while the tab is visible. Other parts of the page report a server that does not answer. */
function useReasons(): readonly string[] {
  const [reasons, setReasons] = useState<readonly string[]>([]);
  useEffect(() => {
    const poll = () => {
      if (!document.hidden) api.health().then(setReasons, () => {});
    };
    poll();
    const timer = setInterval(poll, POLL_MS);
    document.addEventListener('visibilitychange', poll);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', poll);
    };
  }, []);
  return reasons;
}
