// Attention as attentionForward defines it, for sm_90a and D of 64, 128 or 256: one warpgroup copies, two compute, and they
// meet only at the barriers of tiles, so that the softmax of one runs during the products of the other.
//
// One block: BQ = 16 · WARPS queries of one head; it walks over tiles of BN keys from the last to the first.
// Launch: ⌈T / BQ⌉ · B · H blocks of 32 · WARPS + 128 threads, the longest rows first.
// Shared bytes: 1024 + TILE_BYTES(BQ) + 4 · TILE_BYTES(BN).
// Macros: D, WARPS (8), BN (64 or 128; 64 where D is 256); those of attentionSight.cuh; HALF or not.

#include "attentionWarpgroups.cuh"

#define BQ (WARPS * 16)
#define STAGES 2

extern "C" __global__ void __launch_bounds__(THREADS + 128, 1)
attentionForwardStreamed(const element* q, const element* k, const element* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                         element* out, float* lse, int heads, int group, int queries, int keys, float scale) {
  __shared__ unsigned long long barriers[4 * STAGES];
  unsigned char* memory = shared_tiles();
  word qTile = shared_address(memory), kTiles = qTile + TILE_BYTES(BQ), vTiles = kTiles + STAGES * TILE_BYTES(BN);
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
  int last = (sight.keys_end(first + BQ - 1) - 1) / BN, uses = last + 1 - sight.keys_begin(first) / BN;

  Ring<STAGES> ringK, ringV;
  ringK.init(shared_address(barriers));
  ringV.init(shared_address(barriers + 2 * STAGES));
  fence_shared_for_wgmma();
  __syncthreads();

  // Use u of the rings is tile last − u.
  if (threadIdx.x >= THREADS) {
    registers_lower<40>();
    Loader loader;
    load_tile<BQ>(qTile, q + queryRows * D, first, sight.queries);
    for (int use = 0; use <= uses; ++use) {
      if (use < uses) {
        loader.acquire(ringK, use);
        load_tile<BN>(kTiles + use % STAGES * TILE_BYTES(BN), k + keyRows * D, (last - use) * BN, sight.keys);
        loader.commit(ringK, use);
      }
      if (use > 0) {
        loader.acquire(ringV, use - 1);
        load_tile<BN>(vTiles + (use - 1) % STAGES * TILE_BYTES(BN), v + keyRows * D, (last - use + 1) * BN, sight.keys);
        loader.commit(ringV, use - 1);
      }
    }
    loader.finish();
    return;
  }

  registers_raise<232>();
  int row = first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  float scaleLog2 = scale * LOG2E;
  float s[BN / 2], o[D / 2], top[2] = {-INFINITY_F, -INFINITY_F}, total[2] = {0.f, 0.f}, shrink[2];
  word p[BN / 4];
#pragma unroll
  for (int i = 0; i < D / 2; ++i) o[i] = 0.f;

  turns_begin();
  for (int use = 0; use < uses; ++use) {
    int n = last - use;
    ringK.wait(use);
    turn_begin();
    // s = q kₙᵀ, and behind it o += pₙ₊₁ vₙ₊₁, which goes on during the softmax
    wgmma_fence();
    product_rows<BQ, BN>(s, qTile, kTiles + use % STAGES * TILE_BYTES(BN));
    wgmma_commit();
    if (use > 0) {
      ringV.wait(use - 1);
      product_columns<BN>(o, p, vTiles + (use - 1) % STAGES * TILE_BYTES(BN));
    }
    wgmma_commit();
    turn_end();
    wgmma_wait<1>();
    pin(s);
    ringK.release(use);
    bool edge = (n + 1) * BN > sight.keys || sight.partial(first, first + BQ - 1, n * BN, (n + 1) * BN - 1);
    soften<BN>(s, scaleLog2, edge, row, n * BN, sight, top, total, shrink);
    wgmma_wait<0>();
    pin(o);
    pin(p);
    if (use > 0) ringV.release(use - 1);
#pragma unroll
    for (int i = 0; i < D / 2; ++i) o[i] *= shrink[i % 4 / 2];
    pack_operand<BN>(p, s);
  }
  ringV.wait(uses - 1);
  wgmma_fence();
  product_columns<BN>(o, p, vTiles + (uses - 1) % STAGES * TILE_BYTES(BN));
  wgmma_commit();
  wgmma_wait<0>();
  pin(o);

  finish_rows(top, total, row, queries, lse + queryRows);
  COMPUTERS_SYNC();  // every warpgroup is done with the queries
  store_tile<BQ>(o, row < sight.queries ? 1.f / total[0] : 0.f, row + 8 < sight.queries ? 1.f / total[1] : 0.f, memory, out + queryRows * D, first, queries);
}
