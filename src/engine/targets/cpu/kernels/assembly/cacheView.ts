/**
 * @file What a kernel receives about the newest tokens of one text in one layer and the cache that they attend to:
 * 32-bit fields in the order that `src/llm/cpu/cacheView.ts` writes them. Pointers are byte offsets into the memory.
 */
@unmanaged
export class CacheView {
  heads!: i32;
  kvHeads!: i32;
  headDim!: i32;
  /** Slots that a KV head has room for. */
  capacity!: i32;
  /** i32 `[kvHeads]`: live entries, the newest tokens being the last of them. */
  lengths!: usize;
  /** `[kvHeads, capacity, headDim]` */
  keys!: usize;
  values!: usize;
  /** i32 `[kvHeads, capacity]`: positions in the text. */
  positions!: usize;
  /** i32 `[kvHeads, capacity]`: positions for rotation and ALiBi; `positions`, unless entries are numbered anew. */
  places!: usize;
  /** f32 `[kvHeads, capacity]` */
  scores!: usize;
  /** Keys as attention reads them: `keys`, or a copy that is turned by `places`. */
  turned!: usize;
  /** The newest tokens. */
  tokens!: i32;
  /** Rows of the newest tokens: `[tokens, heads · headDim]`, `[tokens, kvHeads · headDim]` twice. */
  q!: usize;
  k!: usize;
  v!: usize;
  /** `[tokens, heads · headDim]` */
  attended!: usize;
  /** Position in the text of the first of them. */
  first!: i32;
  /** Whether the entry of position p lies in slot p. */
  isOrdered!: i32;
  scale!: f32;
  /** Tokens that a query sees, itself included; 0 for all. */
  window!: i32;
  /** f32 `[heads]`; 0 for none. */
  slopes!: usize;
  /** Elements of a head that are rotated; 0 for none. */
  rotaryDim!: i32;
  isInterleaved!: i32;
  /** f32 `[places, 2, rotaryDim / 2]`: cosines, then sines, from place `anglesFrom` on. */
  angles!: usize;
  anglesFrom!: i32;
  /** Position of the first query whose row is scored. */
  firstScored!: i32;
  noise!: i32;
  /** Noise is that of query 0 for every query. */
  isNoisePerKey!: i32;
  /** Scores of a group are the highest of its heads, not their sum. */
  takesHighest!: i32;
  /** What a score is multiplied by before a decoded token's row is added; 0 puts the row in its place. */
  damping!: f32;
  /** What the sum over a group is multiplied by. */
  share!: f32;
  temperature!: f32;
  seedLow!: u32;
  seedHigh!: u32;
  stream!: u32;
  layer!: u32;
}
