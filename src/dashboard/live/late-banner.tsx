import { duration } from '../ui/text.ts';
import { beat, link, liveState } from './live-signals.ts';

/** Says that other servers do not respond: their visitors are shown as they were, those of this server are live. */
export function LateBanner() {
  beat.value;
  const isLate = liveState.late > 0 && link.value.state === 'live';
  return (
    <div class="notices">
      {/* Added before its text, or screen readers ignore it; without the time, which they would read each second. */}
      <span role="status" class="unseen">
        {isLate ? 'Other servers are not responding. Their visitors are shown as last reported.' : ''}
      </span>
      {isLate && (
        <p class="banner" data-late={liveState.late} aria-hidden="true">
          <span class="lamp" />
          <span>
            <strong>Other servers are not responding:</strong> last contact {duration(liveState.late)} ago. Their
            visitors are shown as last reported. Visitors of this server are live.
          </span>
        </p>
      )}
    </div>
  );
}
