import { AgainIcon, PauseIcon, PlayIcon } from '../ui/icons.tsx';
import { SpeedChooser } from '../ui/speed-chooser.tsx';
import { playTime } from '../ui/text.ts';
import { PLAYER_SPEEDS, type Player } from './player.ts';
import { TimeLine } from './time-line.tsx';

/** Controls of the playback: play, pause, time and speed. */
export function Controls({ player }: { player: Player }) {
  const { playback, recording, isSkipping } = player;
  const isOver = player.isOver.value;
  const isPlaying = playback.isPlaying.value;
  const label = isOver ? 'Replay' : isPlaying ? 'Pause' : 'Play';
  return (
    <div class="controls">
      <button type="button" class="primary play" aria-keyshortcuts="Space" onClick={() => player.toggle()}>
        {isOver ? <AgainIcon /> : isPlaying ? <PauseIcon /> : <PlayIcon />}
        {label}
      </button>
      <span class="play-time" data-at={Math.round(playback.at.value - recording.start)}>
        {playTime(playback.at.value - recording.start)}{' '}
        <span class="muted">/ {playTime(recording.end - recording.start)}</span>
      </span>
      <TimeLine player={player} />
      <SpeedChooser speeds={PLAYER_SPEEDS} speed={playback.speed.value} choose={(speed) => playback.setSpeed(speed)} />
      <label class="switch">
        <input
          type="checkbox"
          checked={isSkipping.value}
          onChange={(event) => {
            isSkipping.value = event.currentTarget.checked;
          }}
        />
        Skip inactivity
      </label>
    </div>
  );
}
