import { useEffect, useState } from 'preact/hooks';
import { unreadable } from '../shell/readers.ts';
import { RewindIcon } from '../ui/icons.tsx';
import { countText, numberText } from '../ui/text.ts';
import { Curve } from './curve.tsx';
import { rewindTo } from './live-address.ts';
import { beat, link, liveState } from './live-signals.ts';
import type { StreamLink } from './stream.ts';

/** So far back goes the button that begins a rewind; from there any moment can be chosen. Milliseconds. */
const REWIND_MS = 5 * 60_000;
/** A screen reader hears the count this often at most, milliseconds. */
const SPOKEN_MS = 10_000;

/** While the stream stands still, the count is of then. */
const TITLE: Partial<Record<StreamLink['state'], string>> = { lost: 'Last known', paused: 'Before the pause' };

/** The first thing to see: how many are here, and how the last hour was. */
export function Now() {
  beat.value;
  const here = liveState.people.size;
  const pages = liveState.pages().length;
  return (
    <section class="card now" aria-label="Right now">
      <div class="figure">
        <h2>{TITLE[link.value.state] ?? 'Right now'}</h2>
        <p class="big" data-here={here}>
          {liveState.known ? numberText(here) : '–'}
        </p>
        <p class="muted">
          {here === 0 ? 'visitors' : `${here === 1 ? 'visitor' : 'visitors'} on ${countText(pages, 'page')}`}
        </p>
        <Spoken text={`${countText(here, 'visitor')} right now`} />
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

/** Text that is read aloud when it changes, but not with every change. */
function Spoken({ text }: { text: string }) {
  const [spoken, setSpoken] = useState(text);
  const [last, setLast] = useState(0);
  useEffect(() => {
    if (text === spoken) return;
    const say = () => {
      setSpoken(text);
      setLast(Date.now());
    };
    const timer = setTimeout(say, Math.max(0, last + SPOKEN_MS - Date.now()));
    return () => clearTimeout(timer);
  }, [text, spoken, last]);
  return (
    <p class="unseen" aria-live="polite">
      {spoken}
    </p>
  );
}
