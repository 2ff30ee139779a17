// What attentionGradientQueries defines, for sm_90a and D of 64 or 128: one warpgroup copies, two compute, as in
// attentionForwardStreamed.
//
// One block: BQ = 16 · WARPS queries of one head; it walks over tiles of BN keys.
// Launch: ⌈T / BQ⌉ · B · H blocks of 32 · WARPS + 128 threads, the longest rows first.
// Shared bytes: 1024 + 2 · TILE_BYTES(BQ) + 2 · STAGES · TILE_BYTES(BN).
// Macros: D, WARPS (8), BN (64), STAGES; those of attentionSight.cuh; HALF or not.

#include "attentionWarpgroups.cuh"

#define BQ (WARPS * 16)

extern "C" __global__ void __launch_bounds__(THREADS + 128, 1)
attentionGradientQueriesStreamed(const element* q, const element* k, const element* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                                 const element* dout, const float2* rows, element* dq, int heads, int group, int queries, int keys, float scale) {
  __shared__ unsigned long long barriers[2 * STAGES];
  unsigned char* memory = shared_tiles();
  word qTile = shared_address(memory), doutTile = qTile + TILE_BYTES(BQ);
  word kTiles = doutTile + TILE_BYTES(BQ), vTiles = kTiles + STAGES * TILE_BYTES(BN);
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

  Ring<STAGES> ring;
  ring.init(shared_address(barriers));
  fence_shared_for_wgmma();
  __syncthreads();

  if (threadIdx.x >= THREADS) {
    registers_lower<40>();
    Loader loader;
    load_tile<BQ>(qTile, q + queryRows * D, first, sight.queries);
    load_tile<BQ>(doutTile, dout + queryRows * D, first, sight.queries);
    for (int n = begin; n < end; ++n) {
      loader.acquire(ring, n - begin);
      load_tile<BN>(kTiles + (n - begin) % STAGES * TILE_BYTES(BN), k + keyRows * D, n * BN, sight.keys);
      load_tile<BN>(vTiles + (n - begin) % STAGES * TILE_BYTES(BN), v + keyRows * D, n * BN, sight.keys);
      loader.commit(ring, n - begin);
    }
    loader.finish();
    return;
  }

  registers_raise<232>();
  int row = first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  float scaleLog2 = scale * LOG2E;
  float2 pair[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) pair[h] = row + 8 * h < sight.queries ? rows[queryRows + row + 8 * h] : make_float2(0.f, 0.f);
  float acc[D / 2], s[BN / 2], dp[BN / 2];
  word ds[BN / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) acc[i] = 0.f;

  for (int n = begin; n < end; ++n) {
    word kTile = kTiles + (n - begin) % STAGES * TILE_BYTES(BN), vTile = vTiles + (n - begin) % STAGES * TILE_BYTES(BN);
    ring.wait(n - begin);
    // s = q kₙᵀ and dp = dout vₙᵀ; behind them dq += ds k of the tile before, which goes on while ds is made anew
    wgmma_fence();
    product_rows<BQ, BN>(s, qTile, kTile);
    wgmma_commit();
    product_rows<BQ, BN>(dp, doutTile, vTile);
    wgmma_commit();
    if (n > begin) product_columns<BN>(acc, ds, kTiles + (n - begin - 1) % STAGES * TILE_BYTES(BN));
    wgmma_commit();
    wgmma_wait<2>();
    pin(s);
    bool edge = (n + 1) * BN > sight.keys || sight.partial(first, first + BQ - 1, n * BN, (n + 1) * BN - 1);
    query_weights<BN>(s, scaleLog2, edge, row, n * BN, sight, pair);
    wgmma_wait<1>();
    pin(dp);
    query_score_gradients<BN>(dp, s, pair);
    wgmma_wait<0>();
    pin(acc);
    pin(ds);
    if (n > begin) ring.release(n - begin - 1);
    pack_operand<BN>(ds, dp);
  }
  wgmma_fence();
  product_columns<BN>(acc, ds, kTiles + (end - 1 - begin) % STAGES * TILE_BYTES(BN));
  wgmma_commit();
  wgmma_wait<0>();
  pin(acc);
  COMPUTERS_SYNC();  // every warpgroup is done with the queries
  store_tile<BQ>(acc, row < sight.queries ? scale : 0.f, row + 8 < sight.queries ? scale : 0.f, memory, dq + queryRows * D, first, queries);
}
