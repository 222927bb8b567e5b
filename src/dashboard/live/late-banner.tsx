import { duration } from '../ui/text.ts';
import { link, liveState, version } from './live-signals.ts';

/** Warns that other servers do not respond: the last known state of their visitors is shown. */
export function LateBanner() {
  version.value;
  const isLate = liveState.late > 0 && link.value.state === 'live';
  return (
    <div class="notices">
      {/* Added before its text, or screen readers ignore it; without the time, which they would read each second. */}
      <span role="status" class="unseen">
        {isLate ? 'Other servers are not responding. Their visitors are shown as last reported.' : ''}
      </span>
      {isLate && (
        <p class="banner" data-late={liveState.late} aria-hidden="true">
          <span class="status-dot" />
          <span>
            <strong>Other servers are not responding:</strong> last contact {duration(liveState.late)} ago. Their
            visitors are shown as last reported. Visitors of this server are live.
          </span>
        </p>
      )}
    </div>
  );
}
