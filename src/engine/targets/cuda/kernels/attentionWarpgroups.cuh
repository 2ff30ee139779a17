// Products of tiles by warpgroups, for sm_90a and D of 64, 128 or 256, and how the warpgroup that copies meets those that
// compute: it is the last of the block, and there are two others (WARPS is 8), which never wait for each other's tiles.

#include "warpgroup.cuh"

#define LOADERS 128
#define LOADER (threadIdx.x % 128)
#define COMPUTERS_SYNC() named_barrier_sync(1, WARPS * 32)

#include "attentionTiles.cuh"
#include "attentionScores.cuh"

// Rows contiguous along the summed axis: groups of 8 rows are 1024 bytes apart.
__device__ __forceinline__ unsigned long long descriptor_rows(word address) {
  return (1ull << 62) | (64ull << 32) | (1ull << 16) | (unsigned long long)((address & 0x3ffff) >> 4);
}
// Rows are the summed axis: panels of 64 columns are Rows × 128 bytes apart.
template <int Rows>
__device__ __forceinline__ unsigned long long descriptor_columns(word address) {
  return (1ull << 62) | (64ull << 32) | ((unsigned long long)(Rows * 8) << 16) | (unsigned long long)((address & 0x3ffff) >> 4);
}

// Keeps uses of the registers of products behind the wait for them.
template <class T, int N>
__device__ __forceinline__ void pin(T (&x)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) wgmma_pin(x[i]);
}

// acc = a · bᵀ: a's rows of this warp, all N rows of b, summed over D. Under way until wgmma_wait.
template <int RowsA, int N>
__device__ __forceinline__ void product_rows(float (&acc)[N / 2], word a, word b) {
  word mine = a + (threadIdx.x / 128) * (64 * 128);
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    wgmma_ss(acc, descriptor_rows(mine + (k / 4) * (RowsA * 128) + (k % 4) * 32),
             descriptor_rows(b + (k / 4) * (N * 128) + (k % 4) * 32), k > 0);
  }
}

// acc += p · b: p[rows of this warp, K] in registers, b a tile of K rows, D columns. Under way until wgmma_wait.
template <int K>
__device__ __forceinline__ void product_columns(float (&acc)[D / 2], const word (&p)[K / 4], word b) {
#pragma unroll
  for (int k = 0; k < K / 16; ++k) wgmma_rs_trans(acc, p + 4 * k, descriptor_columns<K>(b + k * 2048));
}

// A ring of stages between the warpgroup that copies and those that compute. Full: a stage's tiles have arrived, an
// arrival for each loader. Empty: the computing warps are done with it, an arrival for each warp. The u-th use of a
// ring of R stages is of stage u % R.
template <int Stages>
struct Ring {
  word full, empty;
  __device__ void init(word barriers) {
    full = barriers, empty = barriers + 8 * Stages;
    if (threadIdx.x == 0) {
      for (int i = 0; i < Stages; ++i) mbarrier_init(full + 8 * i, LOADERS), mbarrier_init(empty + 8 * i, WARPS);
    }
  }
  __device__ __forceinline__ void wait(int use) const { mbarrier_wait(full + use % Stages * 8, use / Stages % 2); }
  __device__ __forceinline__ void release(int use) const {
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty + use % Stages * 8);
  }
};

// What a loader does around its copies: a stage is announced when its copies have landed, which is after those of the
// next stage have been started, or before this thread waits for anything else.
struct Loader {
  word pending = 0;
  template <int Stages>
  __device__ __forceinline__ void acquire(const Ring<Stages>& ring, int use) {
    word barrier = ring.empty + use % Stages * 8;
    int parity = (use / Stages + 1) % 2;
    if (mbarrier_try(barrier, parity)) return;
    finish();
    mbarrier_wait(barrier, parity);
  }
  template <int Stages>
  __device__ __forceinline__ void commit(const Ring<Stages>& ring, int use) {
    cp_async_commit();
    if (pending) {
      cp_async_wait<1>();
      fence_shared_for_wgmma();
      mbarrier_arrive(pending);
    }
    pending = ring.full + use % Stages * 8;
  }
  __device__ __forceinline__ void finish() {
    if (!pending) return;
    cp_async_wait<0>();
    fence_shared_for_wgmma();
    mbarrier_arrive(pending);
    pending = 0;
  }
};

// Two computing warpgroups issue their products in turns, so that one's softmax runs during the other's products:
// turns_begin once, then turn_begin and turn_end around the products of each step.
__device__ __forceinline__ void turns_begin() {
  if (threadIdx.x / 128 == 1) named_barrier_arrive(2, THREADS);
}
__device__ __forceinline__ void turn_begin() { named_barrier_sync(2 + threadIdx.x / 128, THREADS); }
__device__ __forceinline__ void turn_end() { named_barrier_arrive(3 - threadIdx.x / 128, THREADS); }
