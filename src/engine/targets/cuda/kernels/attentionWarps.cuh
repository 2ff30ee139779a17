// Products of tiles by warps, for sm_80 and later. All threads of the block copy and compute.

#include "tensorCore.cuh"

#define LOADERS (WARPS * 32)
#define LOADER threadIdx.x
#define COMPUTERS_SYNC() __syncthreads()

#include "attentionTiles.cuh"
#include "attentionScores.cuh"

// Waits until all copies have arrived for every thread.
__device__ __forceinline__ void tiles_arrived() {
  cp_async_wait<0>();
  __syncthreads();
}

// acc = a · bᵀ: a's rows of this warp, all N rows of b, summed over D.
template <int RowsA, int N>
__device__ __forceinline__ void product_rows(float (&acc)[N / 2], word a, word b) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int i = 0; i < N / 2; ++i) acc[i] = 0.f;
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    word fa[4];
    ldmatrix_x4(fa, tile_address<RowsA>(a, warp * 16 + lane % 16, 2 * k + lane / 16));
#pragma unroll
    for (int n = 0; n < N / 16; ++n) {
      word fb[4];
      ldmatrix_x4(fb, tile_address<N>(b, n * 16 + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
      mma_m16n8k16(acc + 8 * n, fa, fb[0], fb[1]);
      mma_m16n8k16(acc + 8 * n + 4, fa, fb[2], fb[3]);
    }
  }
}

// acc += p · b: p[rows of this warp, K] in registers, b a tile of K rows, of which Columns columns from firstChunk · 8 on.
template <int K, int Columns = D>
__device__ __forceinline__ void product_columns(float (&acc)[Columns / 2], const word (&p)[K / 4], word b, int firstChunk = 0) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < K / 16; ++k) {
#pragma unroll
    for (int n = 0; n < Columns / 16; ++n) {
      word fb[4];
      ldmatrix_x4_trans(fb, tile_address<K>(b, k * 16 + lane % 16, firstChunk + 2 * n + lane / 16));
      mma_m16n8k16(acc + 8 * n, p + 4 * k, fb[0], fb[1]);
      mma_m16n8k16(acc + 8 * n + 4, p + 4 * k, fb[2], fb[3]);
    }
  }
}
