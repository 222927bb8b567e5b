import type { HeatKind } from '../../model/heat.ts';
import { DEVICE } from '../ui/text.ts';
import type { Width } from '../ui/width-class.ts';
import { choose, PRESET_DAYS } from './heatmap-address.ts';

/** Shown if nothing was recorded; offers other choices. */
export function NoHeat({ kind, width }: { kind: HeatKind; width: Width | null }) {
  const what = { move: 'No moves', click: 'No clicks', scroll: 'No views' }[kind];
  return (
    <div class="empty">
      <div class="mice" aria-hidden="true" />
      <h3>
        {what} {width ? `in ${DEVICE[width].toLowerCase()} windows` : ''} in this period
      </h3>
      <p class="muted">New activity appears here within a few seconds.</p>
      <div class="buttons">
        {width && (
          <button type="button" onClick={() => choose({ width: 'all' })}>
            Show all sizes
          </button>
        )}
        <button type="button" onClick={() => choose({ days: PRESET_DAYS, from: null, to: null })}>
          Show last {PRESET_DAYS} days
        </button>
      </div>
    </div>
  );
}
