/** Draws all pointers of one page on a canvas, at the display's frame rate while something moves. */

import type { LiveState, LiveVisitor } from '../live/live-state.ts';
import { rem } from '../shell/theme.ts';
import type { Badge } from './visitor-badge.ts';
import { isOf, type Width } from './width-class.ts';

/** Length of a trail: the pointer's way during this time, milliseconds. */
const TRAIL_MS = 420;
/** Maximum factor by which trails are longer at a higher playback speed. */
const MAX_TRAIL_FACTOR = 2;
/** Parts of a trail, oldest first, which fade with age. `from` is the maximum age, as a share of the length. */
const TRAIL = [
  { from: 1, alpha: 0.18, width: 2.5 },
  { from: 0.6, alpha: 0.34, width: 3.5 },
  { from: 0.28, alpha: 0.58, width: 4.5 },
] as const;
/** With more visitors than this, a trail is a single stroke: more strokes would lower the frame rate. */
const MAX_FADING_TRAILS = 80;
const RIPPLE_MS = 800;
const MAX_RIPPLES = 64;
/** Maximum number of pixels of the canvas: without a GPU, more would lower the frame rate on large screens. */
const MAX_PIXELS = 2_600_000;
/** A click this close to a pointer hits it, stage pixels. */
const PICK_DISTANCE = 26;
/** A sprite has the tip of the arrow near its corner, and the badge below. Pixels at the usual font size. */
const SPRITE = { size: 46, tip: 5, badge: 29, radius: 12 } as const;
/** Font size of the root at which a sprite has this size, pixels. */
const BASE_REM = 15;

interface Ripple {
  x: number;
  y: number;
  start: number;
  colour: string;
}

/** What the stage shows of a page. */
export interface StageOptions {
  page: string | null;
  scale: number;
  /** Only visitors with this window size are drawn; null: all. */
  width: Width | null;
  /** Id of the followed visitor. */
  followed: string | null;
}

