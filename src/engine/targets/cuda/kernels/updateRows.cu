// Sums the gradients of each looked-up row, in the order of its lookups, and applies the optimizer once a row.
//
//   g[row] = sum over the lookups l of row, in order, of gradients[bags[l], :]
//
//   SUM              out[row] = g                                                   (rows without padding)
//   SGD              w -= rate * g
//   ADAGRAD          s += g * g;             w -= rate * g / (sqrt(s) + epsilon)
//   ROWWISE_ADAGRAD  m += mean(g * g);       w -= rate / (sqrt(m) + epsilon) * g                         (m: one a row)
//   ADAM             m = beta1 * m + rest1 * g;  v = beta2 * v + rest2 * g * g;
//                    w -= rate * m / (sqrt(v) * scale + epsilon)
//
// Each operation is rounded by itself, in the order of the CPU's kernels: rows of up to 64 lookups get the same bits
// there and here. No float atomics: items and rows are those of segmentRows.cu. A row of one item is updated by
// updateItems at once; longer ones leave the sums of their items in `partials`, which updateLongRows adds in order.
//
// gradients [B * T, D] without padding; weights and states [rows, STRIDE], STRIDE = D rounded up to whole float4s, save
// the state of ROWWISE_ADAGRAD, [rows]; partials [2 * ceil(n / 64), STRIDE]. changed (or null): a byte a row, set to
// mark. guard (or null): a scalar; when it is not finite, nothing is written.
//
// Launch: THREADS a block, LANES threads an item (updateItems: a group for each possible item) or a long row
// (updateLongRows: any number of blocks); but for ROWWISE_ADAGRAD with blocks along y for each LANES vectors of a row.
// Defined in front: DIM, LANES (a power of two, at most 32), THREADS, the optimizer, and one of ITEMS, LONG_ROWS.

#define VECTORS ((DIM + 3) / 4)
#define CHUNKS ((VECTORS + LANES - 1) / LANES)
// Vectors of a row that a thread holds, and which chunk of the row they are: the mean over a row needs all of it at
// once, other rules take each chunk in blocks of its own.
#if defined(ROWWISE_ADAGRAD) || CHUNKS == 1
#define HELD CHUNKS
#define CHUNK(c) (c)
#else
#define HELD 1
#define CHUNK(c) (blockIdx.y)
#endif
#define FIRST 0x80000000u
#define LAST 0x40000000u
#define PLACE 0x3fffffffu

__device__ __forceinline__ float4 add(float4 a, float4 b) {
  return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z), __fadd_rn(a.w, b.w));
}
__device__ __forceinline__ float4 sub(float4 a, float4 b) {
  return make_float4(__fsub_rn(a.x, b.x), __fsub_rn(a.y, b.y), __fsub_rn(a.z, b.z), __fsub_rn(a.w, b.w));
}
__device__ __forceinline__ float4 mul(float4 a, float4 b) {
  return make_float4(__fmul_rn(a.x, b.x), __fmul_rn(a.y, b.y), __fmul_rn(a.z, b.z), __fmul_rn(a.w, b.w));
}
__device__ __forceinline__ float4 div(float4 a, float4 b) {
  return make_float4(__fdiv_rn(a.x, b.x), __fdiv_rn(a.y, b.y), __fdiv_rn(a.z, b.z), __fdiv_rn(a.w, b.w));
}
__device__ __forceinline__ float4 root(float4 a) {
  return make_float4(__fsqrt_rn(a.x), __fsqrt_rn(a.y), __fsqrt_rn(a.z), __fsqrt_rn(a.w));
}
__device__ __forceinline__ float4 splat(float a) { return make_float4(a, a, a, a); }

// Floats 4 * vector ... of an unpadded row of D; zeros beyond its end.
__device__ __forceinline__ float4 loadVector(const float* row, int vector) {
#if DIM % 4 == 0
  return __ldg(reinterpret_cast<const float4*>(row) + vector);
#else
  const int e = vector * 4;
  return make_float4(row[e], e + 1 < DIM ? row[e + 1] : 0.f, e + 2 < DIM ? row[e + 2] : 0.f,
                     e + 3 < DIM ? row[e + 3] : 0.f);
#endif
}

__device__ __forceinline__ bool isFinite(float x) { return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u; }

// What an update works on.
struct Table {
  float* weights;
  float* state0;
  float* state1;
  unsigned char* changed;
  int mark;
  float rate, epsilon, scale, beta1, rest1, beta2, rest2;
};

// This thread's vectors of a row and of its state, read before its gradients so that all are under way at once.
struct StoredRow {
  float4 weights[HELD], state0[HELD], state1[HELD];
  float moment;

