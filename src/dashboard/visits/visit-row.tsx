import type { Visit } from '../../model/visit.ts';
import { pagesOfVisit } from '../replay/recording.ts';
import { address } from '../shell/route.ts';
import { isOwner } from '../shell/session.ts';
import { sites } from '../shell/sites.ts';
import { BadgeMark } from '../ui/badge.tsx';
import { BinIcon, DeviceIcon } from '../ui/icons.tsx';
import { PagePath } from '../ui/page-path.tsx';
import { countryName, DEVICE, date, duration, isoTime, numberText, readablePath, TRUNCATED } from '../ui/text.ts';
import type { Badge } from '../ui/visitor-badge.ts';

/** One visit. A click on the row opens its replay. */
export function VisitRow({ visit, badge, erase }: { visit: Visit; badge: Badge; erase: () => void }) {
  const { id, clicks, device, country, referrer } = visit;
  const site = sites.value.length > 1 ? visit.site : null;
  const pages = pagesOfVisit(visit);
  return (
    <tr data-id={id}>
      <td>
        <a class="visit-link" href={address(`/admin/visits/${encodeURIComponent(id)}`, { site })}>
          <BadgeMark badge={badge} />
          <span class="name">{badge.name}</span>
        </a>
      </td>
      <td data-label="Started" class="nowrap">
        <time dateTime={isoTime(visit.since)}>{date(visit.since)}</time>
      </td>
      <td data-label="Duration" class="count">
        {duration(visit.until - visit.since)}
        {visit.truncated && (
          <span class="muted" title={TRUNCATED}>
            {' '}
            partial
          </span>
        )}
      </td>
      <td data-label="Pages" class="where" title={pages.map(readablePath).join('\n')}>
        {pages[0] === undefined ? '–' : <PagePath path={pages[0]} />}
        {pages.length > 1 && <span class="muted"> +{numberText(pages.length - 1)}</span>}
      </td>
      <td data-label="Clicks" class="count">
        {numberText(clicks)}
      </td>
      <td data-label="Device" class="nowrap">
        <span class="with-icon">
          <DeviceIcon device={device} /> {DEVICE[device]}
        </span>
      </td>
      <td data-label="Country">{country ? countryName(country) : '–'}</td>
      <td data-label="Source" class="where" title={referrer || undefined}>
        {referrer.replace(/^https?:\/\//, '') || 'Direct'}
      </td>
      <td class="count">
        {isOwner.value && (
          <button
            type="button"
            class="quiet erase"
            aria-label={`Delete the visit of ${badge.name}`}
            title="Delete"
            onClick={erase}
          >
            <BinIcon />
          </button>
        )}
      </td>
    </tr>
  );
}
