import { useEffect, useState } from 'preact/hooks';
import { MINUTE_MS } from '../../model/minute.ts';
import { backToLive, rewindTo } from '../live/live-address.ts';
import { liveState, version } from '../live/live-signals.ts';
import { DamageNote } from '../ui/damage-note.tsx';
import { PauseIcon, PlayIcon, RewindIcon } from '../ui/icons.tsx';
import { SpeedChooser } from '../ui/speed-chooser.tsx';
import { clock, countText, localTime, shortDate } from '../ui/text.ts';
import { DayLine } from './day-line.tsx';
import { REWIND_SPEEDS, type Rewind } from './rewind.ts';

/** A typed moment is applied after a pause of this length, milliseconds. */
const TYPING_MS = 700;

/** Replaces the panel with the current numbers. It shows the moment that is played, and chooses another. */
export function RewindPanel({ rewind }: { rewind: Rewind }) {
  useKeys(rewind);
  return (
    <section class="card now rewind" aria-label="Rewind">
      <StatusLine rewind={rewind} />
      <DamageNote text={damageOf(rewind.damaged.value)} />
      <Transport rewind={rewind} />
      <DayLine rewind={rewind} />
    </section>
  );
}

function damageOf(visits: number): string {
  return visits === 0 ? '' : `Parts of ${countText(visits, 'visit')} are damaged and cannot be shown.`;
}

/** Shows that the screen is not live. */
function StatusLine({ rewind }: { rewind: Rewind }) {
  const { at, speed, isPlaying, isWaiting } = rewind.playback;
  const suffix = rewind.isOver.value ? 'caught up' : !isPlaying.value ? 'paused' : isWaiting.value ? 'loading' : '';
  return (
    <div class="bar band" data-at={Math.round(at.value)}>
      <RewindIcon />
      <strong>
        Rewind – {clock(at.value)}, {shortDate(at.value)}, {speed.value} ×
      </strong>
      {suffix && <span class="detail">{suffix}</span>}
      <Announcement rewind={rewind} />
      <span class="gap" />
      <button type="button" class="small" onClick={backToLive}>
        Back to live <kbd>Esc</kbd>
      </button>
    </div>
  );
}

/** The text for screen readers. It leaves out the time, which changes every second. */
function Announcement({ rewind }: { rewind: Rewind }) {
  const announced = rewind.problem.value || (rewind.isOver.value ? 'The rewind has reached the present.' : '');
  return (
    <span class={rewind.problem.value ? 'detail' : 'unseen'} role="status">
      {announced}
    </span>
  );
}

function Transport({ rewind }: { rewind: Rewind }) {
  const { playback, problem, isOver } = rewind;
  const isPlaying = playback.isPlaying.value;
  const skip = (by: number) => rewindTo(playback.playhead.now() + by);
  return (
    <div class="bar transport">
      <button
        type="button"
        class="primary play"
        aria-keyshortcuts="Space"
        disabled={isOver.value}
        onClick={() => playback.play(!isPlaying)}
      >
        {isPlaying ? <PauseIcon /> : <PlayIcon />}
        {isPlaying ? 'Pause' : 'Play'}
      </button>
      <button type="button" class="small" aria-label="One minute back" onClick={() => skip(-MINUTE_MS)}>
        − 1 min
      </button>
      <button type="button" class="small" aria-label="One minute forward" onClick={() => skip(MINUTE_MS)}>
        + 1 min
      </button>
      <SpeedChooser speeds={REWIND_SPEEDS} speed={playback.speed.value} choose={(speed) => playback.setSpeed(speed)} />
      <MomentField at={playback.at.value} />
      {problem.value && (
        <button type="button" class="small" onClick={() => rewind.retry()}>
          Retry
        </button>
      )}
      <span class="gap" />
      <PresentCount />
    </div>
  );
}

function PresentCount() {
  version.value;
  return (
    <span class="muted nowrap" data-then={liveState.people.size}>
      {countText(liveState.people.size, 'visitor')} on {countText(liveState.pages().length, 'page')}
    </span>
  );
}

/** Chooses a moment by date and time of day, in the browser's time zone. */
function MomentField({ at }: { at: number }) {
  const [typed, setTyped] = useState<string | null>(null);
  useEffect(() => {
    if (typed === null) return;
    const timer = setTimeout(() => {
      const t = Date.parse(typed);
      if (!Number.isNaN(t)) rewindTo(t);
      setTyped(null);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input
      type="datetime-local"
      class="moment"
      aria-label="Date and time"
      step={1}
      value={typed ?? localTime(at)}
      max={localTime(Date.now())}
      onInput={(event) => setTyped(event.currentTarget.value)}
    />
  );
}

/** Space plays and pauses. Controls that use the key keep it. */
function useKeys({ playback, isOver }: Rewind): void {
  useEffect(() => {
    const act = (event: KeyboardEvent) => {
      const isTaken = (event.target as Element).closest('button, a, input, select, textarea');
      if (event.key !== ' ' || isTaken || event.defaultPrevented || isOver.peek()) return;
      event.preventDefault();
      playback.play(!playback.isPlaying.peek());
    };
    addEventListener('keydown', act);
    return () => removeEventListener('keydown', act);
  }, [playback, isOver]);
}
