// Copies the entries that stay from a region to a text's slab in one layer: kept [KV_HEADS, stride] are their slots,
// ascending. With one block a KV head, the two may be the same memory.
//
//   keys [KV_HEADS, capacity of the region, D]: those of the region, or where entries are numbered anew, as they were
//   before they were turned; null: the region's.
//
// Launch: any number × KV_HEADS blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS.

#include "kvSlab.cuh"

#define VECTORS (D / VEC)
#define ROWS (THREADS / VECTORS > 0 ? THREADS / VECTORS : 1)
#define ITEMS ((ROWS * VECTORS + THREADS - 1) / THREADS)

extern "C" __global__ void __launch_bounds__(THREADS)
kvGather(char* base, int capacity, const ELEMENT* keys, const uint4* slabs, int sequence, const int* kept, const int* counts, int stride) {
  const Slab from = {base, capacity}, to = slabOf(slabs, sequence);
  const int head = blockIdx.y, count = counts[head];
  const ELEMENT* fromKeys = keys == nullptr ? from.keys(head) : keys + (long long)head * capacity * D;
  kept += (long long)head * stride;
  for (int first = blockIdx.x * ROWS; first < count; first += gridDim.x * ROWS) {
    // All of these rows are read before one is written: a row goes to a slot that is none of a later row.
    Vector key[ITEMS], value[ITEMS];
    int position = 0;
    float score = 0.f;
#pragma unroll
    for (int item = 0; item < ITEMS; item++) {
      int i = item * THREADS + threadIdx.x, at = first + i / VECTORS;
      if (i < ROWS * VECTORS && at < count) {
        long long source = (long long)kept[at] * D + i % VECTORS * VEC;
        key[item] = *(const Vector*)(fromKeys + source);
        value[item] = *(const Vector*)(from.values(head) + source);
      }
    }
    if (threadIdx.x < ROWS && first + (int)threadIdx.x < count) {
      int slot = kept[first + threadIdx.x];
      position = from.positions(head)[slot];
      score = from.scores(head)[slot];
    }
    __syncthreads();
#pragma unroll
    for (int item = 0; item < ITEMS; item++) {
      int i = item * THREADS + threadIdx.x, at = first + i / VECTORS;
      if (i < ROWS * VECTORS && at < count) {
        long long target = (long long)at * D + i % VECTORS * VEC;
        *(Vector*)(to.keys(head) + target) = key[item];
        *(Vector*)(to.values(head) + target) = value[item];
      }
    }
    if (threadIdx.x < ROWS && first + (int)threadIdx.x < count) {
      int at = first + threadIdx.x;
      to.positions(head)[at] = position;
      to.scores(head)[at] = score;
      to.ranks(head)[at] = at;
    }
    __syncthreads();
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) to.lengths()[head] = count;
}
