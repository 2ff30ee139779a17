// Position of the largest element along an axis, the first of equals.
//
//   x [outer, length, inner] of ELEMENT (float or int), y [outer, inner] int32.
//   argmaxRows, for inner = 1: ⌈outer / ROWS⌉ blocks of THREADS · ROWS threads, THREADS a row; THREADS is a power of
//   two, ROWS is 1 where THREADS > 32.  argmaxColumns: a thread a result, 256 a block; `size` results.
// Deterministic. A NaN is never the largest, but may be first.

struct Best { ELEMENT value; int place; };

__device__ __forceinline__ Best better(Best a, Best b) {
  return b.value > a.value || (b.value == a.value && b.place < a.place) ? b : a;
}

template <int Threads> __device__ __forceinline__ Best bestOfLanes(Best best) {
#pragma unroll
  for (int step = Threads / 2; step > 0; step /= 2) {
    Best other = {__shfl_xor_sync(WHOLE_WARP, best.value, step), __shfl_xor_sync(WHOLE_WARP, best.place, step)};
    best = better(best, other);
  }
  return best;
}

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
argmaxRows(const ELEMENT* x, int* y, int rows, int length) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;
  const ELEMENT* from = x + (long long)(live ? row : rows - 1) * length;
  int lane = threadIdx.x % THREADS;
  int place = lane < length ? lane : 0;  // idle threads propose the first element
  Best best = {from[place], place};
#pragma unroll 4
  for (int at = lane + THREADS; at < length; at += THREADS) best = better(best, Best{from[at], at});
  best = bestOfLanes<(THREADS < 32 ? THREADS : 32)>(best);
#if THREADS > 32
  __shared__ Best parts[THREADS / 32];
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = best;
  __syncthreads();
  best = bestOfLanes<THREADS / 32>(parts[threadIdx.x % (THREADS / 32)]);
#endif
  if (live && lane == 0) y[row] = best.place;
}

extern "C" __global__ void argmaxColumns(const ELEMENT* x, int* y, long long size, int length, int inner) {
  long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= size) return;
  const ELEMENT* from = x + index / inner * length * inner + index % inner;
  Best best = {from[0], 0};
  for (int at = 1; at < length; at++) best = better(best, Best{from[(long long)at * inner], at});
  y[index] = best.place;
}