  __device__ __forceinline__ void load(const Table& table, unsigned row, int lane) {
#ifndef SUM
    #pragma unroll
    for (int c = 0; c < HELD; c++) {
      const int vector = CHUNK(c) * LANES + lane;
      if (vector >= VECTORS) continue;
      const size_t at = (size_t)row * VECTORS + vector;
      weights[c] = reinterpret_cast<float4*>(table.weights)[at];
  #if defined(ADAGRAD) || defined(ADAM)
      state0[c] = reinterpret_cast<float4*>(table.state0)[at];
  #endif
  #ifdef ADAM
      state1[c] = reinterpret_cast<float4*>(table.state1)[at];
  #endif
    }
  #ifdef ROWWISE_ADAGRAD
    moment = table.state0[row];
  #endif
#endif
  }

  __device__ __forceinline__ void update(const Table& table, unsigned row, int lane, const float4 g[HELD]) {
#ifdef ROWWISE_ADAGRAD
    // The squares of element e, e + 4, e + 8 ... are added in order, then the four sums, as SIMD lanes do.
    const unsigned group = LANES == 32 ? 0xffffffffu : ((1u << LANES % 32) - 1) << (threadIdx.x % 32 / LANES * LANES);
    float4 squares = splat(0.f);
    #pragma unroll
    for (int c = 0; c < HELD; c++) {
      const float4 mine = mul(g[c], g[c]);
      #pragma unroll
      for (int l = 0; l < LANES; l++) {
        float4 other;
        other.x = __shfl_sync(group, mine.x, l, LANES);
        other.y = __shfl_sync(group, mine.y, l, LANES);
        other.z = __shfl_sync(group, mine.z, l, LANES);
        other.w = __shfl_sync(group, mine.w, l, LANES);
        squares = add(squares, other);
      }
    }
    const float total = __fadd_rn(__fadd_rn(squares.x, squares.y), __fadd_rn(squares.z, squares.w));
    const float sum = __fadd_rn(moment, __fdiv_rn(total, (float)DIM));
    const float rowRate = __fdiv_rn(table.rate, __fadd_rn(__fsqrt_rn(sum), table.epsilon));
    if (lane == 0) table.state0[row] = sum;
#endif
    #pragma unroll
    for (int c = 0; c < HELD; c++) {
      const int vector = CHUNK(c) * LANES + lane;
      if (vector >= VECTORS) continue;
#ifdef SUM
      float* out = table.weights + (size_t)row * DIM + vector * 4;
      out[0] = g[c].x;
      if (vector * 4 + 1 < DIM) out[1] = g[c].y;
      if (vector * 4 + 2 < DIM) out[2] = g[c].z;
      if (vector * 4 + 3 < DIM) out[3] = g[c].w;
#endif
#ifndef SUM
      const size_t at = (size_t)row * VECTORS + vector;
#endif
#ifdef SGD
      const float4 change = mul(splat(table.rate), g[c]);
#endif
#ifdef ADAGRAD
      const float4 sums = add(state0[c], mul(g[c], g[c]));
      reinterpret_cast<float4*>(table.state0)[at] = sums;
      const float4 change = div(mul(splat(table.rate), g[c]), add(root(sums), splat(table.epsilon)));
#endif
#ifdef ROWWISE_ADAGRAD
      const float4 change = mul(splat(rowRate), g[c]);
#endif
#ifdef ADAM
      const float4 m = add(mul(splat(table.beta1), state0[c]), mul(splat(table.rest1), g[c]));
      const float4 v = add(mul(splat(table.beta2), state1[c]), mul(splat(table.rest2), mul(g[c], g[c])));
      reinterpret_cast<float4*>(table.state0)[at] = m;
      reinterpret_cast<float4*>(table.state1)[at] = v;
      const float4 below = add(mul(root(v), splat(table.scale)), splat(table.epsilon));
      const float4 change = div(mul(splat(table.rate), m), below);
#endif
#ifndef SUM
      reinterpret_cast<float4*>(table.weights)[at] = sub(weights[c], change);
#endif
    }
    if (table.changed != 0 && lane == 0) table.changed[row] = table.mark;
  }
};

// Where the sum of an item of a long row is kept: of the items that begin within 64 places, at most one is the first of
// its row and long, and at most one is a later one.
__device__ __forceinline__ float4* partialOf(float* partials, unsigned start, bool isFirst) {
  return reinterpret_cast<float4*>(partials) + (size_t)(start / 64 * 2 + (isFirst ? 1 : 0)) * VECTORS;
}

