import { useEffect, useRef, useState } from 'preact/hooks';
import { rem, repaint } from '../shell/theme.ts';
import { BadgeMark } from '../ui/badge.tsx';
import { DeviceIcon } from '../ui/icons.tsx';
import { PagePath } from '../ui/page-path.tsx';
import { DEVICE, duration, numberText, shortClock } from '../ui/text.ts';
import { drawActivity } from './activity.ts';
import { followed, liveState, rewind, second, version } from './live-signals.ts';
import { follow } from './live-site.ts';
import type { LiveVisitor } from './live-state.ts';

/** Height of a row in rem; the same as in live.css. */
const ROW_REM = 3.5;
/** Number of rows rendered above and below the visible ones. */
const SPARE = 3;

/**
 * All visitors present, each with a running graph. Only visible rows are rendered, so a thousand cost no more than ten.
 */
export function Visitors() {
  version.value;
  const list = useRef<HTMLDivElement>(null);
  const { top, height, row } = useWindow(list);
  const people = liveState.newestFirst();
  const first = Math.max(0, Math.floor(top / row) - SPARE);
  const last = Math.min(people.length, Math.ceil((top + height) / row) + SPARE);
  return (
    <section class="card visitors" aria-label="Visitors">
      <div class="bar">
        <h2>Visitors</h2>
        <span class="muted">{rewind.value ? 'at that time' : 'right now'} · activity in the last 60 s</span>
      </div>
      <div class="list" ref={list}>
        {people.length === 0 && (
          <p class="hint">{rewind.value ? 'No visitors at that time.' : 'No visitors right now.'}</p>
        )}
        <ul style={{ height: `${people.length * row}px` }}>
          {people.slice(first, last).map((person, i) => (
            <Row
              key={person.visitor.id}
              person={person}
              place={first + i}
              all={people.length}
              top={(first + i) * row}
            />
          ))}
        </ul>
      </div>
    </section>
  );
}

interface RowProps {
  person: LiveVisitor;
  place: number;
  all: number;
  top: number;
}

function Row({ person, place, all, top }: RowProps) {
  const { visitor, badge } = person;
  const leads = followed.value === visitor.id;
  version.value;
  return (
    <li
      class="row"
      data-v={visitor.v}
      data-id={visitor.id}
      aria-posinset={place + 1}
      aria-setsize={all}
      style={{ transform: `translateY(${top}px)` }}
    >
      <button
        type="button"
        aria-pressed={leads}
        onKeyDown={step}
        onClick={() => follow(leads ? null : visitor.id)}
        title={titleOf(person)}
      >
        <BadgeMark badge={badge} />
        <span class="identity">
          <span class="name">{badge.name}</span>
          <PagePath path={visitor.page} muted />
        </span>
        <Spark person={person} />
        <span class="since muted">
          <DeviceIcon device={visitor.device} />
          <span class="unseen">
            {DEVICE[visitor.device]}, {visitor.hidden ? '' : 'here for'}
          </span>
          {visitor.hidden ? 'away' : duration(liveState.time - visitor.since)}
        </span>
      </button>
    </li>
  );
}

function titleOf({ visitor }: LiveVisitor): string {
  const parts = [DEVICE[visitor.device], `since ${shortClock(visitor.since)}`];
  const [vw, vh] = visitor.size;
  if (vw > 0) parts.push(`${numberText(vw)} × ${numberText(vh)}`);
  if (visitor.language) parts.push(visitor.language);
  if (visitor.referrer) parts.push(`from ${visitor.referrer}`);
  if (visitor.hidden) parts.push('in a background tab');
  return `${parts.join(' · ')}\nClick to follow`;
}

/** The visitor's own time series: samples per second. */
function Spark({ person }: { person: LiveVisitor }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const tick = second.value + repaint.value;
  useEffect(() => {
    drawActivity(canvas.current as HTMLCanvasElement, person.activity, person.badge.colour);
  }, [tick, person]);
  return <canvas ref={canvas} class="spark" width={192} height={56} />;
}

/** Arrow up and down move from row to row. */
function step(event: KeyboardEvent): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
  const row = (event.target as Element).closest('.row');
  const next = event.key === 'ArrowDown' ? row?.nextElementSibling : row?.previousElementSibling;
  if (!next) return;
  event.preventDefault();
  next.querySelector('button')?.focus();
}

/** The visible area of a scrolling list, and the height of a row, CSS pixels. */
function useWindow(ref: { current: HTMLElement | null }): { top: number; height: number; row: number } {
  const [visibleArea, setVisibleArea] = useState({ top: 0, height: 600, row: ROW_REM * 16 });
  useEffect(() => {
    const list = ref.current as HTMLElement;
    const measure = () => {
      setVisibleArea({ top: list.scrollTop, height: list.clientHeight, row: ROW_REM * rem() });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(list);
    list.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      list.removeEventListener('scroll', measure);
    };
  }, [ref]);
  return visibleArea;
}
