// The gradient of attention by keys and values (Dao, FlashAttention-2, Algorithm 2, transposed): with
// p = exp(scale · q kᵀ − lse), dp = dout vᵀ and ds = p (dp − delta):  dv = pᵀ dout, dk = scale · dsᵀ q,
// summed over the `group` query heads of a key head. One block owns its rows of dk and dv and adds in a fixed order.
//
//   q, dout [B, H, T, D]; k, v, dk, dv [B, H / group, S, D]; rows [B, H, T] pairs made by attentionDelta.
// One block: BK = 16 · WARPS keys of one key head; it walks over tiles of BM queries of each query head.
// Launch: ⌈S / BK⌉ · B · H / group blocks of 32 · WARPS threads, the longest columns first.
// Shared bytes: 1024 + 2 · TILE_BYTES(BK) + 3 · (2 · TILE_BYTES(BM) + 8 · BM).
// Macros: D (a multiple of 16, with WGMMA 64 or 128), WARPS, BM (at most 64), HEADS_TOGETHER; CAUSAL, MASKED, HALF, WGMMA or not.

#include "attentionTiles.cuh"

#define BK (WARPS * 16)
#define STAGES 3

extern "C" __global__ void __launch_bounds__(THREADS, 1)
attentionGradientKeys(const element* q, const element* k, const element* v,
#ifdef MASKED
                      const unsigned char* mask, MaskStrides strides,
#endif
                      const element* dout, const float2* rows, element* dk, element* dv, int batchKeyHeads, int heads, int group, int queries, int keys, float scale) {
  unsigned char* memory = shared_tiles();
  word kTile = shared_address(memory), vTile = kTile + TILE_BYTES(BK), qTiles = vTile + TILE_BYTES(BK);
  word doutTiles = qTiles + STAGES * TILE_BYTES(BM), rowTiles = doutTiles + STAGES * TILE_BYTES(BM);
  const float4* rowMemory = (const float4*)(memory + (rowTiles - kTile));
  Work work = work_of_block((keys + BK - 1) / BK, batchKeyHeads);
  int first = work.tile * BK;
  int keyHeads = heads / group, batch = work.head / keyHeads, head = work.head % keyHeads * group;
  long long queryHead = (long long)batch * heads + head;
  k += (long long)work.head * keys * D;
  v += (long long)work.head * keys * D;

  // Query tiles that see none of these keys are skipped where every query sees a key.
  int tiles = (queries + BM - 1) / BM, from = 0;
#if defined(CAUSAL) && !defined(MASKED)
  if (keys >= queries) from = min(tiles, max(0, (first - (keys - queries)) / BM));
#endif
  int span = tiles - from, count = span * group;

  int lane = threadIdx.x % 32;
  int row = first + threadIdx.x / 32 * 16 + lane / 4;
  float scaleLog2 = scale * LOG2E;
  float accK[D / 2], accV[D / 2], s[BM / 2], dp[BM / 2];
  word p[BM / 4], ds[BM / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) accK[i] = accV[i] = 0.f;

  auto load = [&](int at) {
    int stage = at % STAGES, start = (from + at % span) * BM;
    long long offset = (queryHead + at / span) * queries;
    load_tile<BM>(qTiles + stage * TILE_BYTES(BM), q + offset * D, start, queries);
    load_tile<BM>(doutTiles + stage * TILE_BYTES(BM), dout + offset * D, start, queries);
    int i = threadIdx.x;
    if (i < BM) cp_async_8(rowTiles + (stage * BM + i) * 8, rows + offset + start + i, start + i < queries);
  };
  load_tile<BK>(kTile, k, first, keys);
  load_tile<BK>(vTile, v, first, keys);
  if (count > 0) load(0);
  cp_async_commit();

  bool edge = false;
  for (int at = 0; at < count; ++at) {
    tiles_arrived<0>();  // tile `at`; and every warp is done with tile at − 2
    if (at + 1 < count) load(at + 1);
    cp_async_commit();
    int stage = at % STAGES, before = (at + STAGES - 1) % STAGES, start = (from + at % span) * BM;

    // s = k qᵀ and dp = v doutᵀ, with keys as rows; behind them dv += p dout and dk += ds q of the tile before, which
    // go on while this tile's p and ds are made.
    PRODUCT_BEGIN;
    product_rows<BK, BM>(s, kTile, qTiles + stage * TILE_BYTES(BM));
    PRODUCT_COMMIT;
    product_rows<BK, BM>(dp, vTile, doutTiles + stage * TILE_BYTES(BM));
    PRODUCT_COMMIT;
    if (at > 0) {
      product_columns<BM>(accV, p, doutTiles + before * TILE_BYTES(BM));
      product_columns<BM>(accK, ds, qTiles + before * TILE_BYTES(BM));
    }
    PRODUCT_COMMIT;
    PRODUCT_WAIT(2);
    product_pin(s);

#if defined(MASKED)
    edge = true;
    const unsigned char* headMask = mask + (long long)batch * strides.batch + (long long)(head + at / span) * strides.head;
#else
    const unsigned char* headMask = 0;
    MaskStrides strides = {0, 0, 0, 0};
#if defined(CAUSAL)
    edge = first + BK - 1 > start + keys - queries;
#endif
#endif
    const float4* pairs = rowMemory + stage * (BM / 2);  // of two queries each
    unsigned int blocked = 0;
#pragma unroll
    for (int j = 0; j < BM / 8; ++j) {
      float4 two = pairs[4 * j + lane % 4];
#pragma unroll
      for (int e = 0; e < 4; ++e) s[4 * j + e] = exp2_approx(s[4 * j + e] * scaleLog2 - (e % 2 ? two.z : two.x));
    }
    if (edge) {
#pragma unroll
      for (int j = 0; j < BM / 8; ++j) {
        float4 two = pairs[4 * j + lane % 4];
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          int query = start + j * 8 + lane % 4 * 2 + e % 2, key = row + e / 2 * 8;
          if (!allowed(query, key, queries, keys, headMask, strides)) {
            // a query that sees no key weighs all alike
            s[4 * j + e] = (e % 2 ? two.z : two.x) < 0.5f * MASKED_SCORE ? 1.f / keys : 0.f;
            blocked |= 1u << (4 * j + e);
          }
        }
      }
    }
    PRODUCT_WAIT(1);
    product_pin(dp);
#pragma unroll
    for (int j = 0; j < BM / 8; ++j) {
      float4 two = pairs[4 * j + lane % 4];
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[4 * j + e] = s[4 * j + e] * (dp[4 * j + e] - (e % 2 ? two.w : two.y));
    }
    if (edge) {
#pragma unroll
      for (int i = 0; i < BM / 2; ++i) dp[i] = blocked >> i & 1 ? 0.f : dp[i];
    }
    PRODUCT_WAIT(0);
    product_pin(accV);
    product_pin(accK);
    product_pin(p);
    product_pin(ds);
    pack_operand<BM>(p, s);
    pack_operand<BM>(ds, dp);
  }
  if (count > 0) {
    int before = (count - 1) % STAGES;
    PRODUCT_BEGIN;
    product_columns<BM>(accV, p, doutTiles + before * TILE_BYTES(BM));
    product_columns<BM>(accK, ds, qTiles + before * TILE_BYTES(BM));
    PRODUCT_COMMIT;
    PRODUCT_WAIT(0);
    product_pin(accV);
    product_pin(accK);
  }
  cp_async_wait<0>();
  __syncthreads();
  store_tile<BK>(accK, scale, scale, memory, dk + (long long)work.head * keys * D, first, keys);
  store_tile<BK>(accV, 1.f, 1.f, memory + TILE_BYTES(BK), dv + (long long)work.head * keys * D, first, keys);
}
