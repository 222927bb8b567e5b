/** The last minute of one visitor: the number of samples per second, and a small graph of it. */
import { ACTIVITY_DIGITS, ACTIVITY_SECONDS } from '../../protocol/stream-event.ts';

/** Samples per second of a pointer in constant motion: the top of the graph. */
const FULL = 60;

export class Activity {
  readonly #seconds = new Uint16Array(ACTIVITY_SECONDS);
  #head = 0;

  /** Adds the past second. */
  add(samples: number): void {
    this.#head = (this.#head + 1) % ACTIVITY_SECONDS;
    this.#seconds[this.#head] = Math.min(Math.max(0, samples), 65_535);
  }

  /** Fills in the last seconds from a snapshot: one digit per second, the newest last. Known seconds stay. */
  fill(seconds: string): void {
    for (let ago = 0; ago < Math.min(seconds.length, ACTIVITY_SECONDS); ago++) {
      const i = (this.#head - ago + ACTIVITY_SECONDS) % ACTIVITY_SECONDS;
      const samples = ACTIVITY_DIGITS.indexOf(seconds[seconds.length - 1 - ago] as string);
      this.#seconds[i] = Math.max(this.#seconds[i] as number, samples);
    }
  }

  /** Samples of the second that ended `ago` seconds ago. */
  at(ago: number): number {
    return this.#seconds[(this.#head - ago + ACTIVITY_SECONDS * 2) % ACTIVITY_SECONDS] as number;
  }
}

/** Draws the last minute on the whole canvas, the oldest second on the left, in one colour. */
export function drawActivity(canvas: HTMLCanvasElement, activity: Activity, colour: string): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const { width, height } = canvas;
  const step = width / (ACTIVITY_SECONDS - 1);
  context.clearRect(0, 0, width, height);
  context.beginPath();
  context.moveTo(0, height);
  for (let ago = ACTIVITY_SECONDS - 1; ago >= 0; ago--) {
    const share = Math.sqrt(Math.min(1, activity.at(ago) / FULL));
    context.lineTo((ACTIVITY_SECONDS - 1 - ago) * step, height - 1 - share * (height - 3));
  }
  context.strokeStyle = colour;
  context.lineWidth = Math.max(1, height / 20);
  context.lineJoin = 'round';
  context.stroke();
  context.lineTo(width, height);
  context.closePath();
  context.globalAlpha = 0.22;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}
