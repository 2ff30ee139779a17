// Rotary positions and sums of softmax, for the kernels over caches.
//
// Macros: ROTARY (elements of a head that are turned) and INTERLEAVED, or not.

#define LEAST -1e30f
#ifdef ROTARY
#define ROTARY_WIDTH ROTARY
#else
#define ROTARY_WIDTH 0
#endif

// Element e of a head turned by the angles of a row of the table; at(e) is the head's element.
template <typename At> __device__ __forceinline__ float turnedBy(const float* row, int e, At at) {
#ifdef ROTARY
  if (e < ROTARY) {
#ifdef INTERLEAVED
    int pair = e / 2, partner = e ^ 1;
    bool left = e % 2 == 0;
#else
    int pair = e % (ROTARY / 2), partner = e < ROTARY / 2 ? e + ROTARY / 2 : e - ROTARY / 2;
    bool left = e < ROTARY / 2;
#endif
    float cosine = row[pair], sine = row[ROTARY / 2 + pair];
    return left ? at(e) * cosine - at(partner) * sine : at(partner) * sine + at(e) * cosine;
  }
#endif
  return at(e);
}

__device__ __forceinline__ float turned(const float* row, int e, const float* head) {
  return turnedBy(row, e, [&](int i) { return head[i]; });
}

// Merges (most, sum) pairs of softmax.
__device__ __forceinline__ void mergePair(float& most, float& sum, float otherMost, float otherSum) {
  float both = fmaxf(most, otherMost);
  sum = sum * expf(most - both) + otherSum * expf(otherMost - both);
  most = both;
}
