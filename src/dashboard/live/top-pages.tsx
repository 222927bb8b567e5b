import { PagePath } from '../ui/page-path.tsx';
import { countText, numberText } from '../ui/text.ts';
import { followed, liveState, rewind, stage, version } from './live-signals.ts';
import { showPage } from './live-site.ts';

const MAX = 12;

/** The pages with the most visitors now. A click puts a page on stage. */
export function TopPages() {
  version.value;
  const pages = liveState.pages();
  const maxCount = pages[0]?.visitors ?? 1;
  return (
    <section class="card top-pages" aria-label="Top pages">
      <div class="bar">
        <h2>Top pages</h2>
        <span class="muted">{rewind.value ? 'at that time' : 'right now'}</span>
      </div>
      <div class="list">
        {pages.length === 0 && <p class="hint">No pages are open.</p>}
        <ol>
          {pages.slice(0, MAX).map(({ page, visitors }) => (
            <li key={page}>
              <button
                type="button"
                class="top-page"
                aria-pressed={stage.value === page && followed.value === null}
                onClick={() => showPage(page)}
              >
                <span class="share" style={{ width: `${(100 * visitors) / maxCount}%` }} />
                <PagePath path={page} />
                <span class="number">
                  {numberText(visitors)}
                  <span class="unseen"> {visitors === 1 ? 'visitor' : 'visitors'}</span>
                </span>
              </button>
            </li>
          ))}
        </ol>
        {pages.length > MAX && <p class="muted more">and {countText(pages.length - MAX, 'more page')}</p>}
      </div>
    </section>
  );
}
