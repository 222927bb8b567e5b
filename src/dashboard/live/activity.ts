/** One visitor's last minute: how many samples each second brought, and its small graph. */
import { ACTIVITY_DIGITS, ACTIVITY_SECONDS } from '../../protocol/stream-event.ts';

/** A pointer in full motion gives about this many samples a second; the graph's top. */
const FULL = 60;

export class Activity {
  readonly #seconds = new Uint16Array(ACTIVITY_SECONDS);
  #head = 0;

  /** Adds the second that has just passed. */
  add(samples: number): void {
    this.#head = (this.#head + 1) % ACTIVITY_SECONDS;
    this.#seconds[this.#head] = Math.min(Math.max(0, samples), 65_535);
  }

  /** Takes the last seconds as a snapshot tells them: a digit for each, the newest last. What is known already stays. */
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

/** Draws the last minute over the whole canvas, oldest left, in one colour. */
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
