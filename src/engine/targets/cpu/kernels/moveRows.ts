/**
 * @file The one kernel that touches two memories, which a WebAssembly instance of one memory cannot: moving
 * listed rows between arenas. Plain TypeScript over 32-bit words, so bit patterns survive, NaNs included.
 */

/** A memory by 32-bit words and by bytes. */
interface MemoryViews {
  words: Int32Array;
  bytes: Uint8Array;
}

/** What to move. Pointers are byte offsets; the *near* memory is the one that holds the lists. */
export interface RowMove {
  /** `in`: far rows are copied into the near memory; `out`: near rows into the far one. */
  direction: "in" | "out";
  nearBase: number;
  /** u32 list of near rows, or 0 for 0, 1, 2 … */
  nearRows: number;
  farBase: number;
  /** u32 list of far rows; those outside [low, high) are skipped, and low is subtracted from the others. */
  farRows: number;
  count: number;
  low: number;
  high: number;
  /** 32-bit words from a row to the next, on both sides. */
  words: number;
  /** Byte map of source rows: only rows whose byte equals `mark` are copied. 0: all are. */
  onlyMarked: number;
  mark: number;
  /** Byte map of target rows that receives `mark` where a row was copied. 0: none. */
  leaveMark: number;
  /** Where the near memory receives the number of rows copied, i32. 0: nowhere. */
  copied: number;
}

/** The arguments of a `moveRows` task. */
export function moveRowsArguments(move: RowMove): number[] {
  const { nearBase, nearRows, farBase, farRows, count, low, high, words } = move;
  const direction = move.direction === "in" ? 0 : 1;
  const rows = [direction, nearBase, nearRows, farBase, farRows, count, low, high, words];
  return rows.concat(move.onlyMarked, move.mark, move.leaveMark, move.copied);
}

/**
 * Runs a `moveRows` task.
 * @param args what {@link moveRowsArguments} made
 * @returns 0
 */
export function moveRows(near: MemoryViews, far: MemoryViews, args: Float64Array): number {
  const isIn = args[0] === 0;
  // Places in words fit 31 bits; saying so keeps the loop over a row in integers.
  const nearBase = (args[1]! / 4) | 0;
  const nearRows = (args[2]! / 4) | 0;
  const farBase = (args[3]! / 4) | 0;
  const farRows = (args[4]! / 4) | 0;
  const count = args[5]! | 0;
  const low = args[6]! | 0;
  const high = args[7]! | 0;
  const words = args[8]! | 0;
  const onlyMarked = args[9]!;
  const mark = args[10]!;
  const leaveMark = args[11]!;
  const copied = args[12]!;
  const lists = near.words;
  const source = isIn ? far.words : near.words;
  const target = isIn ? near.words : far.words;
  const marks = isIn ? far.bytes : near.bytes;
  const left = isIn ? near.bytes : far.bytes;
  let moved = 0;
  for (let i = 0; i < count; i++) {
    const listed = lists[farRows + i]!;
    if (listed < low || listed >= high) continue;
    const farRow = (listed - low) | 0;
    const nearRow = nearRows === 0 ? i : lists[nearRows + i]!;
    if (onlyMarked !== 0 && marks[onlyMarked + (isIn ? farRow : nearRow)] !== mark) continue;
    const nearAt = (nearBase + Math.imul(nearRow, words)) | 0;
    const farAt = (farBase + Math.imul(farRow, words)) | 0;
    let from = isIn ? farAt : nearAt;
    let to = isIn ? nearAt : farAt;
    const end = (to + words) | 0;
    for (; to < end; to = (to + 1) | 0, from = (from + 1) | 0) target[to] = source[from]!;
    if (leaveMark !== 0) left[leaveMark + (isIn ? nearRow : farRow)] = mark;
    moved++;
  }
  if (copied !== 0) near.words[copied / 4] = moved;
  return 0;
}
