// Products of every pair of a sample's feature vectors, y[b, i(i − 1)/2 + j] = x[b, i] · x[b, j] for i > j, and their
// gradient, dx[b, i] = Σ over j ≠ i of g[b, pair(i, j)] · x[b, j].
//
//   x, dx [batch, FEATURES, DIM], y, g [batch, PAIRS] float32.
//   Launch: ⌈batch / WARPS⌉ blocks of 32 · WARPS threads, a warp a sample; WARPS · SAMPLE floats of shared memory.
//   Macros: FEATURES, DIM, WARPS; PAIRS = FEATURES (FEATURES − 1) / 2; CHUNK, the columns that a lane works on at a
//   time, a multiple of 4; STRIDE, the floats from a row to the next in shared memory, four times an odd number and at
//   least DIM rounded up to CHUNK; SAMPLE = FEATURES · STRIDE + PAIRS rounded up to 4; VECTOR (1, 2 or 4) divides DIM.
// A lane keeps one row i in registers and meets rows j one after the other, which all lanes read at once. Rows lie
// STRIDE apart so that lanes reading their own rows meet different banks; so do the triangular numbers of the results.
// Deterministic.

#define ROUND (4 * 32 * VECTOR)

// Moves a sample's rows between global memory, where they touch, and shared memory, where they lie STRIDE apart.
// Four vectors a lane are on their way at a time.
__device__ __forceinline__ void gatherRows(float* rows, const float* from, int lane) {
  for (int first = lane * VECTOR; first < FEATURES * DIM; first += ROUND) {
    float v[4][VECTOR];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      if (first + k * 32 * VECTOR < FEATURES * DIM) load(v[k], from + first + k * 32 * VECTOR);
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
      int at = first + k * 32 * VECTOR;
      if (at < FEATURES * DIM) store(rows + at / DIM * STRIDE + at % DIM, v[k]);
    }
  }
#if STRIDE > DIM
  for (int at = lane; at < FEATURES * (STRIDE - DIM); at += 32) {
    rows[at / (STRIDE - DIM) * STRIDE + DIM + at % (STRIDE - DIM)] = 0.f;  // what is read beyond a row adds nothing
  }
#endif
}

__device__ __forceinline__ void scatterRows(float* to, const float* rows, int lane) {
#pragma unroll 4
  for (int at = lane * VECTOR; at < FEATURES * DIM; at += 32 * VECTOR) {
    float v[VECTOR];
    load(v, rows + at / DIM * STRIDE + at % DIM);
    store(to + at, v);
  }
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
dotInteraction(const float* __restrict__ x, float* __restrict__ y, int batch) {
  extern __shared__ float4 shared[];
  float* rows = (float*)shared + threadIdx.x / 32 * SAMPLE;
  float* pairs = rows + FEATURES * STRIDE;
  int lane = threadIdx.x % 32;
  int sample = blockIdx.x * WARPS + threadIdx.x / 32;
  if (sample >= batch) return;
  gatherRows(rows, x + (long long)sample * FEATURES * DIM, lane);
  __syncwarp();

  for (int first = 0; first < FEATURES; first += 32) {
    int i = first + lane;
    bool live = i < FEATURES;
    int triangle = i * (i - 1) / 2;
    int last = FEATURES - 1 < first + 31 ? FEATURES - 1 : first + 31;
    for (int start = 0; start < DIM; start += CHUNK) {
      float own[CHUNK];
#pragma unroll
      for (int d = 0; d < CHUNK; d += 4) {
        float v[4];
        load(v, rows + (live ? i : 0) * STRIDE + start + d);
        for (int k = 0; k < 4; k++) own[d + k] = v[k];
      }
#pragma unroll 4
      for (int j = 0; j < last; j++) {
        float sums[4] = {};
#pragma unroll
        for (int d = 0; d < CHUNK; d += 4) {
          float v[4];
          load(v, rows + j * STRIDE + start + d);
          for (int k = 0; k < 4; k++) sums[k] += own[d + k] * v[k];
        }
        float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        if (j < i && live) pairs[triangle + j] = start == 0 ? sum : pairs[triangle + j] + sum;
      }
    }
  }
  __syncwarp();
#pragma unroll 4
  for (int at = lane; at < PAIRS; at += 32) y[(long long)sample * PAIRS + at] = pairs[at];
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
dotInteractionGradient(const float* __restrict__ x, const float* __restrict__ g, float* __restrict__ dx, int batch) {
  extern __shared__ float4 shared[];
  float* rows = (float*)shared + threadIdx.x / 32 * SAMPLE;
  float* pairs = rows + FEATURES * STRIDE;
  int lane = threadIdx.x % 32;
  int sample = blockIdx.x * WARPS + threadIdx.x / 32;
  if (sample >= batch) return;
#pragma unroll 4
  for (int at = lane; at < PAIRS; at += 32) pairs[at] = g[(long long)sample * PAIRS + at];
  gatherRows(rows, x + (long long)sample * FEATURES * DIM, lane);
  __syncwarp();

  float* to = dx + (long long)sample * FEATURES * DIM;
  for (int start = 0; start < DIM; start += CHUNK) {
    for (int first = 0; first < FEATURES; first += 32) {
      int i = first + lane;
      bool live = i < FEATURES;
      float sums[CHUNK] = {};
#pragma unroll 4
      for (int j = 0; j < FEATURES; j++) {
        int low = i < j ? i : j, high = i < j ? j : i;
        float weight = live && i != j ? pairs[high * (high - 1) / 2 + low] : 0.f;
#pragma unroll
        for (int d = 0; d < CHUNK; d += 4) {
          float v[4];
          load(v, rows + j * STRIDE + start + d);
          for (int k = 0; k < 4; k++) sums[d + k] += weight * v[k];
        }
      }
#if FEATURES <= 32
      // These columns have been read: they give way to the results, which then leave in the order of memory.
      __syncwarp();
#pragma unroll
      for (int d = 0; d < CHUNK; d += 4) {
        float v[4] = {sums[d], sums[d + 1], sums[d + 2], sums[d + 3]};
        if (live) store(rows + i * STRIDE + start + d, v);
      }
#else
#pragma unroll
      for (int d = 0; d < CHUNK; d++) {
        if (live && start + d < DIM) to[i * DIM + start + d] = sums[d];
      }
#endif
    }
  }
#if FEATURES <= 32
  __syncwarp();
  scatterRows(to, rows, lane);
#endif
}
