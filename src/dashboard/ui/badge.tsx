import type { Badge } from './visitor-badge.ts';

/** A circle with the colour and initials of a visitor. It has no accessible name: the visitor's name is beside it. */
export function BadgeMark({ badge }: { badge: Badge }) {
  return (
    <span class="badge" aria-hidden="true" style={{ backgroundColor: badge.colour }}>
      {badge.initials}
    </span>
  );
}
