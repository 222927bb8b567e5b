import { useCallback, useEffect, useState } from 'preact/hooks';
import type { Visit } from '../../model/visit.ts';
import { api } from '../shell/api.ts';
import { address, followTime, go, query, routeTime } from '../shell/route.ts';
import { DamageNote } from '../ui/damage-note.tsx';
import { Failed } from '../ui/failed.tsx';
import { PagePath } from '../ui/page-path.tsx';
import { previewOf } from '../ui/preview.ts';
import { PreviewNote } from '../ui/preview-note.tsx';
import { PreviewSwitch } from '../ui/preview-switch.tsx';
import { StageBox } from '../ui/stage-box.tsx';
import { date } from '../ui/text.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import { usePreview } from '../ui/use-preview.ts';
import { visitNamesOf } from '../ui/visitor-badge.ts';
import { EraseVisit } from '../visits/erase-visit.tsx';
import { Controls } from './controls.tsx';
import { Player } from './player.ts';
import { AboutPanel, PageList } from './story.tsx';
import { usePlayerKeys } from './use-player-keys.ts';

/** The replay of one visit. */
export function VisitPage({ id }: { id: string }) {
  const { value, problem, again } = useLoaded(
    useCallback(() => api.visit(id), [id]),
    id,
  );
  useEffect(() => {
    document.title = 'Replay · Fieldmouse';
  }, []);
  if (problem?.status === 404) return <NoVisit />;
  if (problem) return <Failed {...{ problem, again }} />;
  if (!value) return <p class="waiting">Loading…</p>;
  return <Replay key={value.id} visit={value} />;
}

function NoVisit() {
  return (
    <main class="gate">
      <div class="card gate-card">
        <h1>Visit not found</h1>
        <p>It was deleted or has expired.</p>
        <a class="button" href="/admin/visits">
          Go to visits
        </a>
      </div>
    </main>
  );
}

function Replay({ visit }: { visit: Visit }) {
  const [player] = useState(() => new Player(visit, (after) => api.passages(visit.id, after)));
  const [badge] = useState(() => visitNamesOf(visit.site).badgeOf(visit.id, visit.label));
  const [isErasing, setErasing] = useState(false);
  useEffect(() => {
    const from = routeTime(query.peek().get('at'));
    if (from !== null) player.seek(from);
    const close = player.start();
    const endFollowing = followTime(player.playback.at, (at) =>
      go(address(location.pathname, { ...Object.fromEntries(query.peek()), at }), true),
    );
    return () => {
      endFollowing();
      close();
    };
  }, [player]);
  usePlayerKeys(player);
  return (
    <main class="replay">
      <h1 class="unseen">
        Replay of {badge.name}, {date(visit.since)}
      </h1>
      <ReplayStage player={player} />
      <AboutPanel visit={visit} badge={badge} erase={() => setErasing(true)} />
      <PageList player={player} />
      {isErasing && (
        <EraseVisit
          visit={visit}
          badge={badge}
          done={() => go(address('/admin/visits', { site: visit.site }), true)}
          close={() => setErasing(false)}
        />
      )}
    </main>
  );
}

function ReplayStage({ player }: { player: Player }) {
  const version = player.playback.at.value + player.parts.value;
  const { liveState, recording } = player;
  const leader = liveState.people.values().next().value;
  const page = leader?.visitor.page ?? null;
  const preview = usePreview(previewOf(liveState.people.values(), page, location.origin, leader));
  const url = preview?.url;
  return (
    <section class="card stage" aria-label="Stage">
      <div class="bar">
        <h2>Replay</h2>
        <span class="where" data-page={page}>
          {page !== null && <PagePath path={page} />}
        </span>
        <span class="gap" />
        {preview && <PreviewSwitch {...preview} />}
      </div>
      <PreviewNote preview={preview} />
      <DamageNote text={recording.damaged > 0 ? 'Part of this visit is damaged and cannot be shown.' : ''} />
      <StageBox scene={player} version={version} site={recording.visit.site} fit="width" {...{ page, leader, url }}>
        <Notice player={player} />
      </StageBox>
      <Controls player={player} />
    </section>
  );
}

/** A message on top of the stage: an error, or the state of the playback. */
function Notice({ player }: { player: Player }) {
  player.parts.value;
  const { recording, problem, playback } = player;
  if (problem.value)
    return (
      <div class="over" role="alert">
        <p>{problem.value}</p>
        <button type="button" class="primary" onClick={() => player.retry()}>
          Retry
        </button>
      </div>
    );
  if (recording.next === null && recording.chapters.length === 0)
    return (
      <p class="over">
        {recording.damaged > 0 ? 'The recording of this visit cannot be read.' : 'This visit has no recorded activity.'}
      </p>
    );
  if (player.isOver.value)
    return (
      <div class="over">
        <p role="status">The visit has ended.</p>
        <button type="button" class="primary" onClick={() => player.toggle()}>
          Watch again
        </button>
      </div>
    );
  if (recording.next === undefined || playback.isWaiting.value) return <p class="over">Loading…</p>;
  return null;
}
