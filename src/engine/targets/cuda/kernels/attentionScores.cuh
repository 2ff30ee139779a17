// Scores, softmax and its gradient on the products that a warp holds in registers (see attentionTiles.cuh): each lane
// has two rows, `row` and `row` + 8. Exponentials are of base 2, so that scores and log-sum-exps are kept in units of
// log 2.

#include "attentionSight.cuh"

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f
// Score of a key that is not allowed: −1e30 in natural units.
#define MASKED_SCORE (-1e30f * LOG2E)

// Products s of the lane's rows (queries) and keys firstKey … become scores; afterwards their scale is 1. Only with ALIBI.
template <int N>
__device__ __forceinline__ void add_distances(float (&s)[N / 2], float& scale, int row, int firstKey, const Sight& sight) {
#ifdef ALIBI
  float slope = sight.slope * LOG2E, nearest[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) nearest[h] = slope * (float)(firstKey + (int)threadIdx.x % 4 * 2 - (row + 8 * h + sight.ahead));
#pragma unroll
  for (int i = 0; i < N / 2; ++i) s[i] = s[i] * scale + (nearest[i % 4 / 2] + slope * (float)(i / 4 * 8 + i % 2));
  scale = 1.f;
#endif
}

// The same with keys as rows and queries firstQuery … as columns.
template <int N>
__device__ __forceinline__ void add_distances_of_keys(float (&s)[N / 2], float& scale, int row, int firstQuery, const Sight& sight) {
#ifdef ALIBI
  float slope = sight.slope * LOG2E, nearest[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) nearest[h] = slope * (float)(row + 8 * h - (firstQuery + (int)threadIdx.x % 4 * 2 + sight.ahead));
#pragma unroll
  for (int i = 0; i < N / 2; ++i) s[i] = s[i] * scale + (nearest[i % 4 / 2] - slope * (float)(i / 4 * 8 + i % 2));
  scale = 1.f;
#endif
}

// A step of online softmax (Dao, FlashAttention-2, Algorithm 1) over products s of the lane's rows and keys firstKey …:
// s becomes exp2(s · scale − top), top and total are brought up to date, and sums made before are to be multiplied by
// shrink. `edge`: some of these keys are hidden or past the end.
template <int N>
__device__ __forceinline__ void soften(float (&s)[N / 2], float scale, bool edge, int row, int firstKey, const Sight& sight, float (&top)[2], float (&total)[2], float (&shrink)[2]) {
  int lane = threadIdx.x % 32;
  add_distances<N>(s, scale, row, firstKey, sight);
  if (edge) {
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      int key = firstKey + i / 4 * 8 + lane % 4 * 2 + i % 2, query = row + i % 4 / 2 * 8;
      s[i] = key >= sight.keys ? -INFINITY_F : sight.allowed(query, key) ? s[i] * scale : MASKED_SCORE;
    }
    scale = 1.f;
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float most = s[2 * h];
#pragma unroll
    for (int i = 0; i < N / 8; ++i) most = fmaxf(most, fmaxf(s[4 * i + 2 * h], s[4 * i + 2 * h + 1]));
    most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 2));
    most = fmaxf(top[h], most * scale);
    shrink[h] = exp2_approx(top[h] - most);
    top[h] = most;
    float sum = 0.f;
#pragma unroll
    for (int i = 0; i < N / 8; ++i) {
      s[4 * i + 2 * h] = exp2_approx(s[4 * i + 2 * h] * scale - most);
      s[4 * i + 2 * h + 1] = exp2_approx(s[4 * i + 2 * h + 1] * scale - most);
      sum += s[4 * i + 2 * h] + s[4 * i + 2 * h + 1];
    }
    total[h] = total[h] * shrink[h] + sum;
  }
}

// The end of online softmax: totals of whole rows, and lse[row] in natural units.
__device__ __forceinline__ void finish_rows(const float (&top)[2], float (&total)[2], int row, int queries, float* lse) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    total[h] += __shfl_xor_sync(0xffffffff, total[h], 1);
    total[h] += __shfl_xor_sync(0xffffffff, total[h], 2);
    if (threadIdx.x % 4 == 0 && row + 8 * h < queries) lse[row + 8 * h] = top[h] * LN2 + __logf(total[h]);
  }
}

// Gradient with queries as rows: s becomes p = exp2(s · scale − lse), 0 where hidden; pair: (lse, delta) of the rows.
template <int N>
__device__ __forceinline__ void query_weights(float (&s)[N / 2], float scale, bool edge, int row, int firstKey, const Sight& sight, const float2 (&pair)[2]) {
  int lane = threadIdx.x % 32;
  add_distances<N>(s, scale, row, firstKey, sight);
#pragma unroll
  for (int i = 0; i < N / 2; ++i) s[i] = exp2_approx(s[i] * scale - pair[i % 4 / 2].x);
  if (edge) {
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      int key = firstKey + i / 4 * 8 + lane % 4 * 2 + i % 2, query = row + i % 4 / 2 * 8;
      if (key >= sight.keys || !sight.allowed(query, key)) s[i] = 0.f;
    }
  }
}

// … and dp becomes ds = p (dp − delta).
template <int N>
__device__ __forceinline__ void query_score_gradients(float (&dp)[N / 2], const float (&p)[N / 2], const float2 (&pair)[2]) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) dp[i] = p[i] * (dp[i] - pair[i % 4 / 2].y);
}

// Gradient with keys as rows and queries firstQuery … as columns: s becomes p. pairs: (lse, delta) of two queries each.
// Returns which of the lane's N / 2 ≤ 32 elements are hidden; a query that sees no key weighs all alike.
template <int N>
__device__ __forceinline__ unsigned int key_weights(float (&s)[N / 2], float scale, bool edge, int row, int firstQuery, const Sight& sight, const float4* pairs) {
  int lane = threadIdx.x % 32;
  unsigned int hidden = 0;
  add_distances_of_keys<N>(s, scale, row, firstQuery, sight);
#pragma unroll
  for (int j = 0; j < N / 8; ++j) {
    float4 two = pairs[4 * j + lane % 4];
#pragma unroll
    for (int e = 0; e < 4; ++e) s[4 * j + e] = exp2_approx(s[4 * j + e] * scale - (e % 2 ? two.z : two.x));
  }
  if (edge) {
#pragma unroll
    for (int j = 0; j < N / 8; ++j) {
      float4 two = pairs[4 * j + lane % 4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        int query = firstQuery + j * 8 + lane % 4 * 2 + e % 2, key = row + e / 2 * 8;
        if (!sight.allowed(query, key)) {
          s[4 * j + e] = (e % 2 ? two.z : two.x) < 0.5f * MASKED_SCORE ? 1.f / sight.keys : 0.f;
          hidden |= 1u << (4 * j + e);
        }
      }
    }
  }
  return hidden;
}

// … and dp becomes ds = p (dp − delta), 0 where hidden.
template <int N>
__device__ __forceinline__ void key_score_gradients(float (&dp)[N / 2], const float (&p)[N / 2], bool edge, unsigned int hidden, const float4* pairs) {
#pragma unroll
  for (int j = 0; j < N / 8; ++j) {
    float4 two = pairs[4 * j + threadIdx.x % 4];
#pragma unroll
    for (int e = 0; e < 4; ++e) dp[4 * j + e] = p[4 * j + e] * (dp[4 * j + e] - (e % 2 ? two.w : two.y));
  }
  if (edge) {
#pragma unroll
    for (int i = 0; i < N / 2; ++i) dp[i] = hidden >> i & 1 ? 0.f : dp[i];
  }
}
