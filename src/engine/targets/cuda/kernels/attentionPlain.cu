// Attention and its gradient for any element type and width, in float32 arithmetic without tensor cores: the meaning of
// attentionForward, attentionGradientKeys and attentionGradientQueries, which see.
//
//   ELEMENT: float, float16 or bfloat16; D: any width. q, out, dout, dq [B, H, T, D]; k, v, dk, dv [B, H / group, S, D];
//   lse [B, H, T] float32; rows [B, H, T] pairs (lse, Σ_d out · dout); mask and lengths: see attentionSight.cuh.
//
// A warp owns one row (a query, or a key in attentionPlainKeys) and walks over tiles of 32 rows of the other side in
// shared memory, of those that concern its block: lane l scores row l of the tile, then lanes share the sums over columns. All sums have a fixed order.
// Launch: heads × ⌈rows / WARPS⌉ blocks of 32 × WARPS threads. Shared bytes: 2 · 32 · PITCH + 2 · WARPS · D floats.
// attentionPlainDelta: a thread a row of B · H · T.

#include "attentionSight.cuh"

#define PITCH (D + 1)
#define HELD ((D + 31) / 32)
#define MASKED_SCORE -1e30f

// Copies 32 rows of two [limit, D] matrices; rows past the end are zeros.
__device__ __forceinline__ void loadPair(float* a, float* b, const ELEMENT* fromA, const ELEMENT* fromB, int first, int limit) {
  for (int i = threadIdx.y * 32 + threadIdx.x; i < 32 * D; i += 32 * WARPS) {
    int r = i / D, d = i % D;
    long long at = (long long)(first + r) * D + d;
    bool valid = first + r < limit;
    a[r * PITCH + d] = valid ? toFloat(fromA[at]) : 0.f;
    b[r * PITCH + d] = valid ? toFloat(fromB[at]) : 0.f;
  }
}

// Copies the row of each warp of two [limit, D] matrices.
__device__ __forceinline__ void loadOwn(float* a, float* b, const ELEMENT* fromA, const ELEMENT* fromB, int row, int limit) {
  for (int d = threadIdx.x; d < D; d += 32) {
    a[threadIdx.y * D + d] = row < limit ? toFloat(fromA[(long long)row * D + d]) : 0.f;
    b[threadIdx.y * D + d] = row < limit ? toFloat(fromB[(long long)row * D + d]) : 0.f;
  }
}

__device__ __forceinline__ float dot(const float* own, const float* tileRow) {
  float sum = 0.f;
  for (int d = 0; d < D; ++d) sum += own[threadIdx.y * D + d] * tileRow[d];
  return sum;
}

// acc += Σ_r weight(lane r) · tile[r].
__device__ __forceinline__ void addRows(float (&acc)[HELD], float weight, const float* tile) {
  for (int r = 0; r < 32; ++r) {
    float w = __shfl_sync(WHOLE_WARP, weight, r);
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
      int d = i * 32 + threadIdx.x;
      if (d < D) acc[i] += w * tile[r * PITCH + d];
    }
  }
}

__device__ __forceinline__ void storeRow(ELEMENT* row, const float (&acc)[HELD], float scale) {
#pragma unroll
  for (int i = 0; i < HELD; ++i) {
    int d = i * 32 + threadIdx.x;
    if (d < D) row[d] = fromFloat<ELEMENT>(acc[i] * scale);
  }
}

// The score of a product.
__device__ __forceinline__ float score(float product, float scale, const Sight& sight, int query, int key) {
#ifdef ALIBI
  return product * scale + sight.slope * (float)(key - (query + sight.ahead));
#else
  return product * scale;
#endif
}

// p of a score; a query that sees no key weighs all alike.
__device__ __forceinline__ float weight(float score, bool seen, float lse, int keys) {
  return seen ? expf(score - lse) : lse < 0.5f * MASKED_SCORE ? 1.f / keys : 0.f;
}

extern "C" __global__ void attentionPlain(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                                          ELEMENT* out, float* lse, int heads, int group, int queries, int keys, float scale) {
  extern __shared__ float memory[];
  float *kTile = memory, *vTile = kTile + 32 * PITCH, *own = vTile + 32 * PITCH, *unused = own + WARPS * D;
  int head = blockIdx.x, row = blockIdx.y * WARPS + threadIdx.y, lane = threadIdx.x;
  long long keyHead = head / heads * (heads / group) + head % heads / group;
  Sight sight = sight_of_head(mask, strides, lengths, head, heads, queries, keys);
  loadOwn(own, unused, q + (long long)head * queries * D, q + (long long)head * queries * D, row, sight.queries);
  float acc[HELD] = {}, top = -INFINITY_F, total = 0.f;
  int firstRow = blockIdx.y * WARPS, end = sight.keys_end(firstRow + WARPS - 1);
  for (int first = sight.keys_begin(firstRow) / 32 * 32; first < end; first += 32) {
    __syncthreads();
    loadPair(kTile, vTile, k + keyHead * keys * D, v + keyHead * keys * D, first, sight.keys);
    __syncthreads();
    int key = first + lane;
    float s = score(dot(own, kTile + lane * PITCH), scale, sight, row, key);
    s = key >= sight.keys ? -INFINITY_F : sight.allowed(row, key) ? s : MASKED_SCORE;
    float most = s;
    for (int step = 16; step > 0; step /= 2) most = fmaxf(most, __shfl_xor_sync(WHOLE_WARP, most, step));
    most = fmaxf(most, top);
    float shrink = expf(top - most), p = expf(s - most), sum = p;
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(WHOLE_WARP, sum, step);
    top = most;
    total = total * shrink + sum;
#pragma unroll
    for (int i = 0; i < HELD; ++i) acc[i] *= shrink;
    addRows(acc, p, vTile);
  }
  if (row >= queries) return;
  storeRow(out + ((long long)head * queries + row) * D, acc, row < sight.queries ? 1.f / total : 0.f);
  if (lane == 0) lse[(long long)head * queries + row] = top + logf(total);
}