#ifdef ITEMS
// Gradients of a row that a thread reads at once. The blocks that a multiprocessor is to hold leave registers for them.
#define AT_ONCE 4
extern "C" __global__ void __launch_bounds__(THREADS, 5)
updateItems(float* weights, float* state0, float* state1, const float* __restrict__ gradients,
            const unsigned* __restrict__ bags, const unsigned* __restrict__ items,
            const unsigned* __restrict__ itemRows, const unsigned* __restrict__ count, float* __restrict__ partials,
            unsigned char* changed, const float* guard, int mark, float rate, float epsilon, float scale, float beta1,
            float rest1, float beta2, float rest2) {
  const unsigned item = blockIdx.x * (THREADS / LANES) + threadIdx.x / LANES;
  // Both are asked for before either is looked at.
  const unsigned many = *count;
  const float loss = guard == 0 ? 0.f : *guard;
  if (item >= many || !isFinite(loss)) return;
  const Table table = {weights, state0, state1, changed, mark, rate, epsilon, scale, beta1, rest1, beta2, rest2};
  const int lane = threadIdx.x % LANES;
  const unsigned word = items[item];
  const unsigned start = word & PLACE;
  const unsigned end = items[item + 1] & PLACE;
  const unsigned row = itemRows[item];
  const bool isWhole = (word & (FIRST | LAST)) == (FIRST | LAST);

  StoredRow old;
  if (isWhole) old.load(table, row, lane);
  float4 sum[HELD];
  #pragma unroll
  for (int c = 0; c < HELD; c++) {
    const int vector = CHUNK(c) * LANES + lane;
    sum[c] = splat(0.f);
    if (vector >= VECTORS) continue;
    sum[c] = loadVector(gradients + (size_t)bags[start] * DIM, vector);
    #pragma unroll 1
    for (unsigned l = start + 1; l < end; l += AT_ONCE) {
      float4 v[AT_ONCE];
      #pragma unroll
      for (int i = 0; i < AT_ONCE; i++) {
        v[i] = l + i < end ? loadVector(gradients + (size_t)bags[l + i] * DIM, vector) : splat(0.f);
      }
      #pragma unroll
      for (int i = 0; i < AT_ONCE; i++) {
        if (l + i < end) sum[c] = add(sum[c], v[i]);
      }
    }
  }
  if (isWhole) {
    old.update(table, row, lane, sum);
    return;
  }
  float4* partial = partialOf(partials, start, word & FIRST);
  #pragma unroll
  for (int c = 0; c < HELD; c++) {
    if (CHUNK(c) * LANES + lane < VECTORS) partial[CHUNK(c) * LANES + lane] = sum[c];
  }
}
#endif

#ifdef LONG_ROWS
// Few rows are long, and what they wait for is latency.
#define AT_ONCE 8
extern "C" __global__ void __launch_bounds__(THREADS, 1)
updateLongRows(float* weights, float* state0, float* state1, const unsigned* __restrict__ items,
               const unsigned* __restrict__ itemRows, const unsigned* __restrict__ longRows,
               const unsigned* __restrict__ longCount, float* __restrict__ partials, unsigned char* changed,
               const float* guard, int mark, float rate, float epsilon, float scale, float beta1, float rest1,
               float beta2, float rest2) {
  if (guard != 0 && !isFinite(*guard)) return;
  const Table table = {weights, state0, state1, changed, mark, rate, epsilon, scale, beta1, rest1, beta2, rest2};
  const int lane = threadIdx.x % LANES;
  const unsigned groups = THREADS / LANES;
  const unsigned many = *longCount;
  for (unsigned i = blockIdx.x * groups + threadIdx.x / LANES; i < many; i += gridDim.x * groups) {
    const unsigned item = longRows[2 * i];
    const unsigned count = longRows[2 * i + 1];
    const unsigned start = items[item] & PLACE;
    const unsigned row = itemRows[item];
    StoredRow old;
    old.load(table, row, lane);
    const float4* first = partialOf(partials, start, true);
    // Later items are 64 lookups apart, so their sums lie at equal distances.
    const float4* later = partialOf(partials, start + 64, false);
    float4 sum[HELD];
    #pragma unroll
    for (int c = 0; c < HELD; c++) {
      const int vector = CHUNK(c) * LANES + lane;
      sum[c] = splat(0.f);
      if (vector >= VECTORS) continue;
      sum[c] = first[vector];
      #pragma unroll 1
      for (unsigned k = 1; k < count; k += AT_ONCE) {
        float4 v[AT_ONCE];
        #pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
          v[i] = k + i < count ? later[(size_t)(k - 1 + i) * 2 * VECTORS + vector] : splat(0.f);
        }
        #pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
          if (k + i < count) sum[c] = add(sum[c], v[i]);
        }
      }
    }
    old.update(table, row, lane, sum);
  }
}
#endif
