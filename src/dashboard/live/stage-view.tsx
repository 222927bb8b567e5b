import { useEffect, useRef, useState } from 'preact/hooks';
import { query } from '../shell/route.ts';
import { previewOf } from '../ui/preview.ts';
import { PreviewNote } from '../ui/preview-note.tsx';
import { StageBox } from '../ui/stage-box.tsx';
import { usePreview } from '../ui/use-preview.ts';
import type { Fit } from '../ui/view.ts';
import { isOf, mostCommon, WIDTHS, type Width, widthClassIn, widthsOn } from '../ui/width-class.ts';
import { NoVisitors } from './empty.tsx';
import { beat, followed, liveState, rewind, scene, site, stage } from './live-signals.ts';
import { follow } from './live-site.ts';
import type { LiveVisitor } from './live-state.ts';
import { StageBar } from './stage-bar.tsx';

/** The stage of the live screen. */
export function StageView() {
  const round = beat.value + (rewind.value?.playback.at.value ?? 0);
  const page = stage.value;
  const [fit, setFit] = useState<Fit>('width');
  const leader = followed.value === null ? undefined : liveState.byId(followed.value);
  const preview = usePreview(previewOf(liveState.people.values(), page, location.origin, leader));
  const here = liveState.pages().find((one) => one.page === page)?.visitors ?? 0;
  const { width, widths, hidden } = useWidth(page, leader);
  const card = useInSight(followed.value ?? query.value.get('page'));
  return (
    <section class="card stage" aria-label="Stage" ref={card}>
      <StageBar {...{ here, leader, fit, preview, width, widths, hidden }} chooseFit={setFit} />
      <PreviewNote preview={preview} />
      <StageBox
        beat={round}
        {...{ scene, page, width, leader, fit }}
        url={preview?.url}
        site={site.value}
        choose={follow}
      >
        {liveState.known && <Absence here={here} />}
      </StageBox>
    </section>
  );
}

/** The class of windows on stage: the followed visitor's, else the one chosen, else the page's most common. */
function useWidth(page: string | null, leader: LiveVisitor | undefined) {
  const before = useRef<{ page: string | null; width: Width | null }>({ page: null, width: null });
  const widths = widthsOn(liveState.people.values(), page);
  const usual = mostCommon(widths, before.current.page === page ? before.current.width : null);
  before.current = { page, width: usual };
  const chosen = widthClassIn(query.value);
  const ofLeader = WIDTHS.find((one) => one === leader?.visitor.device) ?? null;
  const width = leader ? ofLeader : chosen === undefined ? usual : chosen;
  let hidden = 0;
  for (const [one, count] of widths) if (!isOf(one, width)) hidden += count;
  return { width, widths, hidden };
}

/** On small screens the lists lie below the stage: who chooses something there shall see it. */
function useInSight(chosen: string | null) {
  const card = useRef<HTMLElement>(null);
  const before = useRef(chosen);
  useEffect(() => {
    if (chosen !== null && chosen !== before.current) card.current?.scrollIntoView({ block: 'nearest' });
    before.current = chosen;
  }, [chosen]);
  return card;
}

function Absence({ here }: { here: number }) {
  if (rewind.value) return here === 0 ? <p class="hint">No visitors were on this page at that time.</p> : null;
  if (liveState.people.size === 0) return <NoVisitors />;
  return here === 0 ? <p class="hint">No visitors are on this page right now.</p> : null;
}
