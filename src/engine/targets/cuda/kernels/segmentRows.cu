// Cuts sorted keys into work items: at most ITEM consecutive lookups of one row, counted from the row's own first
// lookup, so that how a row's lookups are grouped depends on them alone.
//
//   items[i] = first lookup of item i | FIRST if it is its row's first | LAST if its row's last;  items[count] = n
//   itemRows[i] = its row
//   longRows[2 * j], longRows[2 * j + 1] = first item, and number of items, of each of longCount rows that have several;
//                                          in any order, as rows do not depend on each other
//
// Two kernels: countItems writes the items that begin in each tile of TILE lookups, and zeroes longCount; writeItems
// writes them and their number. Launch: THREADS a block, a block a tile; n > 0, at most 2^30 lookups.
// Defined in front: one of COUNT, WRITE.

#define THREADS 256
#define ROUNDS 8
#define TILE (THREADS * ROUNDS)
#define ITEM 64
#define FIRST 0x80000000u
#define LAST 0x40000000u

// Inclusive sum, or maximum, over the threads of a block.
template <bool isMaximum> __device__ unsigned blockScan(unsigned value) {
  __shared__ unsigned warpTotals[THREADS / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  #pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const unsigned other = __shfl_up_sync(0xffffffffu, value, step);
    if (lane >= step) value = isMaximum ? max(value, other) : value + other;
  }
  if (lane == 31) warpTotals[warp] = value;
  __syncthreads();
  for (int w = 0; w < warp; w++) value = isMaximum ? max(value, warpTotals[w]) : value + warpTotals[w];
  __syncthreads();
  return value;
}

// The first place of sorted keys, up to `end`, that holds `key`, which keys[end] is.
__device__ unsigned firstOf(const unsigned* keys, unsigned end, unsigned key) {
  unsigned low = 0, high = end;
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The end of `key`'s places among sorted keys, of which `start` is one.
__device__ unsigned endOf(const unsigned* keys, unsigned start, unsigned n, unsigned key) {
  unsigned low = start + 1, high = n;
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    if (keys[middle] <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The items that begin at this thread's ROUNDS consecutive lookups: a bit each, and where their row begins.
__device__ unsigned findItems(const unsigned* keys, int n, unsigned starts[ROUNDS]) {
  __shared__ unsigned tileStart;
  __shared__ unsigned scanned[THREADS];
  const unsigned first = blockIdx.x * TILE + threadIdx.x * ROUNDS;
  if (threadIdx.x == 0) {
    const unsigned key = keys[first];
    tileStart = first == 0 || keys[first - 1] != key ? first : firstOf(keys, first, key);
  }
  // A row's beginning at i is told as i + 1, so that 0 means none.
  unsigned previous = first > 0 && first < n ? keys[first - 1] : 0;
  unsigned last = 0;
  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    const unsigned i = first + r;
    const unsigned key = i < n ? keys[i] : 0;
    if (i < n && (i == 0 || key != previous)) last = i + 1;
    starts[r] = last;
    previous = key;
  }
  scanned[threadIdx.x] = blockScan<true>(last);
  __syncthreads();
  const unsigned before = threadIdx.x == 0 ? 0 : scanned[threadIdx.x - 1];
  unsigned found = 0;
  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    const unsigned start = max(starts[r], before);
    starts[r] = start == 0 ? tileStart : start - 1;
    if (first + r < n && (first + r - starts[r]) % ITEM == 0) found |= 1u << r;
  }
  return found;
}

#ifdef COUNT
extern "C" __global__ void __launch_bounds__(THREADS)
countItems(const unsigned* __restrict__ keys, unsigned* __restrict__ tileItems, unsigned* __restrict__ longCount,
           int n) {
  unsigned starts[ROUNDS];
  const unsigned sum = blockScan<false>(__popc(findItems(keys, n, starts)));
  if (threadIdx.x == THREADS - 1) tileItems[blockIdx.x] = sum;
  if (blockIdx.x == 0 && threadIdx.x == 0) *longCount = 0;
}
#endif

#ifdef WRITE
extern "C" __global__ void __launch_bounds__(THREADS)
writeItems(const unsigned* __restrict__ keys, const unsigned* __restrict__ tileItems, unsigned* __restrict__ items,
           unsigned* __restrict__ itemRows, unsigned* __restrict__ longRows, unsigned* __restrict__ longCount,
           unsigned* __restrict__ count, int n) {
  __shared__ unsigned before;
  unsigned sum = 0;
  for (int tile = threadIdx.x; tile < blockIdx.x; tile += THREADS) sum += tileItems[tile];
  sum = blockScan<false>(sum);
  if (threadIdx.x == THREADS - 1) before = sum;

  unsigned starts[ROUNDS];
  const unsigned found = findItems(keys, n, starts);
  const unsigned mine = __popc(found);
  const unsigned upToHere = blockScan<false>(mine);
  unsigned item = before + upToHere - mine;
  const unsigned first = blockIdx.x * TILE + threadIdx.x * ROUNDS;
  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    if ((found >> r & 1) == 0) continue;
    const unsigned i = first + r;
    const unsigned key = keys[i];
    const bool isFirst = i == starts[r];
    const bool isLast = i + ITEM >= n || keys[i + ITEM] != key;
    items[item] = i | (isFirst ? FIRST : 0) | (isLast ? LAST : 0);
    itemRows[item] = key;
    if (isFirst && !isLast) {
      const unsigned place = atomicAdd(longCount, 1u);
      longRows[2 * place] = item;
      longRows[2 * place + 1] = (endOf(keys, i, n, key) - i + ITEM - 1) / ITEM;
    }
    item++;
  }
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x == THREADS - 1) {
    items[item] = n;
    *count = item;
  }
}
#endif
