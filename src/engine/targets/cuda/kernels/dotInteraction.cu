// Products of every pair of a sample's feature vectors, y[b, i(i − 1)/2 + j] = v[b, i] · v[b, j] for i > j, and their
// gradient, dv[b, i] = Σ over j ≠ i of g[b, pair(i, j)] · v[b, j].
//
//   Without x, v is rows [batch, FEATURES, DIM], and y is [batch, PAIRS]. With it, v is x [batch, DIM] followed by rows
//   [batch, FEATURES − 1, DIM], and y [batch, DIM + PAIRS] has x in front of the pairs, whose gradient adds to x's. dx,
//   drows and g are as x, rows and y; all float32.
//   Launch: a warp takes SAMPLES samples at a time until there are no more, WARPS warps a block, any grid; FLOATS floats
//   of shared memory a warp: STAGES times the rows, SAMPLES · FEATURES · STRIDE, and once (for the gradient, STAGES
//   times) SPAN.
//   Macros: FEATURES, DIM, WARPS, WITH_X (0 or 1; without x, x and dx are not touched); RESIDENT, the blocks that a
//   multiprocessor is to hold at once; LANES (16 or 32) a sample, SAMPLES = 32 / LANES; CHUNK, the columns that a lane
//   works on at a time, a multiple of 4; STRIDE, the floats from a row to the next in shared memory, four times an odd
//   number and at least DIM rounded up to CHUNK; STAGES (1 or 2): with 2, samples are on their way while those before
//   are computed with; SPAN, SAMPLES rows of y and three floats more, rounded up to 4; VECTOR (1, 2 or 4) divides DIM:
//   x, rows, dx and drows are aligned to it.
// A lane keeps two rows in registers, one from each end of the triangle, and meets rows j one after the other, which
// all lanes of a sample read at once; half of the pairs need only the row from the far end. Rows lie STRIDE apart so
// that lanes reading their own rows meet different banks; so do the triangular numbers of the results. A row of y may
// begin anywhere, so a warp's lie in shared memory as far from a multiple of 16 bytes as in global memory: all but
// their ends then move 16 bytes at a time.
// The lanes of a sample beyond the last compute with what they find, and nothing of it is stored.
// Deterministic.

#define PAIRS (FEATURES * (FEATURES - 1) / 2)
#define DIRECT (WITH_X * DIM)
#define WIDTH (DIRECT + PAIRS)
#define ROWS (SAMPLES * FEATURES * STRIDE)

// Rows j in a turn of the loops. For the gradient all of them where registers last: what each j's weights need is then
// known to the compiler.
#define UNROLL 4
#if FEATURES <= 32 && CHUNK <= 16
#define GRADIENT_UNROLL FEATURES
#else
#define GRADIENT_UNROLL UNROLL
#endif

// Copies N floats from global to shared memory in the background; both places are aligned to them.
template <int N> __device__ __forceinline__ void copyAsync(float* to, const float* from) {
  unsigned place = (unsigned)__cvta_generic_to_shared(to);
  if constexpr (N == 4) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(place), "l"(__cvta_generic_to_global(from)) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(place), "l"(__cvta_generic_to_global(from)), "n"(4 * N) : "memory");
  }
}

// Ends a batch of copies.
__device__ __forceinline__ void endCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for all of the warp's batches of copies but the last `Pending`.
template <int Pending> __device__ __forceinline__ void finishCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
  __syncwarp();
}

// Calls move(place, at) for each vector of a sample's rows FIRST to FIRST + EACH − 1: its place in shared memory, where
// rows lie STRIDE apart, and in global memory, where they touch.
template <int EACH, int FIRST, typename Move> __device__ __forceinline__ void eachVector(int lane, Move move) {
#pragma unroll 8
  for (int i = 0; i < (EACH * DIM + 32 * VECTOR - 1) / (32 * VECTOR); i++) {
    int at = (i * 32 + lane) * VECTOR;
    if (at < EACH * DIM) move((FIRST + at / DIM) * STRIDE + at % DIM, at);
  }
}

template <int EACH, int FIRST>
__device__ __forceinline__ void gatherRows(float* features, const float* rows, int sample, int samples, int lane) {
#pragma unroll
  for (int s = 0; s < SAMPLES; s++) {
    if (s >= samples) break;
    float* to = features + s * FEATURES * STRIDE;
    const float* from = rows + (long long)(sample + s) * EACH * DIM;
    eachVector<EACH, FIRST>(lane, [&](int place, int at) { copyAsync<VECTOR>(to + place, from + at); });
  }
}

template <int EACH, int FIRST>
__device__ __forceinline__ void scatterRows(float* rows, const float* features, int sample, int samples, int lane) {
#pragma unroll
  for (int s = 0; s < SAMPLES; s++) {
    if (s >= samples) break;
    const float* from = features + s * FEATURES * STRIDE;
    float* to = rows + (long long)(sample + s) * EACH * DIM;
    eachVector<EACH, FIRST>(lane, [&](int place, int at) {
      float v[VECTOR];
      load(v, from + place);
      store(to + at, v);
    });
  }
}

