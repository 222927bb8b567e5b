import { useEffect, useState } from 'preact/hooks';
import { unreadable } from '../shell/readers.ts';
import { beat, crowd, link, rewindTo } from '../shell/state.ts';
import { RewindIcon } from '../ui/icons.tsx';
import { count, number } from '../ui/text.ts';
import { Curve } from './curve.tsx';
import type { Link } from './stream.ts';

/** So far back goes the button that begins a rewind; from there any moment can be chosen. Milliseconds. */
const REWIND_MS = 5 * 60_000;
/** A screen reader hears the count this often at most, milliseconds. */
const SPOKEN_MS = 10_000;

/** While the stream stands still, the count is of then. */
const TITLE: Partial<Record<Link['state'], string>> = { lost: 'Last known', paused: 'Before the pause' };

/** The first thing to see: how many are here, and how the last hour was. */
export function Now() {
  beat.value;
  const here = crowd.people.size;
  const pages = crowd.pages().length;
  return (
    <section class="card now" aria-label="Right now">
      <div class="figure">
        <h2>{TITLE[link.value.state] ?? 'Right now'}</h2>
        <p class="big" data-here={here}>
          {crowd.known ? number(here) : '–'}
        </p>
        <p class="muted">
          {here === 0 ? 'visitors' : `${here === 1 ? 'visitor' : 'visitors'} on ${count(pages, 'page')}`}
        </p>
        <Spoken text={`${count(here, 'visitor')} right now`} />
      </div>
      <div class="hour">
        <div class="hour-head">
          <h2>Last 60 minutes</h2>
          <button type="button" class="small" onClick={() => rewindTo(crowd.time - REWIND_MS)}>
            <RewindIcon /> Rewind
          </button>
          <span class="gap" />
          <p class="muted">
            {count(crowd.samples, 'sample')} per second
            {crowd.drops > 0 && <strong class="warn"> · {number(crowd.drops)} dropped</strong>}
            {unreadable.value > 0 && (
              <span
                data-unreadable={unreadable.value}
                title="These events were ignored. This dashboard may be older than the server. Reload the page."
              >
                {' '}
                · {count(unreadable.value, 'unreadable event')}
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
