/** Suggestions for misspelt words. */

/** Returns the known word that differs from `word` by a typo or two; undefined if there is none. */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  const maxDistance = word.length < 4 ? 1 : 2;
  const [best] = [...known]
    .map((one) => ({ one, slips: editDistance(word, one) }))
    .filter(({ slips }) => slips <= maxDistance)
    .sort((a, b) => a.slips - b.slips);
  return best?.one;
}

/** The optimal string alignment distance: missing, extra, wrong and swapped letters. */
function editDistance(a: string, b: string): number {
  // The words differ too much, so the computation is skipped.
  if (Math.abs(a.length - b.length) > 2) return Number.POSITIVE_INFINITY;
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(last, j) + 1,
          at(row, j - 1) + 1,
          at(last, j - 1) + (isSame ? 0 : 1),
          isSwapped ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    [before, last] = [last, row];
  }
  return at(last, b.length);
}

function at(row: readonly number[], i: number): number {
  return row[i] as number;
}

/** The end of an error line about an unknown word. */
export function suggestionText(word: string, known: Iterable<string>): string {
  const suggestion = suggest(word, known);
  return suggestion === undefined ? '' : `; did you mean ${suggestion}?`;
}
