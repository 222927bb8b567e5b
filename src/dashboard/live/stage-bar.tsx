import { BadgeMark } from '../ui/badge.tsx';
import { CloseIcon } from '../ui/icons.tsx';
import { optionText } from '../ui/page-select.tsx';
import { PreviewSwitch } from '../ui/preview-switch.tsx';
import { countText, numberText } from '../ui/text.ts';
import type { ShownPage } from '../ui/use-preview.ts';
import type { Fit } from '../ui/view.ts';
import type { Width } from '../ui/width-class.ts';
import { WidthSelect } from '../ui/width-select.tsx';
import { showWidth } from './live-address.ts';
import { liveState, stage, version } from './live-signals.ts';
import { follow, showPage } from './live-site.ts';
import type { LiveVisitor } from './live-state.ts';

/** Maximum number of pages in the list: a longer list does not help to choose. */
const MAX_PAGES = 100;

export interface StageBarProps {
  /** Number of visitors on the page on stage. */
  here: number;
  /** The followed visitor. */
  leader: LiveVisitor | undefined;
  fit: Fit;
  chooseFit: (fit: Fit) => void;
  /** The window size that is shown; null: all. */
  width: Width | null;
  /** Number of visitors on the page by window size, and of those not shown. */
  widths: ReadonlyMap<Width, number>;
  hidden: number;
  /** The page itself; undefined if it cannot be shown. */
  preview: ShownPage | undefined;
}

/** Shows and selects what is on stage. */
export function StageBar({ here, leader, fit, chooseFit, width, widths, hidden, preview }: StageBarProps) {
  return (
    <div class="bar">
      <h2>Stage</h2>
      <PageChooser />
      <span class="muted nowrap">{countText(here, 'visitor')}</span>
      {!leader && <WidthSelect width={width} counts={widths} choose={showWidth} />}
      {hidden > 0 && (
        <span class="muted nowrap" data-hidden={hidden}>
          {numberText(hidden)} in other window sizes
        </span>
      )}
      <span class="gap" />
      {leader && <FollowChip leader={leader} />}
      {preview && <PreviewSwitch {...preview} />}
      {!leader && <FitChooser fit={fit} choose={chooseFit} />}
    </div>
  );
}

function PageChooser() {
  version.value;
  const page = stage.value;
  const pages = liveState.pages().slice(0, MAX_PAGES);
  const isMissing = page !== null && !pages.some((one) => one.page === page);
  return (
    <select
      aria-label="Page on stage"
      class="page-chooser"
      data-page={page}
      value={page ?? ''}
      onChange={(event) => showPage(event.currentTarget.value || null)}
    >
      <option value="">The busiest page</option>
      {isMissing && <option value={page}>{optionText(page)}</option>}
      {pages.map((one) => (
        <option key={one.page} value={one.page}>
          {optionText(one.page)} ({one.visitors})
        </option>
      ))}
    </select>
  );
}

function FitChooser({ fit, choose }: { fit: Fit; choose: (fit: Fit) => void }) {
  return (
    <fieldset class="choice">
      <legend class="unseen">Page size</legend>
      {(['width', 'whole'] as const).map((one) => (
        <button key={one} type="button" aria-pressed={fit === one} onClick={() => choose(one)}>
          {one === 'width' ? 'Fit width' : 'Fit page'}
        </button>
      ))}
    </fieldset>
  );
}

function FollowChip({ leader: { badge } }: { leader: LiveVisitor }) {
  return (
    <button type="button" class="chip" onClick={() => follow(null)} aria-label={`Stop following ${badge.name}`}>
      <BadgeMark badge={badge} />
      <span>Following {badge.name}</span>
      <kbd>Esc</kbd>
      <CloseIcon />
    </button>
  );
}
