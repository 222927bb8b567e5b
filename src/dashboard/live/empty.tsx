import { sites } from '../shell/sites.ts';
import { PasteSnippet } from '../ui/snippet.tsx';
import { ago, clock, isoTime, shortClock } from '../ui/text.ts';
import { liveState, site } from './live-signals.ts';

/** Shown while there are no visitors. */
export function NoVisitors() {
  const key = site.value;
  if (key === null) return null;
  const current = sites.value.find((one) => one.key === key);
  const name = current?.name ?? key;
  const last = liveState.lastLeft();
  if (last || current?.firstSeen != null) return <NobodyNow last={last} />;
  return (
    <div class="empty">
      <div class="mice" aria-hidden="true" />
      <h3>No visitors yet</h3>
      {key === 'demo' ? (
        <p>
          <a class="button" href="/" target="_blank" rel="noreferrer">
            Open the demo page
          </a>{' '}
          in another window, move the mouse there and watch it here.
        </p>
      ) : (
        <p>The first visitor to {name} appears here immediately.</p>
      )}
      <PasteSnippet site={key}>To see visitors on your own pages, paste</PasteSnippet>
    </div>
  );
}

/** Shown if the site had visitors before. */
function NobodyNow({ last }: { last: ReturnType<typeof liveState.lastLeft> }) {
  return (
    <div class="empty">
      <div class="mice" aria-hidden="true" />
      <h3>No visitors right now</h3>
      {!last && <p>No visitors in the last hour.</p>}
      {last?.isExact && (
        <p>
          The last visitor left at <time dateTime={isoTime(last.t)}>{clock(last.t)}</time>,{' '}
          {ago(liveState.time - last.t)}.
        </p>
      )}
      {last && !last.isExact && (
        <p>
          The last visitor was here at <time dateTime={isoTime(last.t)}>{shortClock(last.t)}</time>.
        </p>
      )}
    </div>
  );
}
