// Products of every pair of a sample's feature vectors, y[b, i(i − 1)/2 + j] = x[b, i] · x[b, j] for i > j, and their
// gradient, dx[b, i] = Σ over j ≠ i of g[b, pair(i, j)] · x[b, j].
//
//   x, dx [batch, FEATURES, DIM], y, g [batch, PAIRS] float32.
//   Launch: a warp for SAMPLES samples, WARPS warps a block; WARPS · FLOATS floats of shared memory.
//   Macros: FEATURES, DIM, WARPS; PAIRS = FEATURES (FEATURES − 1) / 2; LANES (16 or 32) a sample, SAMPLES = 32 / LANES;
//   CHUNK, the columns that a lane works on at a time, a multiple of 4; STRIDE, the floats from a row to the next in
//   shared memory, four times an odd number and at least DIM rounded up to CHUNK; FLOATS = SAMPLES (FEATURES · STRIDE +
//   PAIRS) rounded up to 4; VECTOR (1, 2 or 4) divides DIM, and PAIR_VECTOR SAMPLES · PAIRS: x and dx, y and g are
//   aligned to them.
// A lane keeps two rows in registers, one from each end of the triangle, and meets rows j one after the other, which
// all lanes of a sample read at once; half of the pairs need only the row from the far end. Rows lie STRIDE apart so
// that lanes reading their own rows meet different banks; so do the triangular numbers of the results.
// Deterministic.

// Copies N floats from global to shared memory in the background; both places are aligned to them.
template <int N> __device__ __forceinline__ void copyAsync(float* to, const float* from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"((unsigned)__cvta_generic_to_shared(to)),
               "l"(__cvta_generic_to_global(from)), "n"(4 * N) : "memory");
}

// Waits for this lane's copies, then for the warp.
__device__ __forceinline__ void finishCopies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
  __syncwarp();
}

// Moves rows between global memory, where they touch, and shared memory, where they lie STRIDE apart.
__device__ __forceinline__ void gatherRows(float* rows, const float* from, int floats, int lane) {
  for (int at = lane * VECTOR; at < floats; at += 32 * VECTOR) {
    copyAsync<VECTOR>(rows + at / DIM * STRIDE + at % DIM, from + at);
  }
#if STRIDE > DIM
  for (int at = lane; at < SAMPLES * FEATURES * (STRIDE - DIM); at += 32) {
    rows[at / (STRIDE - DIM) * STRIDE + DIM + at % (STRIDE - DIM)] = 0.f;  // what is read beyond a row adds nothing
  }
#endif
}

__device__ __forceinline__ void scatterRows(float* to, const float* rows, int floats, int lane) {
#pragma unroll 4
  for (int at = lane * VECTOR; at < floats; at += 32 * VECTOR) {
    float v[VECTOR];
    load(v, rows + at / DIM * STRIDE + at % DIM);
    store(to + at, v);
  }
}

// The rows of a tile of 2 · LANES that a lane keeps: one from its beginning and one from its end.
struct OwnRows {
  int low, high;
  bool hasLow, hasHigh;
  int middle, last;  // rows j that both can meet end before `middle`, those that the high one can before `last`
  __device__ __forceinline__ OwnRows(int first, int lane) {
    int count = FEATURES - first < 2 * LANES ? FEATURES - first : 2 * LANES;
    low = first + lane;
    high = first + count - 1 - lane;
    hasLow = lane < (count + 1) / 2;
    hasHigh = lane < count / 2;
    if (!hasLow) low = first;
    if (!hasHigh) high = first;
    middle = first + (count + 1) / 2 - 1;
    last = first + count - 1;
  }
};

