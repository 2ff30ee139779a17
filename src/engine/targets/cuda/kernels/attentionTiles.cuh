// Tiles of rows of D elements in shared memory, and which of them a block works on. The kernels for warps and those for
// warpgroups use one memory layout and one register layout.
//
// Memory: a tile of R rows is a sequence of panels of R rows × 64 columns, 128 bytes a row; the 16-byte chunk c of
// row r lies at chunk c ^ (r % 8), so that no access of eight rows meets a bank twice. Tiles start at multiples of
// 1024 bytes. Rows past the end of a tensor are zeros.
//
// Registers: warp w of the block owns rows 16 w … 16 w + 15 of every product. Of a product of N columns lane l holds
// acc[4 j + 2 h + e], j < N / 8: row 16 w + l / 4 + 8 h, column 8 j + 2 (l % 4) + e.
//
// Macros of the including file: WARPS that compute; LOADERS, how many threads copy, and LOADER, which of them a thread
// is; COMPUTERS_SYNC(), a barrier of those that compute.

#define THREADS (WARPS * 32)
#define PANELS ((D + 63) / 64)
#define CHUNKS (D / 8)
#define TILE_BYTES(rows) ((rows) * PANELS * 128)

template <int Rows>
__device__ __forceinline__ word tile_address(word tile, int row, int chunk) {
  return tile + (chunk / 8) * (Rows * 128) + row * 128 + (((chunk % 8) ^ (row % 8)) * 16);
}

// Starts the copy of rows first … first + Rows − 1 of a [limit, D] matrix.
template <int Rows>
__device__ __forceinline__ void load_tile(word tile, const element* matrix, int first, int limit) {
  constexpr int step = LOADERS / CHUNKS;  // rows at a time
  if constexpr (LOADERS % CHUNKS == 0 && (step % 8 == 0 || step == 4) && Rows % (2 * step) == 0) {
    // each thread copies one chunk of every eighth row or a multiple of it, or of every fourth: where it goes differs
    // by constants from row to row, or every other row
    int row = LOADER / CHUNKS, chunk = LOADER % CHUNKS, left = limit - first - row;
    const element* from = matrix + (long long)(first + row) * D + chunk * 8;
    word to[2] = {tile_address<Rows>(tile, row, chunk), tile_address<Rows>(tile, row + step, chunk)};
#pragma unroll
    for (int i = 0; i < Rows / step; ++i) cp_async_16(to[i % 2] + i / 2 * step * 256, from + i * step * D, i * step < left);
  } else {
#pragma unroll
    for (int i = 0; i < (Rows * CHUNKS + LOADERS - 1) / LOADERS; ++i) {
      int at = i * LOADERS + (int)LOADER, row = at / CHUNKS, chunk = at % CHUNKS;
      if (row < Rows) cp_async_16(tile_address<Rows>(tile, row, chunk), matrix + (long long)(first + row) * D + chunk * 8, first + row < limit);
    }
  }
}

// Sums of a product, rounded, as the left operand of the next.
template <int N>
__device__ __forceinline__ void pack_operand(word (&p)[N / 4], const float (&acc)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 4; ++i) p[i] = pack(acc[2 * i], acc[2 * i + 1]);
}

// Writes acc · scale (one factor for each of the lane's two rows) to rows first … of a [limit, D] matrix, of which it
// holds `Columns` columns, by way of a tile that no one reads any more.
template <int Rows, int Columns = D>
__device__ __forceinline__ void store_tile(const float (&acc)[Columns / 2], float scale0, float scale1, unsigned char* tile, element* matrix, int first, int limit) {
  constexpr int chunks = Columns / 8;
  int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
  word origin = shared_address(tile);
#pragma unroll
  for (int j = 0; j < chunks; ++j) {
    *(word*)(tile + (tile_address<Rows>(origin, row, j) - origin) + lane % 4 * 4) = pack(acc[4 * j] * scale0, acc[4 * j + 1] * scale0);
    *(word*)(tile + (tile_address<Rows>(origin, row + 8, j) - origin) + lane % 4 * 4) = pack(acc[4 * j + 2] * scale1, acc[4 * j + 3] * scale1);
  }
  COMPUTERS_SYNC();
#pragma unroll
  for (int i = 0; i < (Rows * chunks + THREADS - 1) / THREADS; ++i) {
    int at = i * THREADS + (int)threadIdx.x;
    int r = at / chunks, chunk = at % chunks;
    if (at < Rows * chunks && first + r < limit) {
      *(uint4*)(matrix + (long long)(first + r) * D + chunk * 8) = *(uint4*)(tile + (tile_address<Rows>(origin, r, chunk) - origin));
    }
  }
}

// Zeros to rows first … first + rows − 1 of a [limit, D] matrix, by all threads of the block.
__device__ __forceinline__ void clear_rows(element* matrix, int first, int rows, int limit) {
  uint4* to = (uint4*)(matrix + (long long)first * D);
  for (int i = threadIdx.x; i < min(rows, limit - first) * CHUNKS; i += blockDim.x) to[i] = make_uint4(0, 0, 0, 0);
}

// Shared memory of the block, from a multiple of 1024 bytes.
__device__ __forceinline__ unsigned char* shared_tiles() {
  extern __shared__ unsigned char memory[];
  return memory + ((1024 - (shared_address(memory) & 1023)) & 1023);
}

// Which tile of which head a block of a grid of tiles × heads works on: heads in groups whose operands fit in the L2
// cache together; within a group all heads of one tile, tiles in order.
#define HEADS_TOGETHER 8
struct Work {
  int tile, head;
};
__device__ __forceinline__ Work work_of_block(int tiles) {
  int heads = (int)gridDim.x / tiles;
  int group = (int)blockIdx.x / (HEADS_TOGETHER * tiles), first = group * HEADS_TOGETHER;
  int size = min(HEADS_TOGETHER, heads - first), at = (int)blockIdx.x - first * tiles;
  return {at / size, first + at % size};
}

// The key head that a query head attends to.
__device__ __forceinline__ int key_head(int head, int heads, int group) {
  return head / heads * (heads / group) + head % heads / group;
}
