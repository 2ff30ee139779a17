// Tiles of rows of D elements in shared memory, and products of them. Both back ends (warps with mma, warpgroups
// with wgmma) use one memory layout and one register layout, so that the attention kernels are written once.
//
// Memory: a tile of R rows is a sequence of panels of R rows × 64 columns, 128 bytes a row; the 16-byte chunk c of
// row r lies at chunk c ^ (r % 8), so that no access of eight rows meets a bank twice. Tiles start at multiples of
// 1024 bytes. Rows past the end of a tensor are zeros.
//
// Registers: warp w of the block owns rows 16 w … 16 w + 15 of every product. Of a product of N columns lane l holds
// acc[4 j + 2 h + e], j < N / 8: row 16 w + l / 4 + 8 h, column 8 j + 2 (l % 4) + e.

#include "tensorCore.cuh"

#define THREADS (WARPS * 32)
#ifdef PRODUCER
// A warpgroup behind those that compute does all copies.
#define LOADERS 128
#define LOADER (threadIdx.x % 128)
#define COMPUTERS_SYNC() named_barrier_sync(1, THREADS)
#else
#define LOADERS THREADS
#define LOADER threadIdx.x
#define COMPUTERS_SYNC() __syncthreads()
#endif
#define PANELS ((D + 63) / 64)
#define CHUNKS (D / 8)
#define TILE_BYTES(rows) ((rows) * PANELS * 128)
#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f
// Score of a key that is not allowed, in units of log 2: −1e30 in natural units.
#define MASKED_SCORE (-1e30f * LOG2E)
#define NEGATIVE_INFINITY __int_as_float(0xff800000)

template <int Rows>
__device__ __forceinline__ word tile_address(word tile, int row, int chunk) {
  return tile + (chunk / 8) * (Rows * 128) + row * 128 + (((chunk % 8) ^ (row % 8)) * 16);
}

// Starts the copy of rows first … first + Rows − 1 of a [limit, D] matrix.
template <int Rows>
__device__ __forceinline__ void load_tile(word tile, const element* matrix, int first, int limit) {
  if constexpr (LOADERS % (8 * CHUNKS) == 0 && Rows * CHUNKS % LOADERS == 0) {
    // each thread copies one chunk of every eighth row or a multiple of it: addresses differ by constants
    constexpr int step = LOADERS / CHUNKS;
    int row = LOADER / CHUNKS, chunk = LOADER % CHUNKS, left = limit - first - row;
    const element* from = matrix + (long long)(first + row) * D + chunk * 8;
    word to = tile_address<Rows>(tile, row, chunk);
#pragma unroll
    for (int i = 0; i < Rows / step; ++i) cp_async_16(to + i * step * 128, from + i * step * D, i * step < left);
  } else {
#pragma unroll
    for (int i = 0; i < (Rows * CHUNKS + LOADERS - 1) / LOADERS; ++i) {
      int at = i * LOADERS + (int)LOADER, row = at / CHUNKS, chunk = at % CHUNKS;
      if (row < Rows) cp_async_16(tile_address<Rows>(tile, row, chunk), matrix + (long long)(first + row) * D + chunk * 8, first + row < limit);
    }
  }
}

// Waits until all but `Pending` groups of copies have arrived for every thread.
template <int Pending>
__device__ __forceinline__ void tiles_arrived() {
  cp_async_wait<Pending>();
  fence_shared_for_wgmma();
  __syncthreads();
}

#ifdef WGMMA
// Rows contiguous along the summed axis: groups of 8 rows are 1024 bytes apart.
__device__ __forceinline__ unsigned long long descriptor_rows(word address) {
  return (1ull << 62) | (64ull << 32) | (1ull << 16) | (unsigned long long)((address & 0x3ffff) >> 4);
}
// Rows are the summed axis: panels of 64 columns are Rows × 128 bytes apart.
template <int Rows>
__device__ __forceinline__ unsigned long long descriptor_columns(word address) {
  return (1ull << 62) | (64ull << 32) | ((unsigned long long)(Rows * 8) << 16) | (unsigned long long)((address & 0x3ffff) >> 4);
}
#define PRODUCT_BEGIN wgmma_fence()
#define PRODUCT_COMMIT wgmma_commit()
#define PRODUCT_WAIT(pending) wgmma_wait<pending>()
template <int N>
__device__ __forceinline__ void product_pin(float (&x)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) wgmma_pin(x[i]);
}
template <int N>
__device__ __forceinline__ void product_pin(word (&x)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) wgmma_pin(x[i]);
}
#else
#define PRODUCT_BEGIN
#define PRODUCT_COMMIT
#define PRODUCT_WAIT(pending)
template <class T, int N>
__device__ __forceinline__ void product_pin(T (&)[N]) {}
#endif

