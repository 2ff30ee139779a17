// What attentionGradientKeys defines, for sm_90a and D of 64 or 128: one warpgroup copies, two compute in turns, as in
// attentionForwardStreamed.
//
// One block: BK = 16 · WARPS keys of one key head; it walks over tiles of BM queries of each query head.
// Launch: ⌈S / BK⌉ · B · H / group blocks of 32 · WARPS + 128 threads, the longest columns first.
// Shared bytes: 1024 + 2 · TILE_BYTES(BK) + STAGES · (2 · TILE_BYTES(BM) + 8 · BM).
// Macros: D, WARPS (8), BM (64), STAGES; those of attentionSight.cuh; HALF or not.

#include "attentionWarpgroups.cuh"

#define BK (WARPS * 16)

extern "C" __global__ void __launch_bounds__(THREADS + 128, 1)
attentionGradientKeysStreamed(const element* q, const element* k, const element* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                              const element* dout, const float2* rows, element* dk, element* dv, int heads, int group, int queries, int keys, float scale) {
  __shared__ unsigned long long barriers[2 * STAGES];
  unsigned char* memory = shared_tiles();
  word kTile = shared_address(memory), vTile = kTile + TILE_BYTES(BK), qTiles = vTile + TILE_BYTES(BK);
  word doutTiles = qTiles + STAGES * TILE_BYTES(BM), rowTiles = doutTiles + STAGES * TILE_BYTES(BM);
  Work work = work_of_block((keys + BK - 1) / BK);
  int first = work.tile * BK, head = work.head * group;  // the first query head
  long long keyRows = (long long)work.head * keys;
  Sight sight = sight_of_head(mask, strides, lengths, head, heads, queries, keys);
  int from = sight.queries_begin(first) / BM;
  int span = max(0, (sight.queries_end(first + BK - 1) + BM - 1) / BM - from), count = span * group;

  if (count == 0) {  // no query sees these keys
    clear_rows(dk + keyRows * D, first, BK, keys);
    clear_rows(dv + keyRows * D, first, BK, keys);
    return;
  }

  Ring<STAGES> ring;
  ring.init(shared_address(barriers));
  fence_shared_for_wgmma();
  __syncthreads();

  if (threadIdx.x >= THREADS) {
    registers_lower<24>();
    Loader loader;
    load_tile<BK>(kTile, k + keyRows * D, first, sight.keys);
    load_tile<BK>(vTile, v + keyRows * D, first, sight.keys);
    for (int at = 0; at < count; ++at) {
      loader.acquire(ring, at);
      int stage = at % STAGES, start = (from + at % span) * BM;
      long long queryRows = (long long)(head + at / span) * queries;
      load_tile<BM>(qTiles + stage * TILE_BYTES(BM), q + queryRows * D, start, sight.queries);
      load_tile<BM>(doutTiles + stage * TILE_BYTES(BM), dout + queryRows * D, start, sight.queries);
      int i = LOADER;
      if (i < BM) cp_async_8(rowTiles + (stage * BM + i) * 8, rows + queryRows + start + i, start + i < sight.queries);
      loader.commit(ring, at);
    }
    loader.finish();
    return;
  }

  registers_raise<240>();
  int row = first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  float scaleLog2 = scale * LOG2E;
  float accK[D / 2], accV[D / 2], s[BM / 2], dp[BM / 2];
  word p[BM / 4], ds[BM / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) accK[i] = accV[i] = 0.f;

  turns_begin();
  int start = (from - 1) * BM;
  for (int at = 0; at < count; ++at) {
    int stage = at % STAGES;
    word qTile = qTiles + stage * TILE_BYTES(BM), doutTile = doutTiles + stage * TILE_BYTES(BM);
    const float4* pairs = (const float4*)(memory + (rowTiles - kTile)) + stage * (BM / 2);
    start = start + BM < (from + span) * BM ? start + BM : from * BM;
#if defined(MASKED) || defined(ALIBI)
    sight = sight_of_head(mask, strides, lengths, head + at / span, heads, queries, keys);
#endif
    ring.wait(at);
    turn_begin();
    // keys are the rows of s = k qᵀ and dp = v doutᵀ
    wgmma_fence();
    product_rows<BK, BM>(s, kTile, qTile);
    wgmma_commit();
    product_rows<BK, BM>(dp, vTile, doutTile);
    wgmma_commit();
    turn_end();
    wgmma_wait<1>();
    pin(s);
    bool edge = sight.partial(start, start + BM - 1, first, first + BK - 1);
    unsigned int hidden = key_weights<BM>(s, scaleLog2, edge, row, start, sight, pairs);
    wgmma_wait<0>();
    pin(dp);
    key_score_gradients<BM>(dp, s, edge, hidden, pairs);
    pack_operand<BM>(p, s);
    pack_operand<BM>(ds, dp);
    pin(p);
    pin(ds);
    wgmma_fence();
    product_columns<BM>(accV, p, doutTile);
    product_columns<BM>(accK, ds, qTile);
    wgmma_commit();
    wgmma_wait<0>();
    pin(accV);
    pin(accK);
    ring.release(at);
  }
  COMPUTERS_SYNC();  // every warpgroup is done with the keys and values
  float exists[2] = {row < sight.keys ? 1.f : 0.f, row + 8 < sight.keys ? 1.f : 0.f};
  store_tile<BK>(accK, exists[0] * scale, exists[1] * scale, memory, dk + keyRows * D, first, keys);
  store_tile<BK>(accV, exists[0], exists[1], memory + TILE_BYTES(BK), dv + keyRows * D, first, keys);
}
