import { useEffect, useRef, useState } from 'preact/hooks';
import { query } from '../route.ts';
import { beat, crowd, follow, followed, rewind, scene, site, stage } from '../state.ts';
import type { Fit } from '../view.ts';
import { Empty } from './empty.tsx';
import { previewOf } from './preview.ts';
import { PreviewNote } from './preview-note.tsx';
import { StageBar } from './stage-bar.tsx';
import { StageBox } from './stage-box.tsx';
import { usePreview } from './use-preview.ts';

/** The stage of the live screen. */
export function StageView() {
  const round = beat.value + (rewind.value?.playback.at.value ?? 0);
  const page = stage.value;
  const [fit, setFit] = useState<Fit>('width');
  const leader = followed.value === null ? undefined : crowd.byId(followed.value);
  const preview = usePreview(previewOf(crowd.people.values(), page, location.origin, leader));
  const here = crowd.pages().find((one) => one.page === page)?.visitors ?? 0;
  const card = useInSight(followed.value ?? query.value.get('page'));
  return (
    <section class="card stage" aria-label="Stage" ref={card}>
      <StageBar {...{ here, leader, fit, preview }} chooseFit={setFit} />
      <PreviewNote preview={preview} />
      <StageBox beat={round} {...{ scene, page, leader, fit }} url={preview?.url} site={site.value} choose={follow}>
        {crowd.known && <Absence here={here} />}
      </StageBox>
    </section>
  );
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
  if (rewind.value) return here === 0 ? <p class="hint">Nobody was on this page then.</p> : null;
  if (crowd.people.size === 0) return <Empty />;
  return here === 0 ? <p class="hint">Nobody is on this page now.</p> : null;
}
