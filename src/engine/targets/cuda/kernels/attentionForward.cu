// Attention: out = softmax(scale · q kᵀ + distances, not allowed = −1e30) v and lse = ln Σ exp of the scores, by online
// softmax: scores never leave the chip, and tiles of keys that no query of a block sees are skipped. For sm_80 and later; attentionForwardStreamed is the same for sm_90a.
//
//   q, out [B, H, T, D]; k, v [B, H / group, S, D]; lse [B, H, T] float32; mask: see MaskStrides, read with MASKED only.
//   S ≥ 1. A query that sees no key weighs all S keys alike. lengths [B], read with LENGTHS only: queries past them give 0.
//
// One block: BQ = 16 · WARPS queries of one head; it walks over tiles of BN keys from the last to the first.
// Launch: ⌈T / BQ⌉ · B · H blocks of 32 · WARPS threads, the longest rows first.
// Shared bytes: 1024 + TILE_BYTES(BQ) + 4 · TILE_BYTES(BN).
// Macros: D (a multiple of 16), WARPS, BN; those of attentionSight.cuh; HALF or not.

#include "attentionWarps.cuh"

#define BQ (WARPS * 16)

extern "C" __global__ void __launch_bounds__(THREADS, 1)
attentionForward(const element* q, const element* k, const element* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                 element* out, float* lse, int heads, int group, int queries, int keys, float scale) {
  unsigned char* memory = shared_tiles();
  word qTile = shared_address(memory), kTiles = qTile + TILE_BYTES(BQ), vTiles = kTiles + 2 * TILE_BYTES(BN);
  int tiles = (queries + BQ - 1) / BQ;
  Work work = work_of_block(tiles);
  int first = (tiles - 1 - work.tile) * BQ;
  Sight sight = sight_of_head(mask, strides, lengths, work.head, heads, queries, keys);
#ifdef LENGTHS
  if (first >= sight.queries) {
    clear_rows(out + (long long)work.head * queries * D, first, BQ, queries);
    return;
  }
#endif
  long long queryRows = (long long)work.head * queries, keyRows = (long long)key_head(work.head, heads, group) * keys;

  int row = first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  float s[BN / 2], o[D / 2], top[2] = {-INFINITY_F, -INFINITY_F}, total[2] = {0.f, 0.f}, shrink[2];
  word p[BN / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) o[i] = 0.f;

  auto load = [&](int n) {
    load_tile<BN>(kTiles + n % 2 * TILE_BYTES(BN), k + keyRows * D, n * BN, sight.keys);
    load_tile<BN>(vTiles + n % 2 * TILE_BYTES(BN), v + keyRows * D, n * BN, sight.keys);
    cp_async_commit();
  };
  int last = (sight.keys_end(first + BQ - 1) - 1) / BN, begin = sight.keys_begin(first) / BN;
  load_tile<BQ>(qTile, q + queryRows * D, first, sight.queries);
  load(last);
  for (int n = last; n >= begin; --n) {
    tiles_arrived();  // tile n; and every warp is done with tile n + 1
    if (n > begin) load(n - 1);
    product_rows<BQ, BN>(s, qTile, kTiles + n % 2 * TILE_BYTES(BN));
    bool edge = (n + 1) * BN > sight.keys || sight.partial(first, first + BQ - 1, n * BN, (n + 1) * BN - 1);
    soften<BN>(s, scale * LOG2E, edge, row, n * BN, sight, top, total, shrink);
#pragma unroll
    for (int i = 0; i < D / 2; ++i) o[i] *= shrink[i % 4 / 2];
    pack_operand<BN>(p, s);
    product_columns<BN>(o, p, vTiles + n % 2 * TILE_BYTES(BN));
  }
  finish_rows(top, total, row, queries, lse + queryRows);
  __syncthreads();  // every warp is done with the queries
  store_tile<BQ>(o, row < sight.queries ? 1.f / total[0] : 0.f, row + 8 < sight.queries ? 1.f / total[1] : 0.f, memory, out + queryRows * D, first, queries);
}
