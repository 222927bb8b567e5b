import type { Visit } from '../../protocol/visit.ts';
import { api } from '../api.ts';
import type { Badge } from '../badge.ts';
import { Confirm } from '../parts/confirm.tsx';
import { Problem } from '../parts/problem.tsx';
import { useCall } from '../parts/use-call.ts';
import { date } from '../text.ts';

export interface EraseVisitProps {
  visit: Visit;
  /** As the page shows the visitor. */
  badge: Badge;
  done: () => void;
  close: () => void;
}

/** Asks, then deletes a visit. */
export function EraseVisit({ visit, badge, done, close }: EraseVisitProps) {
  const { problem, busy, run } = useCall();
  const erase = async () => {
    if (!busy && (await run(() => api.eraseVisit(visit.id)))) done();
  };
  return (
    <Confirm
      title={`Delete the visit of ${badge.name}?`}
      text={
        `It started on ${date(visit.since)}. Its replay and everything it added to counts, heatmaps and the ` +
        'rewind are deleted. This cannot be undone.'
      }
      action="Delete"
      yes={() => void erase()}
      no={close}
    >
      <Problem text={problem} />
    </Confirm>
  );
}