extern "C" __global__ void attentionPlainDelta(const ELEMENT* out, const ELEMENT* dout, const float* lse, float2* rows, long long count) {
  long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= count) return;
  float sum = 0.f;
  for (int d = 0; d < D; ++d) sum += toFloat(out[row * D + d]) * toFloat(dout[row * D + d]);
  rows[row] = make_float2(lse[row], sum);
}

extern "C" __global__ void attentionPlainQueries(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                                                 const ELEMENT* dout, const float2* rows, ELEMENT* dq, int heads, int group, int queries, int keys, float scale) {
  extern __shared__ float memory[];
  float *kTile = memory, *vTile = kTile + 32 * PITCH, *own = vTile + 32 * PITCH, *ownOut = own + WARPS * D;
  int head = blockIdx.x, row = blockIdx.y * WARPS + threadIdx.y, lane = threadIdx.x;
  long long keyHead = head / heads * (heads / group) + head % heads / group;
  Sight sight = sight_of_head(mask, strides, lengths, head, heads, queries, keys);
  loadOwn(own, ownOut, q + (long long)head * queries * D, dout + (long long)head * queries * D, row, sight.queries);
  float2 pair = row < sight.queries ? rows[(long long)head * queries + row] : make_float2(0.f, 0.f);
  float acc[HELD] = {};
  int firstRow = blockIdx.y * WARPS, end = sight.keys_end(firstRow + WARPS - 1);
  for (int first = sight.keys_begin(firstRow) / 32 * 32; first < end; first += 32) {
    __syncthreads();
    loadPair(kTile, vTile, k + keyHead * keys * D, v + keyHead * keys * D, first, sight.keys);
    __syncthreads();
    int key = first + lane;
    bool seen = row < sight.queries && key < sight.keys && sight.allowed(row, key);
    float p = weight(score(dot(own, kTile + lane * PITCH), scale, sight, row, key), seen, pair.x, sight.keys);
    addRows(acc, seen ? p * (dot(ownOut, vTile + lane * PITCH) - pair.y) : 0.f, kTile);
  }
  if (row < queries) storeRow(dq + ((long long)head * queries + row) * D, acc, scale);
}

extern "C" __global__ void attentionPlainKeys(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                                              const ELEMENT* dout, const float2* rows, ELEMENT* dk, ELEMENT* dv, int heads, int group, int queries, int keys, float scale) {
  extern __shared__ float memory[];
  float *qTile = memory, *doutTile = qTile + 32 * PITCH, *own = doutTile + 32 * PITCH, *ownValue = own + WARPS * D;
  int keyHead = blockIdx.x, row = blockIdx.y * WARPS + threadIdx.y, lane = threadIdx.x;
  int keyHeads = heads / group, batch = keyHead / keyHeads;
  bool present = row < sight_of_head(mask, strides, lengths, batch * heads, heads, queries, keys).keys;
  loadOwn(own, ownValue, k + (long long)keyHead * keys * D, v + (long long)keyHead * keys * D, row, present ? keys : 0);
  float accK[HELD] = {}, accV[HELD] = {};
  for (int g = 0; g < group; ++g) {
    int inBatch = keyHead % keyHeads * group + g;
    long long head = (long long)batch * heads + inBatch;
    Sight sight = sight_of_head(mask, strides, lengths, (int)head, heads, queries, keys);
    int firstRow = blockIdx.y * WARPS, end = sight.queries_end(firstRow + WARPS - 1);
    for (int first = sight.queries_begin(firstRow) / 32 * 32; first < end; first += 32) {
      __syncthreads();
      loadPair(qTile, doutTile, q + head * queries * D, dout + head * queries * D, first, sight.queries);
      __syncthreads();
      int query = first + lane;
      float2 pair = query < sight.queries ? rows[head * queries + query] : make_float2(0.f, 0.f);
      bool seen = query < sight.queries && present && sight.allowed(query, row);
      float p = weight(score(dot(own, qTile + lane * PITCH), scale, sight, query, row), seen, pair.x, sight.keys);
      addRows(accV, p, doutTile);
      addRows(accK, seen ? p * (dot(ownValue, doutTile + lane * PITCH) - pair.y) : 0.f, qTile);
    }
  }
  if (row >= keys) return;
  storeRow(dk + ((long long)keyHead * keys + row) * D, accK, present ? scale : 0.f);
  storeRow(dv + ((long long)keyHead * keys + row) * D, accV, present ? 1.f : 0.f);
}