export class Stage {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #scroller: HTMLElement;
  readonly #surface: HTMLElement;
  readonly #liveState: LiveState;
  readonly #reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
  readonly #ripples: Ripple[] = Array.from({ length: MAX_RIPPLES }, () => ({
    x: 0,
    y: 0,
    start: Number.NaN,
    colour: '',
  }));
  #nextRipple = 0;
  #sprites = new WeakMap<Badge, HTMLCanvasElement>();
  #view: StageOptions = { page: null, scale: 1, width: null, followed: null };
  #width = 0;
  #height = 0;
  #dpr = 1;
  /** Scale of text and pointers: 1 at the usual font size. */
  #unit = 1;
  /** Stage position of the page's corner in this frame. */
  #left = 0;
  #top = 0;
  /** Length of a trail in this frame, milliseconds of the live state's clock. */
  #trail = TRAIL_MS;
  #frame = 0;
  #animatedUntil = 0;

  /** `surface` is the page within `scroller`; `canvas` lies over the scroller and has its size. */
  constructor(canvas: HTMLCanvasElement, scroller: HTMLElement, surface: HTMLElement, liveState: LiveState) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d') as CanvasRenderingContext2D;
    this.#scroller = scroller;
    this.#surface = surface;
    this.#liveState = liveState;
  }

  /** The page that is shown. */
  get page(): string | null {
    return this.#view.page;
  }

  /** True if the visitor's window size is shown. */
  shows({ visitor }: LiveVisitor): boolean {
    return isOf(visitor.device, this.#view.width);
  }

  /**
   * Sets what is shown. If it is unchanged, draws a single frame, to show joins and leaves: drawing all the time would
   * waste CPU.
   */
  show(view: StageOptions): void {
    const { page, scale, width, followed } = this.#view;
    const isUnchanged =
      page === view.page && scale === view.scale && width === view.width && followed === view.followed;
    this.#view = view;
    if (isUnchanged) this.#drawSoon();
    else this.animate();
  }

  #drawSoon(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(this.#draw);
  }

  /** Sets the canvas to the size of the scroller, CSS pixels. */
  resize(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    const dpr = Math.min(devicePixelRatio, 2, Math.sqrt(MAX_PIXELS / Math.max(1, width * height)));
    const unit = rem() / BASE_REM;
    if (dpr !== this.#dpr || unit !== this.#unit) this.#sprites = new WeakMap();
    this.#dpr = dpr;
    this.#unit = unit;
    this.#canvas.width = Math.round(width * dpr);
    this.#canvas.height = Math.round(height * dpr);
    this.animate();
  }

  /** Draws every frame until the samples that have just arrived are played. */
  animate(): void {
    this.#animatedUntil = performance.now() + this.#liveState.delay + TRAIL_MS + 100;
    this.#drawSoon();
  }

  /** Adds a ripple at the position of a click, page pixels. */
  ripple(x: number, y: number, colour: string): void {
    const ripple = this.#ripples[this.#nextRipple] as Ripple;
    this.#nextRipple = (this.#nextRipple + 1) % MAX_RIPPLES;
    Object.assign(ripple, { x, y, colour, start: this.#liveState.clock.now() + this.#liveState.delay });
    this.animate();
    this.#animatedUntil += RIPPLE_MS;
  }

  /** Removes all ripples, for example when another time is played. */
  clearRipples(): void {
    for (const ripple of this.#ripples) ripple.start = Number.NaN;
    this.animate();
  }

  /** The visitor whose pointer is nearest to a stage position; undefined if none is within reach. */
  at(left: number, top: number): LiveVisitor | undefined {
    let best: LiveVisitor | undefined;
    const middle = (SPRITE.badge / 3) * this.#unit;
    let minimum = (PICK_DISTANCE * this.#unit) ** 2;
    for (const person of this.#liveState.people.values()) {
      if (!this.#isHere(person)) continue;
      const dx = this.#stageX(person.track.x) + middle - left;
      const dy = this.#stageY(person.track.y) + middle - top;
      if (dx * dx + dy * dy > minimum) continue;
      minimum = dx * dx + dy * dy;
      best = person;
    }
    return best;
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = -1;
  }

  #draw = (): void => {
    const now = this.#liveState.clock.now();
    this.#frame = 0;
    const panning = this.#pan();
    this.#left = this.#surface.offsetLeft - this.#scroller.scrollLeft;
    this.#top = this.#surface.offsetTop - this.#scroller.scrollTop;
    this.#context.setTransform(this.#dpr, 0, 0, this.#dpr, 0, 0);
    this.#context.clearRect(0, 0, this.#width, this.#height);
    this.#drawPeople(now);
    this.#drawRipples(now);
    if (panning || performance.now() < this.#animatedUntil) this.#frame = requestAnimationFrame(this.#draw);
  };

  /** Scrolls towards the followed visitor's part of the page. Returns true while there is further to scroll. */
  #pan(): boolean {
    const { followed, scale } = this.#view;
    const person = followed === null ? undefined : this.#liveState.byId(followed);
    if (!person || !this.#isHere(person)) return false;
    const freeHeight = this.#height - person.visitor.size[1] * scale;
    const maxScroll = this.#scroller.scrollHeight - this.#height;
    const target = Math.min(Math.max(0, person.scroll * scale - Math.max(0, freeHeight / 2)), Math.max(0, maxScroll));
    const distance = target - this.#scroller.scrollTop;
    if (Math.abs(distance) < 1) return false;
    this.#scroller.scrollTop += this.#reducedMotion.matches || Math.abs(distance) < 4 ? distance : distance * 0.22;
    return !this.#reducedMotion.matches;
  }

  #drawPeople(now: number): void {
    const { people, delay, clock } = this.#liveState;
    const { followed } = this.#view;
    this.#trail = TRAIL_MS * Math.min(Math.max(clock.speed, 1), MAX_TRAIL_FACTOR);
    const segments = this.#reducedMotion.matches ? 0 : people.size > MAX_FADING_TRAILS ? 1 : TRAIL.length;
    for (const person of people.values()) {
      if (!this.#isHere(person) || !person.track.advance(now, delay)) continue;
      const isFollowed = person.visitor.id === followed;
      const isFaint = (followed !== null && !isFollowed) || person.visitor.hidden;
      if (isFollowed) this.#drawViewport(person);
      this.#drawTrail(person, isFaint ? Math.min(segments, 1) : segments);
      this.#drawPointer(person, isFaint ? 0.4 : 1);
    }
  }

  #isHere({ visitor, track }: LiveVisitor): boolean {
    const { page, width } = this.#view;
    return visitor.page === page && track.count > 0 && isOf(visitor.device, width);
  }

  /** Draws the newest `parts` parts of the trail; 0 draws none. */
  #drawTrail({ track, badge }: LiveVisitor, segments: number): void {
    const { played, index, oldest } = track;
    if (segments === 0 || index <= oldest || !(played - track.timeAt(index) < this.#trail)) return;
    const context = this.#context;
    context.strokeStyle = badge.colour;
    // Round ends of translucent parts would show as dots where they meet.
    context.lineCap = 'butt';
    context.lineJoin = 'round';
    let i = index;
    let x = this.#stageX(track.x);
    let y = this.#stageY(track.y);
    for (let segment = TRAIL.length - 1; segment >= TRAIL.length - segments; segment--) {
      const { from, alpha, width } = TRAIL[segment] as (typeof TRAIL)[number];
      const end = played - (segments === 1 ? 0.5 : from) * this.#trail;
      context.globalAlpha = alpha;
      context.lineWidth = width * this.#unit;
      context.beginPath();
      context.moveTo(x, y);
      for (; i >= oldest && track.timeAt(i) >= end; i--) {
        x = this.#stageX(track.xAt(i));
        y = this.#stageY(track.yAt(i));
        context.lineTo(x, y);
      }
      context.stroke();
    }
  }

  /** Draws a pointer. A pointer outside the stage is a dot at the nearest edge. */
  #drawPointer({ track, badge }: LiveVisitor, alpha: number): void {
    const context = this.#context;
    const x = this.#stageX(track.x);
    const y = this.#stageY(track.y);
    context.globalAlpha = alpha;
    if (x >= -2 && y >= -2 && x <= this.#width && y <= this.#height) {
      const size = SPRITE.size * this.#unit;
      const tip = SPRITE.tip * this.#unit;
      context.drawImage(this.#sprite(badge), this.#snap(x - tip), this.#snap(y - tip), size, size);
      return;
    }
    context.fillStyle = badge.colour;
    context.beginPath();
    context.arc(Math.min(Math.max(x, 7), this.#width - 7), Math.min(Math.max(y, 7), this.#height - 7), 5, 0, 7);
    context.fill();
  }

  #drawViewport(person: LiveVisitor): void {
    const [vw, vh] = person.visitor.size;
    if (vw === 0) return;
    const { scale } = this.#view;
    const context = this.#context;
    context.globalAlpha = 0.8;
    context.strokeStyle = person.badge.colour;
    context.lineWidth = 2;
    context.strokeRect(this.#left + 1, this.#stageY(person.scroll) + 1, vw * scale - 2, vh * scale - 2);
  }

  #drawRipples(now: number): void {
    const context = this.#context;
    const life = RIPPLE_MS * this.#liveState.clock.speed;
    context.lineWidth = 2.5;
    for (const ripple of this.#ripples) {
      const age = (now - ripple.start) / life;
      if (!(age >= 0 && age <= 1)) continue;
      const radius = this.#unit * (this.#reducedMotion.matches ? 16 : 4 + 30 * (1 - (1 - age) ** 3));
      context.strokeStyle = ripple.colour;
      context.globalAlpha = 1 - age;
      context.beginPath();
      context.arc(this.#stageX(ripple.x), this.#stageY(ripple.y), radius, 0, 7);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  #stageX(x: number): number {
    return this.#left + x * this.#view.scale;
  }

  #stageY(y: number): number {
    return this.#top + y * this.#view.scale;
  }

  /** Rounds to whole pixels of the canvas: between pixels, a sprite would be blurred. */
  #snap(value: number): number {
    return Math.round(value * this.#dpr) / this.#dpr;
  }

  /** Arrow and badge, painted once per visitor: a frame then costs one copy each. */
  #sprite(badge: Badge): HTMLCanvasElement {
    const ready = this.#sprites.get(badge);
    if (ready) return ready;
    const sprite = paintSprite(badge, this.#dpr * this.#unit);
    this.#sprites.set(badge, sprite);
    return sprite;
  }
}

function paintSprite({ colour, initials }: Badge, scale: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = Math.round(SPRITE.size * scale);
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  context.scale(scale, scale);
  context.strokeStyle = '#fff';
  context.fillStyle = colour;
  context.lineJoin = 'round';
  context.translate(SPRITE.tip, SPRITE.tip);
  const arrow = new Path2D('M0 0 L5.6 16.4 L8.6 9.4 L15.6 6.4 Z');
  context.lineWidth = 3;
  context.stroke(arrow);
  context.fill(arrow);
  context.translate(-SPRITE.tip, -SPRITE.tip);
  context.lineWidth = 2;
  context.beginPath();
  context.arc(SPRITE.badge, SPRITE.badge, SPRITE.radius, 0, 7);
  context.fill();
  context.stroke();
  context.fillStyle = '#fff';
  context.font = '600 11px system-ui, sans-serif';
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(initials, SPRITE.badge, SPRITE.badge + 0.5);
  return canvas;
}
