import type { Visit } from '../../model/visit.ts';
import { address } from '../shell/route.ts';
import { isOwner } from '../shell/session.ts';
import { BadgeMark } from '../ui/badge.tsx';
import { DeviceIcon } from '../ui/icons.tsx';
import { PagePath } from '../ui/page-path.tsx';
import { countryName, countText, DEVICE, date, duration, numberText, playTime, TRUNCATED } from '../ui/text.ts';
import type { Badge } from '../ui/visitor-badge.ts';
import type { Player } from './player.ts';
import { pagesOfVisit } from './recording.ts';

/** Facts about the visitor and the visit. */
export function AboutPanel({ visit, badge, erase }: { visit: Visit; badge: Badge; erase: () => void }) {
  const [vw, vh] = visit.size;
  const facts: [string, string][] = [
    ['Started', date(visit.since)],
    ['Duration', duration(visit.until - visit.since)],
    ['Activity', `${countText(visit.clicks, 'click')}, ${countText(pagesOfVisit(visit).length, 'page')}`],
    ['Source', visit.referrer || 'Direct'],
    ['Window', vw > 0 ? `${numberText(vw)} × ${numberText(vh)}` : 'Unknown'],
  ];
  if (visit.truncated) facts.push(['Recording', TRUNCATED]);
  if (visit.country) facts.push(['Country', countryName(visit.country)]);
  if (visit.language) facts.push(['Language', visit.language]);
  return (
    <section class="card about" aria-label="Visitor">
      <div class="bar">
        <BadgeMark badge={badge} />
        <h2 class="name">{badge.name}</h2>
        <span class="muted device-name">
          <DeviceIcon device={visit.device} /> {DEVICE[visit.device]}
        </span>
      </div>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div class="bar about-links">
        <a
          class="button small"
          href={address('/admin', { site: visit.site, at: visit.since, page: visit.stays[0]?.page })}
        >
          Rewind to this visit
        </a>
        {isOwner.value && (
          <button type="button" class="small danger" onClick={erase}>
            Delete
          </button>
        )}
      </div>
    </section>
  );
}

/** The pages of the visit with their times. A click on a page seeks to it. */
export function PageList({ player }: { player: Player }) {
  const { visit, start } = player.recording;
  const now = player.playback.at.value;
  const at = visit.stays.findLastIndex(({ t }) => t <= now);
  return (
    <section class="card page-list" aria-label="Pages of the visit">
      <div class="bar">
        <h2>Pages</h2>
        <span class="muted">click to jump</span>
      </div>
      <div class="chapters">
        <ol>
          {visit.stays.map(({ page, t, until }, i) => (
            <li key={i}>
              <button
                type="button"
                class="chapter"
                aria-current={i === at ? 'step' : undefined}
                onClick={() => player.seek(t)}
              >
                <span class="muted">{playTime(t - start)}</span>
                <PagePath path={page} />
                <span class="muted">{duration(until - t)}</span>
              </button>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}
