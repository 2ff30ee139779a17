/** @file Which sequences of a read are computed together on a GPU, so that rows take little memory beside caches. */

/** Rows of several sequences computed together, at most; a longer sequence is computed alone. */
const GROUP_ROWS = 4096;

/** Sequences `from` … `to` − 1, and their rows. */
export interface PrefillGroup {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

/** The groups of sequences of some lengths, in their order. */
export function prefillGroups(lengths: readonly number[]): PrefillGroup[] {
  const groups: PrefillGroup[] = [];
  for (let from = 0; from < lengths.length;) {
    let [to, rows] = [from, 0];
    do rows += lengths[to++]!;
    while (to < lengths.length && rows + lengths[to]! <= GROUP_ROWS);
    groups.push({ from, to, rows });
    from = to;
  }
  return groups;
}
