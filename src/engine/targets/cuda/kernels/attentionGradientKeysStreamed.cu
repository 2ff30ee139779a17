// attentionGradientKeys for sm_90a: one warpgroup copies, the others compute, as in attentionForwardStreamed.
//
// Launch: ⌈S / BK⌉ · B · H / group blocks of 32 · WARPS + 128 threads. WARPS is 8.
// Shared bytes and macros: those of attentionGradientKeys, and PRODUCER; IN_TURNS or not; STAGES other than 3.

#include "attentionTiles.cuh"

#define BK (WARPS * 16)
#ifndef STAGES
#define STAGES 3
#endif

extern "C" __global__ void __launch_bounds__(THREADS + 128, 1)
attentionGradientKeysStreamed(const element* q, const element* k, const element* v,
#ifdef MASKED
                      const unsigned char* mask, MaskStrides strides,
#endif
                      const element* dout, const float2* rows, element* dk, element* dv, int batchKeyHeads, int heads, int group, int queries, int keys, float scale) {
  __shared__ unsigned long long barriers[8];
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

  Ring<STAGES> ring;
  ring.init(shared_address(barriers));
  fence_shared_for_wgmma();
  __syncthreads();

  if (threadIdx.x >= THREADS) {
    registers_lower<WARPS == 8 ? 24 : 32>();
    Loader loader;
    load_tile<BK>(kTile, k, first, keys);
    load_tile<BK>(vTile, v, first, keys);
    for (int at = 0; at < count; ++at) {
      loader.acquire(ring, at);
      int stage = at % STAGES, start = (from + at % span) * BM;
      long long offset = (queryHead + at / span) * queries;
      load_tile<BM>(qTiles + stage * TILE_BYTES(BM), q + offset * D, start, queries);
      load_tile<BM>(doutTiles + stage * TILE_BYTES(BM), dout + offset * D, start, queries);
      int i = LOADER;
      if (i < BM) cp_async_8(rowTiles + (stage * BM + i) * 8, rows + offset + start + i, start + i < queries);
      loader.commit(ring, at);
    }
    loader.finish();
    return;
  }
  registers_raise<WARPS == 8 ? 240 : 160>();
  int lane = threadIdx.x % 32;
  int row = first + threadIdx.x / 32 * 16 + lane / 4;
  float scaleLog2 = scale * LOG2E;
  float accK[D / 2], accV[D / 2], s[BM / 2], dp[BM / 2];
  word p[BM / 4], ds[BM / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) accK[i] = accV[i] = 0.f;

  bool edge = false;
  TURNS_BEGIN();
  int start = (from - 1) * BM;
  for (int at = 0; at < count; ++at) {
    int stage = at % STAGES;
    start = start + BM < queries ? start + BM : from * BM;
    ring.wait(at);
    TURN_BEGIN();

    // s = k qᵀ and dp = v doutᵀ, with keys as rows
    PRODUCT_BEGIN;
    product_rows<BK, BM>(s, kTile, qTiles + stage * TILE_BYTES(BM));
    PRODUCT_COMMIT;
    product_rows<BK, BM>(dp, vTile, doutTiles + stage * TILE_BYTES(BM));
    PRODUCT_COMMIT;
    TURN_END();
    PRODUCT_WAIT(1);
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
    PRODUCT_WAIT(0);
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
    pack_operand<BM>(p, s);
    pack_operand<BM>(ds, dp);
    product_pin(p);
    product_pin(ds);

    PRODUCT_BEGIN;
    product_columns<BM>(accV, p, doutTiles + stage * TILE_BYTES(BM));
    product_columns<BM>(accK, ds, qTiles + stage * TILE_BYTES(BM));
    PRODUCT_COMMIT;
    PRODUCT_WAIT(0);
    product_pin(accV);
    product_pin(accK);
    ring.release(at);
  }
  COMPUTERS_SYNC();
  store_tile<BK>(accK, scale, scale, memory, dk + (long long)work.head * keys * D, first, keys);
  store_tile<BK>(accV, 1.f, 1.f, memory + TILE_BYTES(BK), dv + (long long)work.head * keys * D, first, keys);
}
