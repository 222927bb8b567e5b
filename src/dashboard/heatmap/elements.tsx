import { useEffect, useRef } from 'preact/hooks';
import type { ClickedElement } from '../../model/heat.ts';
import { colour, repaint } from '../shell/theme.ts';
import { numberText } from '../ui/text.ts';

/** Columns and rows of an element's grid. */
const GRID = 16;
/** Size of the small picture, and of a spot in it, pixels. */
const BOX = { width: 128, height: 80, spot: 7 } as const;

/** The most clicked elements, and where on each the clicks were. */
export function Elements({ elements, total }: { elements: readonly ClickedElement[]; total: number }) {
  return (
    <section class="card elements" aria-label="Most clicked elements">
      <div class="bar">
        <h2>Most clicked</h2>
        <span class="muted">across all layouts</span>
      </div>
      <div class="chapters">
        {elements.length === 0 && <p class="hint">No elements were clicked.</p>}
        <ol>
          {elements.map(({ selector, count, spots }) => (
            <li key={selector} class="element">
              <Spots spots={spots} />
              <code class="selector">{selector}</code>
              <span class="number">{numberText(count)}</span>
              <span class="muted part">{Math.round((100 * count) / Math.max(1, total))} %</span>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

/** The element as a small box, darker where more clicks were. */
function Spots({ spots }: { spots: readonly number[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const round = repaint.value;
  useEffect(() => draw(canvas.current as HTMLCanvasElement, spots), [spots, round]);
  return <canvas ref={canvas} class="spots" width={BOX.width} height={BOX.height} />;
}

function draw(canvas: HTMLCanvasElement, spots: readonly number[]): void {
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  let maxCount = 1;
  for (let i = 2; i < spots.length; i += 3) maxCount = Math.max(maxCount, spots[i] as number);
  context.clearRect(0, 0, BOX.width, BOX.height);
  context.fillStyle = colour('--accent');
  for (let i = 0; i + 2 < spots.length; i += 3) {
    context.globalAlpha = 0.3 + 0.7 * Math.sqrt((spots[i + 2] as number) / maxCount);
    context.beginPath();
    context.arc(
      (((spots[i] as number) + 0.5) * BOX.width) / GRID,
      (((spots[i + 1] as number) + 0.5) * BOX.height) / GRID,
      BOX.spot,
      0,
      7,
    );
    context.fill();
  }
}
