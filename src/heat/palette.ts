/** Colours of a heatmap: no count is transparent, few are a faint blue, the maximum is red. */

/** Palette indexes of the lines of a scroll map and of their edges; lower indexes are the scale. */
export const LINE = 255;
export const EDGE = 254;
export const HOTTEST = 253;

type Colour = readonly [red: number, green: number, blue: number, opacity: number];

/** Evenly spaced colours, which are blended in between. The first is for no count. */
const STOPS: readonly Colour[] = [
  [49, 54, 205, 0],
  [40, 90, 235, 120],
  [0, 175, 225, 165],
  [60, 200, 90, 180],
  [245, 220, 50, 195],
  [250, 140, 30, 205],
  [215, 25, 30, 215],
];

/** Flat: red, green, blue, opacity of each index. */
export const PALETTE = Uint8Array.from(
  Array.from({ length: 256 }, (_, i): Colour => {
    if (i === LINE) return [255, 255, 255, 255];
    return i === EDGE ? [20, 24, 32, 255] : interpolate((i / HOTTEST) * (STOPS.length - 1));
  }).flat(),
);

function interpolate(at: number): Colour {
  const i = Math.min(Math.floor(at), STOPS.length - 2);
  const [from, to] = [STOPS[i] as Colour, STOPS[i + 1] as Colour];
  const channel = (k: 0 | 1 | 2 | 3) => Math.round(from[k] + (to[k] - from[k]) * (at - i));
  return [channel(0), channel(1), channel(2), channel(3)];
}