// acc = a · bᵀ: a's rows of this warp, all N rows of b, summed over D. Under way until PRODUCT_WAIT.
template <int RowsA, int N>
__device__ __forceinline__ void product_rows(float (&acc)[N / 2], word a, word b) {
#ifdef WGMMA
  word mine = a + (threadIdx.x / 128) * (64 * 128);
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    wgmma_ss(acc, descriptor_rows(mine + (k / 4) * (RowsA * 128) + (k % 4) * 32),
             descriptor_rows(b + (k / 4) * (N * 128) + (k % 4) * 32), k > 0);
  }
#else
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
#endif
}

// acc += p · b: p[rows of this warp, K] in registers, b a tile of K rows, D columns. Under way until PRODUCT_WAIT.
template <int K>
__device__ __forceinline__ void product_columns(float (&acc)[D / 2], const word (&p)[K / 4], word b) {
#ifdef WGMMA
#pragma unroll
  for (int k = 0; k < K / 16; ++k) wgmma_rs_trans(acc, p + 4 * k, descriptor_columns<K>(b + k * 2048));
#else
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < K / 16; ++k) {
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      word fb[4];
      ldmatrix_x4_trans(fb, tile_address<K>(b, k * 16 + lane % 16, 2 * n + lane / 16));
      mma_m16n8k16(acc + 8 * n, p + 4 * k, fb[0], fb[1]);
      mma_m16n8k16(acc + 8 * n + 4, p + 4 * k, fb[2], fb[3]);
    }
  }
#endif
}

// Sums of a product, rounded, as the left operand of the next.
template <int N>
__device__ __forceinline__ void pack_operand(word (&p)[N / 4], const float (&acc)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 4; ++i) p[i] = pack(acc[2 * i], acc[2 * i + 1]);
}

// Writes acc · scale (one factor for each of the lane's two rows) to rows first … of a [limit, D] matrix, by way of a
// tile that no one reads any more.
template <int Rows>
__device__ __forceinline__ void store_tile(const float (&acc)[D / 2], float scale0, float scale1, unsigned char* tile, element* matrix, int first, int limit) {
  int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
  word origin = shared_address(tile);
#pragma unroll
  for (int j = 0; j < D / 8; ++j) {
    *(word*)(tile + (tile_address<Rows>(origin, row, j) - origin) + lane % 4 * 4) = pack(acc[4 * j] * scale0, acc[4 * j + 1] * scale0);
    *(word*)(tile + (tile_address<Rows>(origin, row + 8, j) - origin) + lane % 4 * 4) = pack(acc[4 * j + 2] * scale1, acc[4 * j + 3] * scale1);
  }
  COMPUTERS_SYNC();
#pragma unroll
  for (int i = 0; i < (Rows * CHUNKS + THREADS - 1) / THREADS; ++i) {
    int at = i * THREADS + (int)threadIdx.x;
    int r = at / CHUNKS, chunk = at % CHUNKS;
    if (at < Rows * CHUNKS && first + r < limit) {
      *(uint4*)(matrix + (long long)(first + r) * D + chunk * 8) = *(uint4*)(tile + (tile_address<Rows>(origin, r, chunk) - origin));
    }
  }
}

#ifdef PRODUCER
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

// Two computing warpgroups issue their products in turns, so that one's softmax runs during the other's products.
#ifdef IN_TURNS
#define TURNS_BEGIN() \
  if (threadIdx.x / 128 == 1) named_barrier_arrive(2, THREADS)
#define TURN_BEGIN() named_barrier_sync(2 + threadIdx.x / 128, THREADS)
#define TURN_END() named_barrier_arrive(3 - threadIdx.x / 128, THREADS)
#else
#define TURNS_BEGIN()
#define TURN_BEGIN()
#define TURN_END()
#endif
#endif

// Shared memory of the block, from a multiple of 1024 bytes.
__device__ __forceinline__ unsigned char* shared_tiles() {
  extern __shared__ unsigned char memory[];
  return memory + ((1024 - (shared_address(memory) & 1023)) & 1023);
}

// Which tile of which head a block works on: heads in groups whose operands fit in the L2 cache together; within a
// group all heads of one tile, tiles in order.
#ifndef HEADS_TOGETHER
#define HEADS_TOGETHER 8
#endif
struct Work {
  int tile, head;
};
__device__ __forceinline__ Work work_of_block(int tiles, int heads) {
  int group = (int)blockIdx.x / (HEADS_TOGETHER * tiles), first = group * HEADS_TOGETHER;
  int size = min(HEADS_TOGETHER, heads - first), at = (int)blockIdx.x - first * tiles;
  return {at / size, first + at % size};
}

// Where a mask [B, H, T, S] of bytes lies: elements from one to the next along each axis, 0 where it is broadcast.
struct MaskStrides {
  int batch, head, query, key;
};

// Whether a query may see a key. Without mask and with keys ≥ queries every query sees a key.
__device__ __forceinline__ bool allowed(int query, int key, int queries, int keys, const unsigned char* mask, MaskStrides strides) {
  bool yes = true;
#ifdef CAUSAL
  yes = key <= query + keys - queries;
#endif
#ifdef MASKED
  yes = yes && query < queries && key < keys && mask[(long long)query * strides.query + (long long)key * strides.key] != 0;
#endif
  return yes;
}
