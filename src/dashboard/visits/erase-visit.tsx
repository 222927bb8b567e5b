import type { Visit } from '../../model/visit.ts';
import { api } from '../shell/api.ts';
import { Confirm } from '../ui/confirm.tsx';
import { ProblemText } from '../ui/problem.tsx';
import { date } from '../ui/text.ts';
import { useCall } from '../ui/use-call.ts';
import type { Badge } from '../ui/visitor-badge.ts';

export interface EraseVisitProps {
  visit: Visit;
  /** Name and colour of the visitor on this page. */
  badge: Badge;
  done: () => void;
  close: () => void;
}

/** Asks for confirmation, then deletes a visit. */
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
      <ProblemText text={problem} />
    </Confirm>
  );
}
