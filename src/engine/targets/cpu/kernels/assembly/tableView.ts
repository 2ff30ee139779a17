/**
 * @file What a kernel receives about one table of one staged batch: 32-bit fields in the order that
 * `tableView.ts` of the loader writes them. Pointers are byte offsets into the memory.
 */
@unmanaged
export class TableView {
  /** Row ids of the whole batch, i32. */
  ids!: usize;
  /** First lookup of this table in `ids`. */
  first!: i32;
  /** Lookups of this table. */
  lookups!: i32;
  /** `[size + 1]` starts of this table's bags in `ids`, i32; 0 when each bag holds one id. */
  offsets!: usize;
  /** Inputs in the batch (B). */
  size!: i32;
  /** Rows of the table; ids at or above it are refused. */
  cardinality!: u32;
  /** Which table of the batch this is. */
  table!: u32;
  /** u16 a row: the one table that may look the row up; 0 when any may. */
  owners!: usize;
  /** Floats in a row (D). */
  dim!: i32;
  /** Bytes from a row to the next: D floats padded with zeros to whole vectors. */
  stride!: i32;
  /** Out: distinct rows in order of first appearance, u32. */
  rows!: usize;
  /** Out: for each lookup, the position of its row in `rows`, u32. */
  inverse!: usize;
  /** Open-addressing table of positions + 1, u32; entries = mask + 1, a power of two > lookups. */
  hash!: usize;
  mask!: u32;
  /** Scratch, one byte a distinct row. */
  marks!: usize;
  /** Out: how many distinct rows. */
  count!: i32;
  /** Rows `[cardinality, stride]`. */
  weights!: usize;
  /** First and second optimizer state; 0 when there is none. */
  state0!: usize;
  state1!: usize;
  /** u8 a row, set to `mark` by updates; 0 when nobody asks. */
  changed!: usize;
  mark!: u32;
  /** This table's column of the pooled rows `[B, T, D]`, and of their gradients. */
  output!: usize;
  gradients!: usize;
  /** Bytes from an input to the next in both. */
  outputStride!: i32;
  /** Scratch for coalesced gradients, `[distinct rows, stride]`. */
  sums!: usize;
}
