import type { Badge } from './visitor-badge.ts';

/** A visitor's coloured circle; the name stands beside it. */
export function BadgeMark({ badge }: { badge: Badge }) {
  return (
    <span class="badge" aria-hidden="true" style={{ backgroundColor: badge.colour }}>
      {badge.initials}
    </span>
  );
}
