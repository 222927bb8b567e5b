import { useEffect, useState } from 'preact/hooks';
import { unreadable } from '../shell/readers.ts';
import { RewindIcon } from '../ui/icons.tsx';
import { countText, numberText } from '../ui/text.ts';
import { Curve } from './curve.tsx';
import { rewindTo } from './live-address.ts';
import { link, liveState, version } from './live-signals.ts';
import type { StreamLink } from './stream.ts';

/** The Rewind button goes back this far, milliseconds. Any moment can be chosen from there. */
const REWIND_MS = 5 * 60_000;
/** Minimum time between two announcements of the count to screen readers, milliseconds. */
const ANNOUNCEMENT_MS = 10_000;

/** Titles that say that the count is not current, because the stream is interrupted. */
const TITLE: Partial<Record<StreamLink['state'], string>> = { lost: 'Last known', paused: 'Before the pause' };

/** The number of visitors now, and in the last hour. */
export function Now() {
  version.value;
  const count = liveState.people.size;
  const pages = liveState.pages().length;
  return (
    <section class="card now" aria-label="Right now">
      <div class="figure">
        <h2>{TITLE[link.value.state] ?? 'Right now'}</h2>
        <p class="big" data-here={count}>
          {liveState.known ? numberText(count) : '–'}
        </p>
        <p class="muted">
          {count === 0 ? 'visitors' : `${count === 1 ? 'visitor' : 'visitors'} on ${countText(pages, 'page')}`}
        </p>
        <Announcement text={`${countText(count, 'visitor')} right now`} />
      </div>
      <div class="hour">
        <div class="hour-head">
          <h2>Last 60 minutes</h2>
          <button type="button" class="small" onClick={() => rewindTo(liveState.time - REWIND_MS)}>
            <RewindIcon /> Rewind
          </button>
          <span class="gap" />
          <p class="muted">
            {countText(liveState.samples, 'sample')} per second
            {liveState.drops > 0 && <strong class="warn"> · {numberText(liveState.drops)} dropped</strong>}
            {unreadable.value > 0 && (
              <span
                data-unreadable={unreadable.value}
                title="These events were ignored. This dashboard may be older than the server. Reload the page."
              >
                {' '}
                · {countText(unreadable.value, 'unreadable event')}
              </span>
            )}
          </p>
        </div>
        <Curve />
      </div>
    </section>
  );
}

/** Text that screen readers announce when it changes, but not with every change. */
function Announcement({ text }: { text: string }) {
  const [announced, setAnnounced] = useState(text);
  const [last, setLast] = useState(0);
  useEffect(() => {
    if (text === announced) return;
    const announce = () => {
      setAnnounced(text);
      setLast(Date.now());
    };
    const timer = setTimeout(announce, Math.max(0, last + ANNOUNCEMENT_MS - Date.now()));
    return () => clearTimeout(timer);
  }, [text, announced, last]);
  return (
    <p class="unseen" aria-live="polite">
      {announced}
    </p>
  );
}
