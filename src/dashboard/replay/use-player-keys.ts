import { useEffect } from 'preact/hooks';
import type { Player } from './player.ts';
import { STEP_MS } from './time-line.tsx';

/**
 * Space plays and pauses; the left and right arrow keys go back and forward. Controls that use these keys keep them.
 */
export function usePlayerKeys(player: Player): void {
  useEffect(() => {
    const act = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const target = event.target as Element;
      if (target.closest('input:not([type=checkbox]), select, textarea, dialog')) return;
      if (event.key === ' ' && !target.closest('button, a, input')) player.toggle();
      else if (event.key === 'ArrowLeft') player.seek(player.playback.playhead.now() - STEP_MS);
      else if (event.key === 'ArrowRight') player.seek(player.playback.playhead.now() + STEP_MS);
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', act);
    return () => removeEventListener('keydown', act);
  }, [player]);
}
