// One pass of a stable least-significant-digit radix sort of (key, value) pairs of 32 bits each.
//
// Three kernels: countDigits counts each digit in each tile of TILE pairs, scanDigits turns the counts of a digit into
// the pairs with that digit in tiles before, scatterDigits moves each pair to its place. Pairs with equal digits keep
// their order, so passes over all digits sort by key, and equal keys stay in the order of the input.
//
//   counts [BINS, tiles], totals [BINS];  digit d = (key >> shift) % BINS
//
// Launch: THREADS a block; countDigits and scatterDigits have a block a tile (tiles = ceil(n / TILE), n > 0),
// scanDigits a block a digit. Defined in front: BITS (1 to 8, BINS = 2^BITS) and one of COUNT, SCAN, SCATTER; with IOTA
// the values are the places of the keys, and `values` is not read.

#define BINS (1 << BITS)
#define THREADS 256
#define WARPS (THREADS / 32)
#define ROUNDS 8
#define TILE (THREADS * ROUNDS)

// Inclusive sums over the threads of a block.
__device__ unsigned blockSum(unsigned value) {
  __shared__ unsigned warpTotals[WARPS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  #pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const unsigned other = __shfl_up_sync(0xffffffffu, value, step);
    if (lane >= step) value += other;
  }
  if (lane == 31) warpTotals[warp] = value;
  __syncthreads();
  for (int w = 0; w < warp; w++) value += warpTotals[w];
  __syncthreads();
  return value;
}

#ifdef COUNT
extern "C" __global__ void __launch_bounds__(THREADS)
countDigits(const unsigned* __restrict__ keys, unsigned* __restrict__ counts, int n, int shift) {
  __shared__ unsigned bins[BINS];
  for (int d = threadIdx.x; d < BINS; d += THREADS) bins[d] = 0;
  __syncthreads();
  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    const int i = blockIdx.x * TILE + r * THREADS + threadIdx.x;
    if (i < n) atomicAdd(&bins[(keys[i] >> shift) % BINS], 1u);
  }
  __syncthreads();
  for (int d = threadIdx.x; d < BINS; d += THREADS) counts[d * gridDim.x + blockIdx.x] = bins[d];
}
#endif

#ifdef SCAN
extern "C" __global__ void __launch_bounds__(THREADS)
scanDigits(unsigned* __restrict__ counts, unsigned* __restrict__ totals, int tiles) {
  __shared__ unsigned carried;
  unsigned* row = counts + (size_t)blockIdx.x * tiles;
  unsigned before = 0;
  for (int first = 0; first < tiles; first += THREADS) {
    const int i = first + threadIdx.x;
    const unsigned count = i < tiles ? row[i] : 0;
    const unsigned sum = blockSum(count);
    if (i < tiles) row[i] = before + sum - count;
    if (threadIdx.x == THREADS - 1) carried = sum;
    __syncthreads();
    before += carried;
    __syncthreads();
  }
  if (threadIdx.x == 0) totals[blockIdx.x] = before;
}
#endif

#ifdef SCATTER
extern "C" __global__ void __launch_bounds__(THREADS)
scatterDigits(const unsigned* __restrict__ keys, const unsigned* __restrict__ values, unsigned* __restrict__ keysOut,
              unsigned* __restrict__ valuesOut, const unsigned* __restrict__ counts,
              const unsigned* __restrict__ totals, int n, int shift) {
  // Pairs with a digit in the warps before, of this tile; first the running count of each warp.
  __shared__ unsigned warpCounts[WARPS][BINS];
  // Where a digit's pairs begin in the sorted tile; and what turns a place there into a place in the output.
  __shared__ unsigned tileStart[BINS];
  __shared__ unsigned move[BINS];
  __shared__ unsigned tileKeys[TILE];
  __shared__ unsigned tileValues[TILE];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first = blockIdx.x * TILE;
  const int size = min(TILE, n - first);

  for (int i = threadIdx.x; i < WARPS * BINS; i += THREADS) (&warpCounts[0][0])[i] = 0;
  __syncthreads();

  // Each warp takes TILE / WARPS consecutive pairs, 32 a round. Places beyond the end count as the last digit: they
  // come after all pairs, so they only ever stand behind them.
  unsigned key[ROUNDS], value[ROUNDS], rank[ROUNDS];
  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    const int i = warp * (32 * ROUNDS) + r * 32 + lane;
    key[r] = i < size ? keys[first + i] : 0xffffffffu;
#ifdef IOTA
    value[r] = first + i;
#else
    value[r] = i < size ? values[first + i] : 0;
#endif
  }
  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    const int i = warp * (32 * ROUNDS) + r * 32 + lane;
    const unsigned digit = i < size ? (key[r] >> shift) % BINS : BINS - 1;
    const unsigned peers = __match_any_sync(0xffffffffu, digit);
    const unsigned before = warpCounts[warp][digit];
    const unsigned mine = __popc(peers & ((1u << lane) - 1));
    rank[r] = before + mine;
    __syncwarp();
    if (mine == 0) warpCounts[warp][digit] = before + __popc(peers);
    __syncwarp();
  }
  __syncthreads();

  unsigned inTile = 0, inAll = 0;
  if (threadIdx.x < BINS) {
    for (int w = 0; w < WARPS; w++) {
      const unsigned count = warpCounts[w][threadIdx.x];
      warpCounts[w][threadIdx.x] = inTile;
      inTile += count;
    }
    inAll = totals[threadIdx.x];
  }
  const unsigned startInTile = blockSum(inTile) - inTile;
  const unsigned startInAll = blockSum(inAll) - inAll;
  if (threadIdx.x < BINS) {
    tileStart[threadIdx.x] = startInTile;
    move[threadIdx.x] = startInAll + counts[threadIdx.x * gridDim.x + blockIdx.x] - startInTile;
  }
  __syncthreads();

  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    const int i = warp * (32 * ROUNDS) + r * 32 + lane;
    const unsigned digit = i < size ? (key[r] >> shift) % BINS : BINS - 1;
    const unsigned place = tileStart[digit] + warpCounts[warp][digit] + rank[r];
    tileKeys[place] = key[r];
    tileValues[place] = value[r];
  }
  __syncthreads();

  for (int i = threadIdx.x; i < size; i += THREADS) {
    const unsigned k = tileKeys[i];
    const unsigned out = move[(k >> shift) % BINS] + i;
    keysOut[out] = k;
    valuesOut[out] = tileValues[i];
  }
}
#endif
