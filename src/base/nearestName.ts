/**
 * @file The known name nearest to a mistyped one, by edit distance (Levenshtein, case folded). Pure; for error messages.
 */

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

/** The name nearest to `wanted`, or null when none is close: more than half of the letters differ, or all of them. */
export function nearestName(wanted: string, names: readonly string[]): string | null {
  const target = wanted.toLowerCase();
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(target.length / 2)) + 1;
  for (const name of names) {
    const distance = editDistance(target, name.toLowerCase());
    if (distance < bestDistance && distance < Math.max(target.length, name.length)) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}
