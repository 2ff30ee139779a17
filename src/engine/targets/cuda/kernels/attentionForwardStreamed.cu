// Attention as in attentionForward.cu, for sm_90a: one warpgroup copies, the others compute, and they meet only at the
// barriers of the tiles, so that one computing warpgroup's softmax runs during another's products.
//
// Launch: ⌈T / BQ⌉ · B · H blocks of 32 · WARPS + 128 threads. WARPS is 8 or 12.
// Shared bytes and macros: those of attentionForward, and PRODUCER; IN_TURNS makes the two computing warpgroups issue
// their products in turns.

#include "attentionTiles.cuh"

#define BQ (WARPS * 16)

extern "C" __global__ void __launch_bounds__(THREADS + 128, 1)
attentionForwardStreamed(const element* q, const element* k, const element* v,
#ifdef MASKED
                 const unsigned char* mask, MaskStrides strides,
#endif
                 element* out, float* lse, int batchHeads, int heads, int group, int queries, int keys, float scale) {
  __shared__ unsigned long long barriers[8];
  unsigned char* memory = shared_tiles();
  word qTile = shared_address(memory), kTiles = qTile + TILE_BYTES(BQ), vTiles = kTiles + 2 * TILE_BYTES(BN);
  int tiles = (queries + BQ - 1) / BQ;
  Work work = work_of_block(tiles, batchHeads);
  int first = (tiles - 1 - work.tile) * BQ;
  int kvHead = work.head / heads * (heads / group) + work.head % heads / group;
  q += (long long)work.head * queries * D;
  k += (long long)kvHead * keys * D;
  v += (long long)kvHead * keys * D;
#ifdef MASKED
  mask += (long long)(work.head / heads) * strides.batch + (long long)(work.head % heads) * strides.head;
#else
  const unsigned char* mask = 0;
  MaskStrides strides = {0, 0, 0, 0};
#endif

  // Tiles past the diagonal are skipped where every query sees a key.
  int last = (keys - 1) / BN;
#if defined(CAUSAL) && !defined(MASKED)
  if (keys >= queries) last = min(last, (first + BQ - 1 + keys - queries) / BN);
#endif


  Ring<2> ringK, ringV;
  ringK.init(shared_address(barriers));
  ringV.init(shared_address(barriers) + 32);
  fence_shared_for_wgmma();
  __syncthreads();

  if (threadIdx.x >= THREADS) {
    registers_lower<WARPS == 8 ? 40 : 32>();
    Loader loader;
    load_tile<BQ>(qTile, q, first, queries);
    for (int use = 0; use <= last + 1; ++use) {
      if (use <= last) {
        loader.acquire(ringK, use);
        load_tile<BN>(kTiles + use % 2 * TILE_BYTES(BN), k, (last - use) * BN, keys);
        loader.commit(ringK, use);
      }
      if (use > 0) {
        loader.acquire(ringV, use - 1);
        load_tile<BN>(vTiles + (use - 1) % 2 * TILE_BYTES(BN), v, (last - use + 1) * BN, keys);
        loader.commit(ringV, use - 1);
      }
    }
    loader.finish();
  } else {
    registers_raise<WARPS == 8 ? 232 : 160>();
  int lane = threadIdx.x % 32;
  int row = first + threadIdx.x / 32 * 16 + lane / 4;
  float scaleLog2 = scale * LOG2E;
  float s[BN / 2], o[D / 2];
  word p[BN / 4];
  float top[2] = {NEGATIVE_INFINITY, NEGATIVE_INFINITY}, total[2] = {0.f, 0.f};
#pragma unroll
  for (int i = 0; i < D / 2; ++i) o[i] = 0.f;

    TURNS_BEGIN();
  for (int use = 0; use <= last; ++use) {
    int n = last - use;
    ringK.wait(use);
    TURN_BEGIN();
    // s = q kₙᵀ, and behind it o += pₙ₊₁ vₙ₊₁, which goes on during the softmax.
    PRODUCT_BEGIN;
    product_rows<BQ, BN>(s, qTile, kTiles + use % 2 * TILE_BYTES(BN));
    PRODUCT_COMMIT;
    if (use > 0) {
      ringV.wait(use - 1);
      product_columns<BN>(o, p, vTiles + (use - 1) % 2 * TILE_BYTES(BN));
    }
    PRODUCT_COMMIT;
    TURN_END();
    PRODUCT_WAIT(1);
    product_pin(s);
    ringK.release(use);

    bool edge = (n + 1) * BN > keys;
#if defined(MASKED)
    edge = true;
#elif defined(CAUSAL)
    edge = edge || (n + 1) * BN - 1 > first + keys - queries;
#endif
    // scaled scores in units of log 2, where `s` keeps q kᵀ unless some are replaced
    float unit = scaleLog2;
    if (edge) {
#pragma unroll
      for (int i = 0; i < BN / 2; ++i) {
        int key = n * BN + i / 4 * 8 + lane % 4 * 2 + i % 2, query = row + i % 4 / 2 * 8;
        s[i] = key >= keys ? NEGATIVE_INFINITY : allowed(query, key, queries, keys, mask, strides) ? s[i] * scaleLog2 : MASKED_SCORE;
      }
      unit = 1.f;
    }
    float shrink[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float most = s[2 * h];
#pragma unroll
      for (int i = 0; i < BN / 8; ++i) most = fmaxf(most, fmaxf(s[4 * i + 2 * h], s[4 * i + 2 * h + 1]));
      most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 2));
      most = fmaxf(top[h], most * unit);
      shrink[h] = exp2_approx(top[h] - most);
      top[h] = most;
      float sum = 0.f;
#pragma unroll
      for (int i = 0; i < BN / 8; ++i) {
        s[4 * i + 2 * h] = exp2_approx(s[4 * i + 2 * h] * unit - most);
        s[4 * i + 2 * h + 1] = exp2_approx(s[4 * i + 2 * h + 1] * unit - most);
        sum += s[4 * i + 2 * h] + s[4 * i + 2 * h + 1];
      }
      total[h] = total[h] * shrink[h] + sum;
    }
    PRODUCT_WAIT(0);
    product_pin(o);
    product_pin(p);
    if (use > 0) ringV.release(use - 1);
#pragma unroll
    for (int i = 0; i < D / 2; ++i) o[i] *= shrink[i % 4 / 2];
    pack_operand<BN>(p, s);
  }

  ringV.wait(last);
  PRODUCT_BEGIN;
  product_columns<BN>(o, p, vTiles + last % 2 * TILE_BYTES(BN));
  PRODUCT_COMMIT;
  PRODUCT_WAIT(0);
  product_pin(o);

#pragma unroll
  for (int h = 0; h < 2; ++h) {
    total[h] += __shfl_xor_sync(0xffffffff, total[h], 1);
    total[h] += __shfl_xor_sync(0xffffffff, total[h], 2);
    if (lane % 4 == 0 && row + 8 * h < queries) {
      lse[(long long)work.head * queries + row + 8 * h] = top[h] * LN2 + __logf(total[h]);
    }
  }
  COMPUTERS_SYNC();  // every warpgroup is done with the queries
  store_tile<BQ>(o, 1.f / total[0], 1.f / total[1], memory, out + (long long)work.head * queries * D, first, queries);
  }
}
