import { useEffect, useState } from 'preact/hooks';
import { link, notice } from '../live/live-signals.ts';
import { retryNow } from '../live/live-site.ts';
import type { StreamLink } from '../live/stream.ts';

/** Time for which a message is shown, milliseconds. */
const NOTICE_MS = 8000;

/** The state of the stream, as text. */
export function Status() {
  const value = link.value;
  const isNew = useIsNew(value);
  const how = value.state === 'live' ? value.how : undefined;
  return (
    <div class={`status ${value.state}`} data-link={value.state} data-how={how}>
      <span class="status-dot" aria-hidden="true" />
      <span role="status">{TEXT[value.state]}</span>
      {value.state === 'lost' && <Countdown until={value.retryAt} />}
      {isNew && how && how !== 'fresh' && (
        <span role="status" class="notice">
          {LINK_NOTICES[how]}
        </span>
      )}
      <Notice />
    </div>
  );
}

/** A message about a change that nobody asked for. */
function Notice() {
  const text = notice.value;
  useEffect(() => {
    const timer = setTimeout(() => {
      notice.value = '';
    }, NOTICE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <span role="status" class="notice">
      {text}
    </span>
  );
}

const TEXT: Record<StreamLink['state'], string> = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Connection lost',
  paused: 'Paused while this tab is hidden',
  'signed-out': 'Signed out',
};

const LINK_NOTICES = {
  resumed: 'Resumed. Nothing was missed.',
  reset: 'Reset. Some events were missed. The view is up to date.',
};

/** True for a while after the link has changed. */
function useIsNew(value: StreamLink): boolean {
  const [seen, setSeen] = useState<StreamLink | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => setSeen(value), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return seen !== value;
}

function Countdown({ until }: { until: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const left = Math.max(0, Math.ceil((until - now) / 1000));
  return (
    <>
      <span class="countdown">{left > 0 ? `Retrying in ${left} s` : 'Retrying…'}</span>
      <button type="button" class="small" onClick={retryNow}>
        Retry now
      </button>
    </>
  );
}
