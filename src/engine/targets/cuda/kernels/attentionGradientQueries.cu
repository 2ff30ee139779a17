// The gradient of attention by queries: dq = scale · ds k, with ds = p (dp − delta) made anew as in
// attentionGradientKeys. One block owns its rows of dq and adds in a fixed order.
// For sm_80 and later; attentionGradientQueriesStreamed is the same for sm_90a.
//
//   q, dout, dq [B, H, T, D]; k, v [B, H / group, S, D]; rows [B, H, T] pairs made by attentionDelta;
//   mask: see MaskStrides, read with MASKED only; lengths [B], with LENGTHS only: rows past them are 0.
// One block: BQ = 16 · WARPS queries of one head; it walks over tiles of BN keys.
// Launch: ⌈T / BQ⌉ · B · H blocks of 32 · WARPS threads, the longest rows first.
// Shared bytes: 1024 + 2 · TILE_BYTES(BQ) + 4 · TILE_BYTES(BN).
// Macros: D (a multiple of 16), WARPS, BN; those of attentionSight.cuh; HALF or not.

#include "attentionWarps.cuh"

#define BQ (WARPS * 16)

extern "C" __global__ void __launch_bounds__(THREADS, 1)
attentionGradientQueries(const element* q, const element* k, const element* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                         const element* dout, const float2* rows, element* dq, int heads, int group, int queries, int keys, float scale) {
  unsigned char* memory = shared_tiles();
  word qTile = shared_address(memory), doutTile = qTile + TILE_BYTES(BQ);
  word kTiles = doutTile + TILE_BYTES(BQ), vTiles = kTiles + 2 * TILE_BYTES(BN);
  int tiles = (queries + BQ - 1) / BQ;
  Work work = work_of_block(tiles);
  int first = (tiles - 1 - work.tile) * BQ;
  Sight sight = sight_of_head(mask, strides, lengths, work.head, heads, queries, keys);
#ifdef LENGTHS
  if (first >= sight.queries) {
    clear_rows(dq + (long long)work.head * queries * D, first, BQ, queries);
    return;
  }
#endif
  long long queryRows = (long long)work.head * queries, keyRows = (long long)key_head(work.head, heads, group) * keys;
  int begin = sight.keys_begin(first) / BN, end = (sight.keys_end(first + BQ - 1) + BN - 1) / BN;

  int row = first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  float2 pair[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) pair[h] = row + 8 * h < sight.queries ? rows[queryRows + row + 8 * h] : make_float2(0.f, 0.f);
  float acc[D / 2], s[BN / 2], dp[BN / 2];
  word ds[BN / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) acc[i] = 0.f;

  auto load = [&](int n) {
    load_tile<BN>(kTiles + n % 2 * TILE_BYTES(BN), k + keyRows * D, n * BN, sight.keys);
    load_tile<BN>(vTiles + n % 2 * TILE_BYTES(BN), v + keyRows * D, n * BN, sight.keys);
    cp_async_commit();
  };
  load_tile<BQ>(qTile, q + queryRows * D, first, sight.queries);
  load_tile<BQ>(doutTile, dout + queryRows * D, first, sight.queries);
  load(begin);
  for (int n = begin; n < end; ++n) {
    tiles_arrived();  // tile n; and every warp is done with the tile before
    if (n + 1 < end) load(n + 1);
    word kTile = kTiles + n % 2 * TILE_BYTES(BN), vTile = vTiles + n % 2 * TILE_BYTES(BN);
    product_rows<BQ, BN>(s, qTile, kTile);
    product_rows<BQ, BN>(dp, doutTile, vTile);
    bool edge = (n + 1) * BN > sight.keys || sight.partial(first, first + BQ - 1, n * BN, (n + 1) * BN - 1);
    query_weights<BN>(s, scale * LOG2E, edge, row, n * BN, sight, pair);
    query_score_gradients<BN>(dp, s, pair);
    pack_operand<BN>(ds, dp);
    product_columns<BN>(acc, ds, kTile);
  }
  __syncthreads();  // every warp is done with the queries
  store_tile<BQ>(acc, row < sight.queries ? scale : 0.f, row + 8 < sight.queries ? scale : 0.f, memory, dq + queryRows * D, first, queries);
}
