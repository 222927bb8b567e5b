import { useEffect, useRef, useState } from 'preact/hooks';
import { query } from '../shell/route.ts';
import { previewOf } from '../ui/preview.ts';
import { PreviewNote } from '../ui/preview-note.tsx';
import { StageBox } from '../ui/stage-box.tsx';
import { usePreview } from '../ui/use-preview.ts';
import type { Fit } from '../ui/view.ts';
import { isOf, mostCommon, WIDTHS, type Width, widthClassIn, widthsOn } from '../ui/width-class.ts';
import { NoVisitors } from './empty.tsx';
import { followed, liveState, rewind, scene, site, stage, version } from './live-signals.ts';
import { follow } from './live-site.ts';
import type { LiveVisitor } from './live-state.ts';
import { StageBar } from './stage-bar.tsx';

/** The stage of the live screen. */
export function StageView() {
  const stageVersion = version.value + (rewind.value?.playback.at.value ?? 0);
  const page = stage.value;
  const [fit, setFit] = useState<Fit>('width');
  const leader = followed.value === null ? undefined : liveState.byId(followed.value);
  const preview = usePreview(previewOf(liveState.people.values(), page, location.origin, leader));
  const count = liveState.pages().find((one) => one.page === page)?.visitors ?? 0;
  const { width, widths, hidden } = useWidth(page, leader);
  const card = useScrollIntoView(followed.value ?? query.value.get('page'));
  return (
    <section class="card stage" aria-label="Stage" ref={card}>
      <StageBar {...{ here: count, leader, fit, preview, width, widths, hidden }} chooseFit={setFit} />
      <PreviewNote preview={preview} />
      <StageBox
        version={stageVersion}
        {...{ scene, page, width, leader, fit }}
        url={preview?.url}
        site={site.value}
        choose={follow}
      >
        {liveState.known && <EmptyHint here={count} />}
      </StageBox>
    </section>
  );
}

/** The window size on stage: the followed visitor's, else the chosen one, else the most common of the page. */
function useWidth(page: string | null, leader: LiveVisitor | undefined) {
  const previous = useRef<{ page: string | null; width: Width | null }>({ page: null, width: null });
  const widths = widthsOn(liveState.people.values(), page);
  const mostUsed = mostCommon(widths, previous.current.page === page ? previous.current.width : null);
  previous.current = { page, width: mostUsed };
  const chosen = widthClassIn(query.value);
  const leaderWidth = WIDTHS.find((one) => one === leader?.visitor.device) ?? null;
  const width = leader ? leaderWidth : chosen === undefined ? mostUsed : chosen;
  let hidden = 0;
  for (const [one, count] of widths) if (!isOf(one, width)) hidden += count;
  return { width, widths, hidden };
}

/** Scrolls the stage into view when something is chosen: on small screens the lists are below it. */
function useScrollIntoView(chosen: string | null) {
  const card = useRef<HTMLElement>(null);
  const previous = useRef(chosen);
  useEffect(() => {
    if (chosen !== null && chosen !== previous.current) card.current?.scrollIntoView({ block: 'nearest' });
    previous.current = chosen;
  }, [chosen]);
  return card;
}

function EmptyHint({ here }: { here: number }) {
  if (rewind.value) return here === 0 ? <p class="hint">No visitors were on this page at that time.</p> : null;
  if (liveState.people.size === 0) return <NoVisitors />;
  return here === 0 ? <p class="hint">No visitors are on this page right now.</p> : null;
}
