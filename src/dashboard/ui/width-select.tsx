import { DEVICE, numberText } from './text.ts';
import { WIDTHS, type Width } from './width-class.ts';

/** Widths of each window size, CSS pixels (`deviceOf` in model/visitor.ts). */
const RANGES: Record<Width, string> = {
  phone: 'below 600 px',
  tablet: '600–1023 px',
  desktop: '1024–2559 px',
  wide: '2560+ px',
};

export interface WidthSelectProps {
  /** null: all. */
  width: Width | null;
  /** Number of visitors per window size, shown if given. */
  counts?: ReadonlyMap<Width, number>;
  choose: (width: Width | 'all') => void;
}

/** Chooses the window size that is shown. */
export function WidthSelect({ width, counts, choose }: WidthSelectProps) {
  return (
    <select
      class="filter"
      aria-label="Window size"
      data-width={width ?? 'all'}
      value={width ?? 'all'}
      onChange={(event) => choose(event.currentTarget.value as Width | 'all')}
    >
      <option value="all">All window sizes</option>
      {WIDTHS.map((one) => (
        <option key={one} value={one}>
          {DEVICE[one]}, {RANGES[one]}
          {counts && ` (${numberText(counts.get(one) ?? 0)})`}
        </option>
      ))}
    </select>
  );
}
