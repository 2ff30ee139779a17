// Running sums along an axis, each element included.
//
//   x, y [outer, length, inner] of ELEMENT (float or int).
//   cumsumRows, for inner = 1: ⌈outer / ROWS⌉ blocks of THREADS · ROWS threads, THREADS (a power of two from 32) a row;
//   ROWS is 1 where THREADS > 32.  cumsumColumns: a thread a line, 256 a block; `lines` of them.
// Deterministic: a row is summed in tiles of 4 · THREADS, in order, each by a tree.

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
cumsumRows(const ELEMENT* x, ELEMENT* y, int rows, int length) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;
  long long start = (long long)(live ? row : rows - 1) * length;
  int thread = threadIdx.x % THREADS, lane = threadIdx.x % 32;
  ELEMENT before = 0;  // the sum of the tiles so far
  for (int tile = 0; tile < length; tile += 4 * THREADS) {
    int first = tile + 4 * thread;
    ELEMENT sums[4];
    ELEMENT total = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) sums[k] = total += first + k < length ? x[start + first + k] : (ELEMENT)0;
    ELEMENT upTo = total;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      ELEMENT other = __shfl_up_sync(WHOLE_WARP, upTo, step);
      if (lane >= step) upTo += other;
    }
    ELEMENT offset = __shfl_up_sync(WHOLE_WARP, upTo, 1);
    if (lane == 0) offset = 0;
    ELEMENT all = __shfl_sync(WHOLE_WARP, upTo, 31);
#if THREADS > 32
    __shared__ ELEMENT parts[THREADS / 32];
    __syncthreads();  // the parts of the tile before have been read
    if (lane == 31) parts[thread / 32] = upTo;
    __syncthreads();
    ELEMENT ofWarps = 0;
    all = 0;
    for (int warp = 0; warp < THREADS / 32; warp++) {
      if (warp == thread / 32) ofWarps = all;
      all += parts[warp];
    }
    offset += ofWarps;
#endif
#pragma unroll
    for (int k = 0; k < 4; k++) {
      if (live && first + k < length) y[start + first + k] = before + (offset + sums[k]);
    }
    before += all;
  }
}

extern "C" __global__ void cumsumColumns(const ELEMENT* x, ELEMENT* y, long long lines, int length, int inner) {
  long long line = blockIdx.x * 256LL + threadIdx.x;
  if (line >= lines) return;
  long long start = line / inner * length * inner + line % inner;
  ELEMENT total = 0;
#pragma unroll 4
  for (int at = 0; at < length; at++) {
    total += x[start + (long long)at * inner];
    y[start + (long long)at * inner] = total;
  }
}
