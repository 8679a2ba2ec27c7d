/** Finds what somebody most likely meant to write. */

/**
 * Counts the edits between two words: insert, delete, replace, or swap of two neighbours (optimal string alignment).
 */
export function editDistance(a: string, b: string): number {
  // Three rows of the usual table: two back (for the swap), the last one, and the current one.
  let twoBack: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(at(last, j) + 1, at(row, j - 1) + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, at(twoBack, j - 2) + 1);
      }
      row.push(best);
    }
    twoBack = last;
    last = row;
  }
  return at(last, b.length);
}

/** The candidate that is nearest to a word, where it is near enough to be meant: at most a third of it differs. */
export function nearMiss(word: string, candidates: readonly string[]): string | undefined {
  const simple = simplify(word);
  // Longer words are no near miss of any key, and the table grows with the square.
  if (simple.length > 40) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(simple.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(simple, simplify(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `catchAll`, `catch-all` and `Catch_All` are all meant as `catch_all`. */
function simplify(word: string): string {
  return word.replace(/[-_ ]/g, "").toLowerCase();
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
