import { memo } from 'preact/compat';
import { BadgeMark } from '../ui/badge.tsx';
import { PagePath } from '../ui/page-path.tsx';
import { clock, isoTime, LEFT } from '../ui/text.ts';
import type { FeedItem } from './feed-items.ts';
import { liveState, version } from './live-signals.ts';

/** Visitors that joined, changed the page or left; newest first. */
export function ActivityFeed() {
  version.value;
  return (
    <section class="card activity-feed" aria-label="Activity">
      <div class="bar">
        <h2>Activity</h2>
      </div>
      <div class="list">
        {liveState.feed.items.length === 0 && liveState.feed.since !== undefined && (
          <p class="hint">No activity since {clock(liveState.feed.since)}.</p>
        )}
        <ol>
          {liveState.feed.items.map((one) => (
            <Line key={one.no} one={one} />
          ))}
        </ol>
      </div>
    </section>
  );
}

/** Rendered once per object. A line that changes, for example its visitor's name, is a new object. */
const Line = memo(({ one }: { one: FeedItem }) => (
  <li class={`line ${one.kind}`} data-kind={one.kind} data-id={one.id}>
    <BadgeMark badge={one.badge} />
    <span class="feed-text">
      <strong>{one.badge.name}</strong> {verb(one)} {one.kind !== 'leave' && <PagePath path={one.page} />}
    </span>
    <time class="muted" dateTime={isoTime(one.t)}>
      {clock(one.t)}
    </time>
  </li>
));

function verb({ kind, reason, isBack, isPast }: FeedItem): string {
  if (kind === 'join') return isBack ? 'reconnected on' : isPast ? 'arrived, now on' : 'arrived on';
  return kind === 'page' ? 'went to' : LEFT[reason ?? 'closed'];
}