__device__ __forceinline__ void gatherFeatures(float* features, const float* x, const float* rows, int sample, int samples, int lane) {
#if WITH_X
  gatherRows<1, 0>(features, x, sample, samples, lane);
  gatherRows<FEATURES - 1, 1>(features, rows, sample, samples, lane);
#else
  gatherRows<FEATURES, 0>(features, rows, sample, samples, lane);
#endif
}

// Zeros behind the rows of every stage: what is read beyond a row adds nothing.
__device__ __forceinline__ void clearPadding(float* stage, int floats, int lane) {
#if STRIDE > DIM
  for (int at = lane; at < STAGES * SAMPLES * FEATURES * (STRIDE - DIM); at += 32) {
    int row = at / (STRIDE - DIM);
    stage[row / (SAMPLES * FEATURES) * floats + row % (SAMPLES * FEATURES) * STRIDE + DIM + at % (STRIDE - DIM)] = 0.f;
  }
#endif
}

// Floats by which an address lies behind a multiple of 16 bytes.
__device__ __forceinline__ int skewOf(const float* at) { return (int)((unsigned long long)at / 4 % 4); }

template <int N> struct Size { static constexpr int Floats = N; };

// Calls move(at, size) for the parts of a span in turn, size.Floats (1 or 4) from `at`; those of 4 begin at a multiple
// of 16 bytes where the span begins `skew` floats behind one. It is SAMPLES rows of y, or fewer.
template <typename Move> __device__ __forceinline__ void eachPart(int skew, int floats, int lane, Move move) {
  int head = (4 - skew) % 4;
  if (head > floats) head = floats;
  int tail = head + (floats - head) / 4 * 4;
  if (lane < head) move(lane, Size<1>());
#pragma unroll 8
  for (int i = 0; i < (SAMPLES * WIDTH + 127) / 128; i++) {
    int at = head + 4 * (i * 32 + lane);
    if (at < tail) move(at, Size<4>());
  }
  if (tail + lane < floats) move(tail + lane, Size<1>());
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

extern "C" __global__ void __launch_bounds__(32 * WARPS, RESIDENT)
dotInteraction(const float* __restrict__ x, const float* __restrict__ rows, float* __restrict__ y, int batch) {
  extern __shared__ float4 shared[];
  float* stages = (float*)shared + threadIdx.x / 32 * FLOATS;
  float* span = stages + STAGES * ROWS;
  int lane = threadIdx.x % 32;
  int step = gridDim.x * WARPS * SAMPLES;
  int sample = (blockIdx.x * WARPS + threadIdx.x / 32) * SAMPLES;
  auto fetch = [&](int sample, float* to) {
    if (sample < batch) gatherFeatures(to, x, rows, sample, batch - sample < SAMPLES ? batch - sample : SAMPLES, lane);
    endCopies();
  };
  clearPadding(stages, ROWS, lane);
  fetch(sample, stages);

  for (int stage = 0; sample < batch; sample += step, stage = (stage + 1) % STAGES) {
    if (STAGES == 2) fetch(sample + step, stages + (1 - stage) * ROWS);
    finishCopies<STAGES - 1>();
    int samples = batch - sample < SAMPLES ? batch - sample : SAMPLES;
    float* to = y + (long long)sample * WIDTH;
    int skew = skewOf(to);
    const float* mine = stages + stage * ROWS + lane / LANES * FEATURES * STRIDE;
    float* resultOfMine = span + skew + lane / LANES * WIDTH;
    for (int d = lane % LANES; d < DIRECT; d += LANES) resultOfMine[d] = mine[d];
    float* pairsOfMine = resultOfMine + DIRECT;
    for (int first = 0; first < FEATURES; first += 2 * LANES) {
      OwnRows own(first, lane % LANES);
      float* ofLow = pairsOfMine + own.low * (own.low - 1) / 2;
      float* ofHigh = pairsOfMine + own.high * (own.high - 1) / 2;
      for (int start = 0; start < DIM; start += CHUNK) {
        float low[CHUNK], high[CHUNK];
        loadChunk(low, mine + own.low * STRIDE + start);
        loadChunk(high, mine + own.high * STRIDE + start);
#pragma unroll UNROLL
        for (int j = 0; j < own.middle; j++) {
          float lows[2] = {}, highs[2] = {};
#pragma unroll
          for (int d = 0; d < CHUNK; d += 4) {
            float v[4];
            load(v, mine + j * STRIDE + start + d);
            for (int k = 0; k < 4; k++) {
              lows[k % 2] += low[d + k] * v[k];
              highs[k % 2] += high[d + k] * v[k];
            }
          }
          float lowSum = lows[0] + lows[1], highSum = highs[0] + highs[1];
          if (own.hasLow && j < own.low) ofLow[j] = start == 0 ? lowSum : ofLow[j] + lowSum;
          if (own.hasHigh) ofHigh[j] = start == 0 ? highSum : ofHigh[j] + highSum;
        }
#pragma unroll UNROLL
        for (int j = own.middle; j < own.last; j++) {
          float sums[2] = {};
#pragma unroll
          for (int d = 0; d < CHUNK; d += 4) {
            float v[4];
            load(v, mine + j * STRIDE + start + d);
            for (int k = 0; k < 4; k++) sums[k % 2] += high[d + k] * v[k];
          }
          float sum = sums[0] + sums[1];
          if (own.hasHigh && j < own.high) ofHigh[j] = start == 0 ? sum : ofHigh[j] + sum;
        }
      }
    }
    __syncwarp();
    eachPart(skew, samples * WIDTH, lane, [&](int at, auto size) {
      float v[decltype(size)::Floats];
      load(v, span + skew + at);
      store(to + at, v);
    });
    __syncwarp();
    if (STAGES == 1) fetch(sample + step, stages);
  }
}

extern "C" __global__ void __launch_bounds__(32 * WARPS, RESIDENT)
dotInteractionGradient(const float* __restrict__ x, const float* __restrict__ rows, const float* __restrict__ g, float* __restrict__ dx, float* __restrict__ drows, int batch) {
  extern __shared__ float4 shared[];
  float* stages = (float*)shared + threadIdx.x / 32 * FLOATS;
  int lane = threadIdx.x % 32;
  int step = gridDim.x * WARPS * SAMPLES;
  int sample = (blockIdx.x * WARPS + threadIdx.x / 32) * SAMPLES;
  auto fetch = [&](int sample, float* to) {
    if (sample < batch) {
      int samples = batch - sample < SAMPLES ? batch - sample : SAMPLES;
      const float* from = g + (long long)sample * WIDTH;
      int skew = skewOf(from);
      float* span = to + ROWS + skew;
      eachPart(skew, samples * WIDTH, lane, [&](int at, auto size) {
        copyAsync<decltype(size)::Floats>(span + at, from + at);
      });
      gatherFeatures(to, x, rows, sample, samples, lane);
    }
    endCopies();
  };
  clearPadding(stages, ROWS + SPAN, lane);
  fetch(sample, stages);

  for (int stage = 0; sample < batch; sample += step, stage = (stage + 1) % STAGES) {
    if (STAGES == 2) fetch(sample + step, stages + (1 - stage) * (ROWS + SPAN));
    finishCopies<STAGES - 1>();
    float* features = stages + stage * (ROWS + SPAN);
    float* mine = features + lane / LANES * FEATURES * STRIDE;
    const float* directOfMine = features + ROWS + skewOf(g + (long long)sample * WIDTH) + lane / LANES * WIDTH;
    const float* pairsOfMine = directOfMine + DIRECT;
    for (int start = 0; start < DIM; start += CHUNK) {
      for (int first = 0; first < FEATURES; first += 2 * LANES) {
        OwnRows own(first, lane % LANES);
        int ofLow = own.low * (own.low - 1) / 2, ofHigh = own.high * (own.high - 1) / 2;
        float low[CHUNK] = {}, high[CHUNK] = {};
#pragma unroll GRADIENT_UNROLL
        for (int j = 0; j < FEATURES; j++) {
          int ofJ = j * (j - 1) / 2;
          float lowWeight = j == own.low ? 0.f : pairsOfMine[j < own.low ? ofLow + j : ofJ + own.low];
          float highWeight = j == own.high ? 0.f : pairsOfMine[j < own.high ? ofHigh + j : ofJ + own.high];
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
        // One sample a warp: rows that other tiles will read stay, and results leave as they are.
        auto put = [&](int i, int d, float value) {
          if (WITH_X && i == 0) dx[(long long)sample * DIM + d] = value + directOfMine[d];
          else drows[((long long)sample * (FEATURES - WITH_X) + i - WITH_X) * DIM + d] = value;
        };
#pragma unroll
        for (int d = 0; d < CHUNK; d++) {
          if (start + d >= DIM) break;
          if (own.hasLow) put(own.low, start + d, low[d]);
          if (own.hasHigh) put(own.high, start + d, high[d]);
        }
#endif
      }
    }
    __syncwarp();
#if FEATURES <= 2 * LANES
    int samples = batch - sample < SAMPLES ? batch - sample : SAMPLES;
#if WITH_X
    for (int d = lane % LANES; d < DIM; d += LANES) mine[d] += directOfMine[d];
    __syncwarp();
    scatterRows<1, 0>(dx, features, sample, samples, lane);
    scatterRows<FEATURES - 1, 1>(drows, features, sample, samples, lane);
#else
    scatterRows<FEATURES, 0>(drows, features, sample, samples, lane);
#endif
    __syncwarp();
#endif
    if (STAGES == 1) fetch(sample + step, stages);
  }
}