__device__ __forceinline__ void loadChunk(float (&to)[CHUNK], const float* from) {
#pragma unroll
  for (int d = 0; d < CHUNK; d += 4) {
    float v[4];
    load(v, from + d);
    for (int k = 0; k < 4; k++) to[d + k] = v[k];
  }
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
dotInteraction(const float* __restrict__ x, float* __restrict__ y, int batch) {
  extern __shared__ float4 shared[];
  float* rows = (float*)shared + threadIdx.x / 32 * FLOATS;
  float* pairs = rows + SAMPLES * FEATURES * STRIDE;
  int lane = threadIdx.x % 32;
  int sample = (blockIdx.x * WARPS + threadIdx.x / 32) * SAMPLES;
  if (sample >= batch) return;
  int samples = batch - sample < SAMPLES ? batch - sample : SAMPLES;
  gatherRows(rows, x + (long long)sample * FEATURES * DIM, samples * FEATURES * DIM, lane);
  finishCopies();

  const float* mine = rows + lane / LANES * FEATURES * STRIDE;
  float* pairsOfMine = pairs + lane / LANES * PAIRS;
  for (int first = 0; first < FEATURES; first += 2 * LANES) {
    OwnRows own(first, lane % LANES);
    float* ofLow = pairsOfMine + own.low * (own.low - 1) / 2;
    float* ofHigh = pairsOfMine + own.high * (own.high - 1) / 2;
    for (int start = 0; start < DIM; start += CHUNK) {
      float low[CHUNK], high[CHUNK];
      loadChunk(low, mine + own.low * STRIDE + start);
      loadChunk(high, mine + own.high * STRIDE + start);
#pragma unroll 2
      for (int j = 0; j < own.middle; j++) {
        float lows[4] = {}, highs[4] = {};
#pragma unroll
        for (int d = 0; d < CHUNK; d += 4) {
          float v[4];
          load(v, mine + j * STRIDE + start + d);
          for (int k = 0; k < 4; k++) {
            lows[k] += low[d + k] * v[k];
            highs[k] += high[d + k] * v[k];
          }
        }
        float lowSum = (lows[0] + lows[1]) + (lows[2] + lows[3]);
        float highSum = (highs[0] + highs[1]) + (highs[2] + highs[3]);
        if (own.hasLow && j < own.low) ofLow[j] = start == 0 ? lowSum : ofLow[j] + lowSum;
        if (own.hasHigh) ofHigh[j] = start == 0 ? highSum : ofHigh[j] + highSum;
      }
#pragma unroll 2
      for (int j = own.middle; j < own.last; j++) {
        float sums[4] = {};
#pragma unroll
        for (int d = 0; d < CHUNK; d += 4) {
          float v[4];
          load(v, mine + j * STRIDE + start + d);
          for (int k = 0; k < 4; k++) sums[k] += high[d + k] * v[k];
        }
        float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        if (own.hasHigh && j < own.high) ofHigh[j] = start == 0 ? sum : ofHigh[j] + sum;
      }
    }
  }
  __syncwarp();
  float* to = y + (long long)sample * PAIRS;
  int whole = samples * PAIRS / PAIR_VECTOR * PAIR_VECTOR;
#pragma unroll 4
  for (int at = lane * PAIR_VECTOR; at < whole; at += 32 * PAIR_VECTOR) {
    float v[PAIR_VECTOR];
    load(v, pairs + at);
    store(to + at, v);
  }
  for (int at = whole + lane; at < samples * PAIRS; at += 32) to[at] = pairs[at];
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
dotInteractionGradient(const float* __restrict__ x, const float* __restrict__ g, float* __restrict__ dx, int batch) {
  extern __shared__ float4 shared[];
  float* rows = (float*)shared + threadIdx.x / 32 * FLOATS;
  float* pairs = rows + SAMPLES * FEATURES * STRIDE;
  int lane = threadIdx.x % 32;
  int sample = (blockIdx.x * WARPS + threadIdx.x / 32) * SAMPLES;
  if (sample >= batch) return;
  int samples = batch - sample < SAMPLES ? batch - sample : SAMPLES;
  const float* from = g + (long long)sample * PAIRS;
  int whole = samples * PAIRS / PAIR_VECTOR * PAIR_VECTOR;
  for (int at = lane * PAIR_VECTOR; at < whole; at += 32 * PAIR_VECTOR) {
    copyAsync<PAIR_VECTOR>(pairs + at, from + at);
  }
  for (int at = whole + lane; at < samples * PAIRS; at += 32) pairs[at] = from[at];
  gatherRows(rows, x + (long long)sample * FEATURES * DIM, samples * FEATURES * DIM, lane);
  finishCopies();

  float* to = dx + (long long)sample * FEATURES * DIM;
  float* mine = rows + lane / LANES * FEATURES * STRIDE;
  const float* pairsOfMine = pairs + lane / LANES * PAIRS;
  for (int start = 0; start < DIM; start += CHUNK) {
    for (int first = 0; first < FEATURES; first += 2 * LANES) {
      OwnRows own(first, lane % LANES);
      const float* ofLow = pairsOfMine + own.low * (own.low - 1) / 2;
      const float* ofHigh = pairsOfMine + own.high * (own.high - 1) / 2;
      float low[CHUNK] = {}, high[CHUNK] = {};
#pragma unroll 2
      for (int j = 0; j < FEATURES; j++) {
        const float* ofJ = pairsOfMine + j * (j - 1) / 2;
        float lowWeight = j < own.low ? ofLow[j] : j > own.low ? ofJ[own.low] : 0.f;
        float highWeight = j < own.high ? ofHigh[j] : j > own.high ? ofJ[own.high] : 0.f;
#pragma unroll
        for (int d = 0; d < CHUNK; d += 4) {
          float v[4];
          load(v, mine + j * STRIDE + start + d);
          for (int k = 0; k < 4; k++) {
            low[d + k] += lowWeight * v[k];
            high[d + k] += highWeight * v[k];
          }
        }
      }
#if FEATURES <= 2 * LANES
      // These columns have been read: they give way to the results, which then leave in the order of memory.
      __syncwarp();
#pragma unroll
      for (int d = 0; d < CHUNK; d += 4) {
        float lows[4] = {low[d], low[d + 1], low[d + 2], low[d + 3]};
        float highs[4] = {high[d], high[d + 1], high[d + 2], high[d + 3]};
        if (own.hasLow) store(mine + own.low * STRIDE + start + d, lows);
        if (own.hasHigh) store(mine + own.high * STRIDE + start + d, highs);
      }
#else
#pragma unroll
      for (int d = 0; d < CHUNK; d++) {
        if (start + d >= DIM) break;
        if (own.hasLow) to[own.low * DIM + start + d] = low[d];
        if (own.hasHigh) to[own.high * DIM + start + d] = high[d];
      }
#endif
    }
  }
#if FEATURES <= 2 * LANES
  __syncwarp();
  scatterRows(to, rows, samples * FEATURES * DIM, lane);
#endif
}
