import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Visit } from '../../model/visit.ts';
import { address, query } from '../shell/route.ts';
import { chosenSite, server, sites } from '../shell/sites.ts';
import { DamageNote } from '../ui/damage-note.tsx';
import { Failed } from '../ui/failed.tsx';
import { NoSites } from '../ui/no-sites.tsx';
import { periodOf } from '../ui/period.ts';
import { PasteSnippet } from '../ui/snippet.tsx';
import { numberText } from '../ui/text.ts';
import { type Badge, visitNamesOf } from '../ui/visitor-badge.ts';
import { EraseVisit } from './erase-visit.tsx';
import { clearFilters, Filters, filterOf, isFiltered } from './filters.tsx';
import { useVisits, type Visits } from './use-visits.ts';
import { VisitRow } from './visit-row.tsx';

const HEADINGS = ['Visitor', 'Started', 'Duration', 'Pages', 'Clicks', 'Device', 'Country', 'Source'];

/** All stored visits, newest first. */
export function VisitsPage() {
  useEffect(() => {
    document.title = 'Visits · Fieldmouse';
  }, []);
  const site = chosenSite.value;
  if (site !== null) return <List key={site} site={site} />;
  return server.value && sites.value.length === 0 ? <NoSites /> : <p class="waiting">Loading…</p>;
}

function List({ site }: { site: string }) {
  const period = periodOf(query.value, Date.now(), undefined);
  const filter = filterOf(site, period, query.value);
  const visits = useVisits(filter, address('', filter));
  const [erasing, setErasing] = useState<Chosen | null>(null);
  return (
    <main class="counts" aria-busy={visits.busy}>
      <h1>Visits</h1>
      <section class="card" aria-label="Visits">
        <Filters site={site} period={period} />
        <DamageNote text={damageOf(visits)} />
        {visits.list.length > 0 && <Table list={visits.list} erase={setErasing} />}
        <EndOfList visits={visits} site={site} />
      </section>
      {erasing && (
        <EraseVisit
          {...erasing}
          done={() => {
            visits.drop(erasing.visit.id);
            setErasing(null);
          }}
          close={() => setErasing(null)}
        />
      )}
    </main>
  );
}

function damageOf({ damaged }: Visits): string {
  if (damaged === 0) return '';
  return damaged === 1
    ? '1 visit is damaged and cannot be shown.'
    : `${numberText(damaged)} visits are damaged and cannot be shown.`;
}

/** If visitors have the same name, the first of them has it without a number. */
function badgesOf(list: readonly Visit[]): Badge[] {
  const badges = [...list].reverse().map(({ site, id, label }) => visitNamesOf(site).badgeOf(id, label));
  return badges.reverse();
}

interface Chosen {
  visit: Visit;
  badge: Badge;
}

function Table({ list, erase }: { list: readonly Visit[]; erase: (chosen: Chosen) => void }) {
  const badges = useMemo(() => badgesOf(list), [list]);
  return (
    <div class="table-box">
      <table class="table visits-table">
        <thead>
          <tr>
            {HEADINGS.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
            <th scope="col">
              <span class="unseen">Delete</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((visit, i) => {
            const badge = badges[i] as Badge;
            return <VisitRow key={visit.id} visit={visit} badge={badge} erase={() => erase({ visit, badge })} />;
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Shown below the loaded visits: an error, a message, or the button that loads more. */
function EndOfList({ visits, site }: { visits: Visits; site: string }) {
  if (visits.problem) return <Failed problem={visits.problem} again={visits.more} />;
  if (!visits.isKnown) return <p class="hint">Loading…</p>;
  if (visits.hasMore)
    return (
      <div class="more-box">
        {visits.list.length === 0 && <p class="muted">No matching visits so far.</p>}
        <button type="button" disabled={visits.busy} onClick={visits.more}>
          {visits.list.length === 0 ? 'Search further back' : 'Load more'}
        </button>
      </div>
    );
  if (visits.list.length > 0) return <p class="hint">No more visits.</p>;
  return isFiltered(query.value) ? <NoMatch /> : <NoVisits site={site} />;
}

function NoMatch() {
  return (
    <div class="nothing">
      <div class="mice" aria-hidden="true" />
      <h3>No matching visits</h3>
      <button type="button" class="primary" onClick={clearFilters}>
        Clear filters
      </button>
    </div>
  );
}

function NoVisits({ site }: { site: string }) {
  return (
    <div class="nothing">
      <div class="mice" aria-hidden="true" />
      <h3>No visits yet</h3>
      <p class="muted">A visit appears here a few seconds after it starts.</p>
      <PasteSnippet site={site}>To record visits to your pages, paste</PasteSnippet>
    </div>
  );
}
