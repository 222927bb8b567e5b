/** Hooks that measure the stage and draw on it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LiveScene, LiveState, LiveVisitor, StreamEvent } from '../live/live-state.ts';
import { Stage, type StageOptions } from './stage.ts';
import { type Extent, extentOfOne, viewExtent } from './view.ts';
import type { Width } from './width-class.ts';

interface Ref<T> {
  current: T | null;
}

/** The inner size of an element, CSS pixels. */
export function useSize(ref: Ref<HTMLElement>): Extent {
  const [size, setSize] = useState<Extent>({ width: 800, height: 600 });
  useEffect(() => {
    const element = ref.current as HTMLElement;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return size;
}

/** The extent of the page on stage. If a visitor is followed, it is the extent of that visitor's document. */
export function useExtent(
  liveState: LiveState,
  site: string | null,
  page: string | null,
  width: Width | null,
  leader: LiveVisitor | undefined,
): Extent {
  const memory = useRef<{ of: string; extent: Extent } | undefined>(undefined);
  const of = `${site} ${width} ${page}`;
  const before = memory.current?.of === of ? memory.current.extent : undefined;
  const extent = viewExtent(liveState.people.values(), page ?? '', before, width);
  const isEmpty = !liveState.pages().some((one) => one.page === page);
  memory.current = isEmpty ? undefined : { of, extent };
  const { width: wide, height: high } = (leader && extentOfOne(leader)) ?? extent;
  return useMemo(() => ({ width: wide, height: high }), [wide, high]);
}

export interface StageParts {
  canvas: Ref<HTMLCanvasElement>;
  scroller: Ref<HTMLElement>;
  surface: Ref<HTMLElement>;
}

/** Creates a `Stage`, and updates it with every event, size and view. Returns a ref to it. */
export function useStage({ canvas, scroller, surface }: StageParts, scene: LiveScene, box: Extent, view: StageOptions) {
  const picture = useRef<Stage | undefined>(undefined);
  useEffect(() => {
    const made = new Stage(
      canvas.current as HTMLCanvasElement,
      scroller.current as HTMLElement,
      surface.current as HTMLElement,
      scene.liveState,
    );
    const listener = (event?: StreamEvent) => react(made, scene.liveState, event);
    picture.current = made;
    scene.motion.add(listener);
    return () => {
      scene.motion.delete(listener);
      made.close();
    };
  }, [canvas, scroller, surface, scene]);
  useEffect(() => picture.current?.resize(box.width, box.height), [box, scene]);
  useEffect(() => picture.current?.show(view));
  return picture;
}

function react(picture: Stage, liveState: LiveState, event: StreamEvent | undefined): void {
  picture.animate();
  if (event?.name === 'snapshot') picture.clearRipples();
  if (!event || !('x' in event.data)) return;
  const { v, page, x, y } = event.data;
  const person = liveState.people.get(v);
  if (person && picture.page === page && picture.shows(person)) picture.ripple(x, y, person.badge.colour);
}
