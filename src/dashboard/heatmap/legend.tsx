import type { Heat, HeatKind } from '../../model/heat.ts';
import { countText, numberText } from '../ui/text.ts';
import { audienceText, foldsOf } from './cells.ts';

/** The meaning of the colours. */
export function Legend({ kind, heat }: { kind: HeatKind; heat: Heat | undefined }) {
  const [few, many] = kind === 'scroll' ? ['nobody', 'everybody'] : ['none', heat ? numberText(heat.most) : 'most'];
  return (
    <p class="legend">
      <span>{few}</span>
      <span class="palette" aria-hidden="true" />
      <span>{many}</span>
      {kind !== 'scroll' && <span class="muted">per square of 16 × 16 pixels</span>}
    </p>
  );
}

/** Numbers about the whole heatmap. */
export function Figures({ kind, heat }: { kind: HeatKind; heat: Heat | undefined }) {
  if (!heat) return null;
  return (
    <>
      <p class="figures" data-views={heat.views} data-total={heat.total}>
        {kind !== 'scroll' && `${countText(heat.total, kind)} in `}
        {countText(heat.views, 'view')}
      </p>
      {kind === 'scroll' && heat.total > 0 && <p class="muted depths">{depthsText(heat)}</p>}
    </>
  );
}

/** The lines of a scroll map as text: the first screen has one colour, and even the first line may be far below it. */
function depthsText(heat: Heat): string {
  const depths = foldsOf(heat).map((fold) => `${audienceText(fold)} down to ${numberText(fold.y)} pixels`);
  return `seen by ${depths.join(', by ')}`;
}
