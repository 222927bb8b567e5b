import { useEffect, useState } from 'preact/hooks';
import { type Refusal, type RefusalReason, refusalKey } from '../../model/refusal.ts';
import { normalOrigin, type Site } from '../../model/site.ts';
import { api } from '../shell/api.ts';
import { reloadSites, sites } from '../shell/sites.ts';
import { ProblemText } from '../ui/problem.tsx';
import { date, numberText } from '../ui/text.ts';
import { useCall } from '../ui/use-call.ts';

/**
 * Interval between two looks at refused visitors, milliseconds: while people set up a site, or visitors are refused,
 * and otherwise.
 */
const POLL_MS = 500;
const IDLE_POLL_MS = 5000;
/** Number of lines of a site before the button that shows the others. */
const FIRST_LINES = 3;

const WHY: Record<RefusalReason, string> = {
  'origin-not-allowed': 'not an allowed origin.',
  'unknown-site': '',
  'address-full': 'too many visitors from one address. If a proxy is in front of the server, set --trust-proxy.',
  'address-fast': 'too many new visitors from one address. If a proxy is in front of the server, set --trust-proxy.',
  'worker-full': 'the server had as many visitors as it takes (--max-connections).',
};

/** The refused visitors of all sites, kept up to date, and a function that loads them at once. */
export function useRefusals(): { refusals: readonly Refusal[]; load: () => Promise<unknown> } {
  const [refusals, setRefusals] = useState<readonly Refusal[]>([]);
  const load = async () => {
    const found = await api.refusals().catch(() => undefined);
    if (found) setRefusals(found);
    return found !== undefined && (found.length > 0 || sites.peek().some(({ firstSeen }) => firstSeen === null));
  };
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const poll = async () => {
      const isBusy = !document.hidden && (await load());
      if (!isOver) timer = setTimeout(poll, isBusy ? POLL_MS : IDLE_POLL_MS);
    };
    void poll();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, []);
  return { refusals, load };
}

/** Refused visitors of a site, each with a button that allows its origin. */
export function Refusals({
  site,
  refusals,
  load,
}: {
  site: Site;
  refusals: readonly Refusal[];
  load: () => Promise<unknown>;
}) {
  const { busy, problem, run } = useCall();
  const [allowed, setAllowed] = useState('');
  const allow = async (origin: string) => {
    // Another owner may have changed the site since this page was loaded.
    const add = async () => {
      const { name, origins } = (await api.sites()).find(({ key }) => key === site.key) ?? site;
      await api.changeSite(site.key, { name, origins: [...origins, origin] });
    };
    if (!(await run(add))) return;
    setAllowed(origin);
    await run(reloadSites);
    await load();
  };
  return (
    <>
      <RefusalList
        refusals={refusals}
        why={({ origin, reason }) => (origin === 'null' ? NO_ORIGIN : (WHY[reason] ?? reason))}
        button={({ origin, reason }) =>
          reason === 'origin-not-allowed' &&
          normalOrigin(origin) === origin && (
            <button
              type="button"
              class="small"
              disabled={busy}
              aria-label={`Allow ${origin}`}
              onClick={() => void allow(origin)}
            >
              Allow it
            </button>
          )
        }
      />
      <p class="done" role="status">
        {allowed &&
          site.origins.includes(allowed) &&
          `${allowed} is allowed now. Its pages connect when they are loaded again.`}
      </p>
      <ProblemText text={problem} />
    </>
  );
}

const NO_ORIGIN = 'it has no origin that could be allowed.';

/** Visitors whose snippet names no existing site. */
export function UnknownSites({ refusals }: { refusals: readonly Refusal[] }) {
  const why = ({ site }: Refusal) =>
    site === '' ? 'the snippet has no site key that can be read.' : `there is no site with the key ${site}.`;
  return <RefusalList refusals={refusals} why={why} />;
}

interface RefusalListProps {
  refusals: readonly Refusal[];
  /** Why a visitor was refused, as the end of a sentence. */
  why: (one: Refusal) => string;
  button?: (one: Refusal) => preact.ComponentChildren;
}

function RefusalList({ refusals, why, button }: RefusalListProps) {
  const [isAll, setAll] = useState(false);
  if (refusals.length === 0) return null;
  const shown = isAll ? refusals : refusals.slice(0, FIRST_LINES);
  return (
    <ul class="refusals" aria-label="Refused visitors">
      {shown.map((one) => (
        <li key={refusalKey(one)}>
          <span>
            {attemptsOf(one)} refused: {why(one)} <span class="muted">Last on {date(one.last)}.</span>
          </span>
          {button?.(one)}
        </li>
      ))}
      {shown.length < refusals.length && (
        <li>
          <button type="button" class="small" onClick={() => setAll(true)}>
            Show {refusals.length - shown.length} more
          </button>
        </li>
      )}
    </ul>
  );
}

function attemptsOf({ count, origin }: Refusal): string {
  const from = origin === 'null' ? ' from a sandboxed frame or a file' : origin && ` from ${origin}`;
  return count === 1 ? `1 connection${from} was` : `${numberText(count)} connections${from} were`;
}
