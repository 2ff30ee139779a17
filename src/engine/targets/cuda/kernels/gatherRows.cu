// Gathers embedding rows, pooled by sum, into [padded, T, D].
//
//   out[b, t, :] = sum over the lookups l of bag (t, b), in order, of weights[keys[l], :]      for b < size
//   out[b, t, :] = 0                                                       for size <= b < padded and empty bags
//
// weights [rows, STRIDE], STRIDE = D rounded up to whole float4s; keys [lookups], table-major: without BAGS bag (t, b)
// is the lookup t * size + b, with BAGS it is keys[offsets[t * size + b] ... offsets[t * size + b + 1]). A bag outside
// [0, lookups], which has no keys, counts as empty.
//
// Launch: THREADS a block, each group of LANES threads moves one row in pieces of 16 bytes, ROUNDS rows a group;
// ceil(padded * T / (THREADS / LANES * ROUNDS)) blocks. All keys of a group are read before its rows, and all rows
// before they are stored, so that ROUNDS random reads a thread are under way at once.
//
// Defined in front: DIM (D), TABLES (T), LANES (a power of two, at most 32), THREADS, ROUNDS, and BAGS for bags.

#define VECTORS ((DIM + 3) / 4)
// Rows of a bag that a thread reads at once. The blocks that a multiprocessor is to hold leave registers for them.
#define AT_ONCE 4
#define BLOCKS 5

// Stores floats 4 * vector ... of an unpadded row of D.
__device__ __forceinline__ void storeVector(float* row, int vector, float4 v) {
#if DIM % 4 == 0
  reinterpret_cast<float4*>(row)[vector] = v;
#else
  const float e[4] = {v.x, v.y, v.z, v.w};
  #pragma unroll
  for (int i = 0; i < 4; i++) {
    if (vector * 4 + i < DIM) row[vector * 4 + i] = e[i];
  }
#endif
}

__device__ __forceinline__ float4 addVectors(float4 a, float4 b) {
  return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z), __fadd_rn(a.w, b.w));
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
gatherRows(const float* __restrict__ weights, const unsigned* __restrict__ keys, const int* __restrict__ offsets,
           float* __restrict__ out, int size, int padded, int lookups) {
  const int groups = THREADS / LANES;
  const int lane = threadIdx.x % LANES;
  const unsigned first = blockIdx.x * (groups * ROUNDS) + threadIdx.x / LANES;
  const unsigned used = (unsigned)size * TABLES;
  const unsigned all = (unsigned)padded * TABLES;
  const float4 zero = make_float4(0.f, 0.f, 0.f, 0.f);

#ifdef BAGS
  #pragma unroll 1
  for (int r = 0; r < ROUNDS; r++) {
    const unsigned o = first + r * groups;
    if (o >= all) return;
    int start = 0, end = 0;
    if (o < used) {
      const unsigned bag = (o % TABLES) * size + o / TABLES;
      start = offsets[bag];
      end = offsets[bag + 1];
      if (start < 0 || end > lookups) end = start;
    }
    for (int vector = lane; vector < VECTORS; vector += LANES) {
      const float4* column = reinterpret_cast<const float4*>(weights) + vector;
      float4 sum = start < end ? column[(size_t)keys[start] * VECTORS] : zero;
      #pragma unroll 1
      for (int l = start + 1; l < end; l += AT_ONCE) {
        float4 v[AT_ONCE];
        #pragma unroll
        for (int i = 0; i < AT_ONCE; i++) v[i] = l + i < end ? column[(size_t)keys[l + i] * VECTORS] : zero;
        #pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
          if (l + i < end) sum = addVectors(sum, v[i]);
        }
      }
      storeVector(out + (size_t)o * DIM, vector, sum);
    }
  }
#else
  unsigned key[ROUNDS];
  #pragma unroll
  for (int r = 0; r < ROUNDS; r++) {
    const unsigned o = first + r * groups;
    key[r] = o < used ? keys[(o % TABLES) * size + o / TABLES] : 0;
  }
  for (int vector = lane; vector < VECTORS; vector += LANES) {
    float4 v[ROUNDS];
    #pragma unroll
    for (int r = 0; r < ROUNDS; r++) {
      const bool isUsed = first + r * groups < used;
      v[r] = isUsed ? reinterpret_cast<const float4*>(weights)[(size_t)key[r] * VECTORS + vector] : zero;
    }
    #pragma unroll
    for (int r = 0; r < ROUNDS; r++) {
      const unsigned o = first + r * groups;
      if (o < all) storeVector(out + (size_t)o * DIM, vector, v[r]);
    }
  }
#endif
}
