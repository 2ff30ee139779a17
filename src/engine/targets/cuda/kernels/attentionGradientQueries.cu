// The gradient of attention by queries: dq = scale · ds k, with ds = p (dp − delta) recomputed as in
// attentionGradientKeys. One block owns its rows of dq and adds in a fixed order.
//
//   q, dout, dq [B, H, T, D]; k, v [B, H / group, S, D]; rows [B, H, T] pairs made by attentionDelta.
// One block: BQ = 16 · WARPS queries of one head; it walks over tiles of BN keys.
// Launch: ⌈T / BQ⌉ · B · H blocks of 32 · WARPS threads, the longest rows first.
// Shared bytes: 1024 + 2 · TILE_BYTES(BQ) + 6 · TILE_BYTES(BN).
// Macros: D (a multiple of 16, with WGMMA 64 or 128), WARPS, BN, HEADS_TOGETHER; CAUSAL, MASKED, HALF, WGMMA or not.

#include "attentionTiles.cuh"

#define BQ (WARPS * 16)
#define STAGES 3

extern "C" __global__ void __launch_bounds__(THREADS, 1)
attentionGradientQueries(const element* q, const element* k, const element* v,
#ifdef MASKED
                         const unsigned char* mask, MaskStrides strides,
#endif
                         const element* dout, const float2* rows, element* dq, int batchHeads, int heads, int group, int queries, int keys, float scale) {
  unsigned char* memory = shared_tiles();
  word qTile = shared_address(memory), doutTile = qTile + TILE_BYTES(BQ), kTiles = doutTile + TILE_BYTES(BQ), vTiles = kTiles + STAGES * TILE_BYTES(BN);
  int tiles = (queries + BQ - 1) / BQ;
  Work work = work_of_block(tiles, batchHeads);
  int first = (tiles - 1 - work.tile) * BQ;
  int kvHead = work.head / heads * (heads / group) + work.head % heads / group;
  q += (long long)work.head * queries * D;
  dout += (long long)work.head * queries * D;
  rows += (long long)work.head * queries;
  k += (long long)kvHead * keys * D;
  v += (long long)kvHead * keys * D;
#ifdef MASKED
  mask += (long long)(work.head / heads) * strides.batch + (long long)(work.head % heads) * strides.head;
#else
  const unsigned char* mask = 0;
  MaskStrides strides = {0, 0, 0, 0};
#endif

  int count = (keys + BN - 1) / BN;
#if defined(CAUSAL) && !defined(MASKED)
  if (keys >= queries) count = min(count, (first + BQ - 1 + keys - queries) / BN + 1);
#endif

  int lane = threadIdx.x % 32;
  int row = first + threadIdx.x / 32 * 16 + lane / 4;
  float scaleLog2 = scale * LOG2E;
  float2 pair[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) pair[h] = row + 8 * h < queries ? rows[row + 8 * h] : make_float2(0.f, 0.f);
  float acc[D / 2], s[BN / 2], dp[BN / 2];
  word ds[BN / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) acc[i] = 0.f;

  load_tile<BQ>(qTile, q, first, queries);
  load_tile<BQ>(doutTile, dout, first, queries);
  load_tile<BN>(kTiles, k, 0, keys);
  load_tile<BN>(vTiles, v, 0, keys);
  cp_async_commit();

  for (int n = 0; n < count; ++n) {
    tiles_arrived<0>();  // tile n; and every warp is done with tile n − 2
    if (n + 1 < count) {
      load_tile<BN>(kTiles + (n + 1) % STAGES * TILE_BYTES(BN), k, (n + 1) * BN, keys);
      load_tile<BN>(vTiles + (n + 1) % STAGES * TILE_BYTES(BN), v, (n + 1) * BN, keys);
    }
    cp_async_commit();

    // s = q kₙᵀ and dp = dout vₙᵀ; behind them dq += ds k of the tile before, which goes on while ds is made anew.
    PRODUCT_BEGIN;
    product_rows<BQ, BN>(s, qTile, kTiles + n % STAGES * TILE_BYTES(BN));
    PRODUCT_COMMIT;
    product_rows<BQ, BN>(dp, doutTile, vTiles + n % STAGES * TILE_BYTES(BN));
    PRODUCT_COMMIT;
    if (n > 0) product_columns<BN>(acc, ds, kTiles + (n - 1) % STAGES * TILE_BYTES(BN));
    PRODUCT_COMMIT;
    PRODUCT_WAIT(2);
    product_pin(s);
#pragma unroll
    for (int i = 0; i < BN / 2; ++i) s[i] = exp2_approx(s[i] * scaleLog2 - pair[i % 4 / 2].x);
    bool edge = (n + 1) * BN > keys;
#if defined(MASKED)
    edge = true;
#elif defined(CAUSAL)
    edge = edge || (n + 1) * BN - 1 > first + keys - queries;
#endif
    if (edge) {
#pragma unroll
      for (int i = 0; i < BN / 2; ++i) {
        int key = n * BN + i / 4 * 8 + lane % 4 * 2 + i % 2, query = row + i % 4 / 2 * 8;
        if (key >= keys || !allowed(query, key, queries, keys, mask, strides)) s[i] = 0.f;
      }
    }
    PRODUCT_WAIT(1);
    product_pin(dp);
#pragma unroll
    for (int i = 0; i < BN / 2; ++i) dp[i] = s[i] * (dp[i] - pair[i % 4 / 2].y);
    PRODUCT_WAIT(0);
    product_pin(acc);
    product_pin(ds);
    pack_operand<BN>(ds, dp);
  }
  PRODUCT_BEGIN;
  product_columns<BN>(acc, ds, kTiles + (count - 1) % STAGES * TILE_BYTES(BN));
  PRODUCT_COMMIT;
  PRODUCT_WAIT(0);
  product_pin(acc);
  cp_async_wait<0>();
  __syncthreads();
  store_tile<BQ>(acc, scale, scale, memory, dq + (long long)work.head * queries * D, first, queries);
}
