import { useEffect } from 'preact/hooks';
import type { HeatKind } from '../../model/heat.ts';
import { address, query } from '../shell/route.ts';
import { chosenSite, server, sites } from '../shell/sites.ts';
import { Choice } from '../ui/choice.tsx';
import { Failed } from '../ui/failed.tsx';
import { NoSites } from '../ui/no-sites.tsx';
import { PageSelect } from '../ui/page-select.tsx';
import { PeriodChooser } from '../ui/period-chooser.tsx';
import { previewAt } from '../ui/preview.ts';
import { PreviewNote } from '../ui/preview-note.tsx';
import { PreviewSwitch } from '../ui/preview-switch.tsx';
import { usePreview } from '../ui/use-preview.ts';
import { WidthSelect } from '../ui/width-select.tsx';
import { Elements } from './elements.tsx';
import { HeatStage } from './heat-stage.tsx';
import { choiceIn, choose, type HeatmapChoice } from './heatmap-address.ts';
import { Figures, Legend } from './legend.tsx';
import { NoHeat } from './no-heat.tsx';
import { Opacity, useOpacity } from './opacity.tsx';
import { useHeatmap } from './use-heatmap.ts';

const KINDS = [
  ['move', 'Moves'],
  ['click', 'Clicks'],
  ['scroll', 'Scroll depth'],
] as const satisfies [HeatKind, string][];
/** Page pixels per pixel of the picture. The picture is smooth, so it loses nothing. */
const PICTURE_SCALE = 2;

/** Where visitors of a page moved and clicked, and how far down they scrolled. */
export function HeatmapPage() {
  useEffect(() => {
    document.title = 'Heatmap · Fieldmouse';
  }, []);
  const site = chosenSite.value;
  if (site !== null) return <Heatmap choice={choiceIn(site, query.value)} />;
  return server.value && sites.value.length === 0 ? <NoSites /> : <p class="waiting">Loading…</p>;
}

function Heatmap({ choice }: { choice: HeatmapChoice }) {
  const { period, kind } = choice;
  const loaded = useHeatmap(choice);
  const { pages, page, width, heat } = loaded;
  const preview = usePreview(page === null ? undefined : previewAt(loaded.origin, page, location.origin));
  const [opacity, setOpacity] = useOpacity(kind);
  const elements = kind === 'click' && heat?.total ? heat.elements : undefined;
  return (
    <main class={elements ? 'heatmap listed' : 'heatmap'}>
      <h1 class="unseen">Heatmap</h1>
      <section class="card stage" aria-label="Heatmap of a page">
        <div class="bar">
          <PageSelect pages={pages} page={page} choose={(one) => choose({ page: one, width: null })} />
          <PeriodChooser period={period} choose={(values) => choose({ days: null, from: null, to: null, ...values })} />
          <Choice label="Heatmap type" options={KINDS} value={kind} choose={(one) => choose({ kind: one })} />
          <WidthSelect width={width} choose={(one) => choose({ width: one })} />
          <span class="gap" />
          {preview && <PreviewSwitch {...preview} />}
        </div>
        <div class="bar legend-bar">
          <Legend kind={kind} heat={heat} />
          <Figures kind={kind} heat={heat} />
          <span class="gap" />
          <Opacity value={opacity} change={setOpacity} />
        </div>
        <PreviewNote preview={preview} />
        <HeatmapStage kind={kind} loaded={loaded} url={preview?.url} opacity={opacity} />
      </section>
      {elements && <Elements elements={elements} total={heat?.total ?? 0} />}
    </main>
  );
}

interface HeatmapStageProps {
  kind: HeatKind;
  loaded: ReturnType<typeof useHeatmap>;
  /** Address of the page behind the heatmap. */
  url: string | undefined;
  opacity: number;
}

/** The heatmap, or the reason why it is missing. */
function HeatmapStage({ kind, loaded, url, opacity }: HeatmapStageProps) {
  const { heat, problem, again, isWithoutPages, width, asked } = loaded;
  return (
    <div class="stage-box" data-ready={heat !== undefined} aria-busy={!heat && !problem}>
      {problem && <Failed {...{ problem, again }} />}
      {!problem && isWithoutPages && <NoHeat kind={kind} width={null} />}
      {!problem && !heat && !isWithoutPages && <p class="waiting">Loading…</p>}
      {!problem && heat?.total === 0 && <NoHeat kind={kind} width={width} />}
      {!problem && heat && heat.total > 0 && (
        <HeatStage
          key={loaded.key}
          picture={address('/v1/heatmap.png', { ...asked, scale: PICTURE_SCALE })}
          {...{ heat, url, kind, opacity }}
        />
      )}
    </div>
  );
}
