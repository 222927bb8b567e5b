import { useEffect, useState } from 'preact/hooks';
import type { TroubleName } from '../../protocol/relay.ts';
import { api } from '../api.ts';

/** How often the server is asked how it does, milliseconds. */
const ASK_MS = 10_000;

const TEXTS = {
  'redis-away':
    'Redis does not answer. What visitors do is shown live and is not recorded; their tabs send it again later.',
  'store-lost':
    'The store has lost its data, was moved away, or is another one. Nothing is recorded until it is put back.',
  'redis-evicts': 'Redis may throw recorded data away when its memory is full. Set maxmemory-policy noeviction.',
  'store-full': 'The disk or the store is full. Nothing is recorded until there is room.',
  'disk-error':
    'The disk of the server takes no writes: it may be failing. Nothing is recorded; see the log of the system.',
  'not-stored': 'The store takes nothing. The server’s log says why.',
} satisfies Record<TroubleName, string>;

/** A reason in words; one that this dashboard does not know yet by its name. */
function textOf(reason: string): string {
  return Object.hasOwn(TEXTS, reason) ? TEXTS[reason as TroubleName] : reason;
}

/** Says what keeps the server from working as it should, while something does. */
export function DegradedBanner() {
  const reasons = useReasons();
  return (
    <div class="notices" role="status">
      {reasons.map((reason) => (
        <p class="banner" key={reason} data-reason={reason}>
          <span class="lamp" />
          <span>
            <strong>Server degraded:</strong> {textOf(reason)}
          </span>
        </p>
      ))}
    </div>
  );
}

/** Asks now and then; not while the tab is out of sight. When the server itself does not answer, other parts of the page say so. */
function useReasons(): readonly string[] {
  const [reasons, setReasons] = useState<readonly string[]>([]);
  useEffect(() => {
    const ask = () => {
      if (!document.hidden) api.health().then(setReasons, () => {});
    };
    ask();
    const timer = setInterval(ask, ASK_MS);
    document.addEventListener('visibilitychange', ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', ask);
    };
  }, []);
  return reasons;
}
