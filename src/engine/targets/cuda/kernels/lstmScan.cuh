// What the loop of a long short-term memory and its gradient share. A block holds the recurrent weights [4 HIDDEN,
// HIDDEN] of one direction for the whole loop: each thread 16 CHUNKS of them, the first HELD chunks in registers and
// the others in shared memory. So a step reads nothing but its own gates.
//
//   Macros: HIDDEN; PADDED, HIDDEN rounded up to 16, where what is added is zeros; THREADS = 4 PADDED; HELD ≤ CHUNKS;
//   ROWS, rows of the batch of a block, GROUP of which (1, 2 or 4) pass through the weights together.

constexpr int CHUNKS = PADDED / 16;
constexpr int UNROLL = GROUP == 4 ? 1 : CHUNKS;  // sums of four rows leave no registers to load ahead into

__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.f, 1.f + __expf(-x)); }

// From e^(−2|x|), which cannot overflow; exact at 0. The error is one of rounding numbers near 1.
__device__ __forceinline__ float tanhOf(float x) {
  float e = __expf(-2.f * fabsf(x));
  return copysignf(__fdividef(1.f - e, 1.f + e), x);
}

__device__ __forceinline__ float dot(float4 a, float4 b, float sum) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

// One thread's weights, as 4 vectors of 4 in each chunk.
struct Weights {
  float4 held[HELD][4];
  float4* rest;  // [CHUNKS − HELD][4][THREADS] in shared memory

  // Fills them from at(chunk, vector).
  template <typename At> __device__ __forceinline__ Weights(float4* shared, At at) : rest(shared + threadIdx.x) {
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
#pragma unroll
      for (int v = 0; v < 4; v++) {
        if (chunk < HELD) held[chunk][v] = at(chunk, v);
        else rest[((chunk - HELD) * 4 + v) * THREADS] = at(chunk, v);
      }
    }
  }

  // Calls use(chunk, w) with the 4 vectors of each chunk.
  template <typename Use> __device__ __forceinline__ void each(Use use) const {
#pragma unroll
    for (int chunk = 0; chunk < HELD; chunk++) use(chunk, held[chunk]);
#pragma unroll UNROLL
    for (int chunk = HELD; chunk < CHUNKS; chunk++) {
      float4 w[4];
#pragma unroll
      for (int v = 0; v < 4; v++) w[v] = rest[((chunk - HELD) * 4 + v) * THREADS];
      use(chunk, w);
    }
  }
};

// Adds up what groups of Lanes neighbouring lanes hold, N values each. Pairs of lanes deal the values out between
// them, so that each keeps half, until Least are left; from then on both keep all. Which values a lane is left with
// is read from its number: its highest bit chose the half that the first pair dealt.
template <int Lanes, int Least, int N>
__device__ __forceinline__ void dealSums(const float (&values)[N], float (&sums)[Least]) {
  if constexpr (Lanes == 1) {
#pragma unroll
    for (int k = 0; k < Least; k++) sums[k] = values[k];
  } else {
    constexpr int Kept = N > Least ? N / 2 : N;
    bool upper = threadIdx.x & (Lanes / 2);
    float kept[Kept];
#pragma unroll
    for (int k = 0; k < Kept; k++) {
      float mine = upper ? values[N - Kept + k] : values[k];
      float given = upper ? values[k] : values[N - Kept + k];
      kept[k] = mine + __shfl_xor_sync(WHOLE_WARP, given, Lanes / 2);
    }
    dealSums<Lanes / 2, Least>(kept, sums);
  }
}
