// Attention and its gradient for any element type and width, in float32 arithmetic without tensor cores: the meaning of
// attentionForward, attentionGradientKeys and attentionGradientQueries, which see.
//
//   ELEMENT: float, float16 or bfloat16; D: any width. q, out, dout, dq [B, H, T, D]; k, v, dk, dv [B, H / group, S, D];
//   lse [B, H, T] float32; rows [B, H, T] pairs (lse, Σ_d out · dout); mask: bytes at stated strides, 0 where broadcast.
//
// A warp owns one row (a query, or a key in attentionPlainKeys) and walks over tiles of 32 rows of the other side in
// shared memory: lane l scores row l of the tile, then lanes share the sums over columns. All sums have a fixed order.
// Launch: heads × ⌈rows / WARPS⌉ blocks of 32 × WARPS threads. Shared bytes: 2 · 32 · PITCH + 2 · WARPS · D floats.
// attentionPlainDelta: a thread a row of B · H · T.

#define PITCH (D + 1)
#define HELD ((D + 31) / 32)
#define MASKED_SCORE -1e30f

struct MaskStrides {
  int batch, head, query, key;
};

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

// Whether a query may see a key; `mask` is that of the head.
__device__ __forceinline__ bool allowed(int query, int key, int queries, int keys, const unsigned char* mask, MaskStrides strides) {
  bool yes = query < queries && key < keys;
#ifdef CAUSAL
  yes = yes && key <= query + keys - queries;
#endif
#ifdef MASKED
  yes = yes && mask[(long long)query * strides.query + (long long)key * strides.key] != 0;
#endif
  return yes;
}

// p of a score; a query that sees no key weighs all alike.
__device__ __forceinline__ float weight(float score, bool seen, float lse, int keys) {
  return seen ? expf(score - lse) : lse < 0.5f * MASKED_SCORE ? 1.f / keys : 0.f;
}

extern "C" __global__ void attentionPlain(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const unsigned char* mask, int maskBatch, int maskHead, int maskQuery, int maskKey,
                                          ELEMENT* out, float* lse, int heads, int group, int queries, int keys, float scale) {
  extern __shared__ float memory[];
  float *kTile = memory, *vTile = kTile + 32 * PITCH, *own = vTile + 32 * PITCH, *unused = own + WARPS * D;
  MaskStrides strides = {maskBatch, maskHead, maskQuery, maskKey};
  int head = blockIdx.x, row = blockIdx.y * WARPS + threadIdx.y, lane = threadIdx.x;
  long long keyHead = head / heads * (heads / group) + head % heads / group;
  mask += (long long)(head / heads) * strides.batch + (long long)(head % heads) * strides.head;
  loadOwn(own, unused, q + (long long)head * queries * D, q + (long long)head * queries * D, row, queries);
  float acc[HELD] = {}, top = -INFINITY_F, total = 0.f;
  for (int first = 0; first < keys; first += 32) {
    __syncthreads();
    loadPair(kTile, vTile, k + keyHead * keys * D, v + keyHead * keys * D, first, keys);
    __syncthreads();
    int key = first + lane;
    float s = dot(own, kTile + lane * PITCH) * scale;
    s = key >= keys ? -INFINITY_F : allowed(row, key, queries, keys, mask, strides) ? s : MASKED_SCORE;
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
  storeRow(out + ((long long)head * queries + row) * D, acc, 1.f / total);
  if (lane == 0) lse[(long long)head * queries + row] = top + logf(total);
}

extern "C" __global__ void attentionPlainDelta(const ELEMENT* out, const ELEMENT* dout, const float* lse, float2* rows, long long count) {
  long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= count) return;
  float sum = 0.f;
  for (int d = 0; d < D; ++d) sum += toFloat(out[row * D + d]) * toFloat(dout[row * D + d]);
  rows[row] = make_float2(lse[row], sum);
}

extern "C" __global__ void attentionPlainQueries(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const unsigned char* mask, int maskBatch, int maskHead, int maskQuery, int maskKey,
                                                 const ELEMENT* dout, const float2* rows, ELEMENT* dq, int heads, int group, int queries, int keys, float scale) {
  extern __shared__ float memory[];
  float *kTile = memory, *vTile = kTile + 32 * PITCH, *own = vTile + 32 * PITCH, *ownOut = own + WARPS * D;
  MaskStrides strides = {maskBatch, maskHead, maskQuery, maskKey};
  int head = blockIdx.x, row = blockIdx.y * WARPS + threadIdx.y, lane = threadIdx.x;
  long long keyHead = head / heads * (heads / group) + head % heads / group;
  mask += (long long)(head / heads) * strides.batch + (long long)(head % heads) * strides.head;
  loadOwn(own, ownOut, q + (long long)head * queries * D, dout + (long long)head * queries * D, row, queries);
  float2 pair = row < queries ? rows[(long long)head * queries + row] : make_float2(0.f, 0.f);
  float acc[HELD] = {};
  for (int first = 0; first < keys; first += 32) {
    __syncthreads();
    loadPair(kTile, vTile, k + keyHead * keys * D, v + keyHead * keys * D, first, keys);
    __syncthreads();
    bool seen = allowed(row, first + lane, queries, keys, mask, strides);
    float p = weight(dot(own, kTile + lane * PITCH) * scale, seen, pair.x, keys);
    addRows(acc, seen ? p * (dot(ownOut, vTile + lane * PITCH) - pair.y) : 0.f, kTile);
  }
  if (row < queries) storeRow(dq + ((long long)head * queries + row) * D, acc, scale);
}

extern "C" __global__ void attentionPlainKeys(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const unsigned char* mask, int maskBatch, int maskHead, int maskQuery, int maskKey,
                                              const ELEMENT* dout, const float2* rows, ELEMENT* dk, ELEMENT* dv, int heads, int group, int queries, int keys, float scale) {
  extern __shared__ float memory[];
  float *qTile = memory, *doutTile = qTile + 32 * PITCH, *own = doutTile + 32 * PITCH, *ownValue = own + WARPS * D;
  MaskStrides strides = {maskBatch, maskHead, maskQuery, maskKey};
  int keyHead = blockIdx.x, row = blockIdx.y * WARPS + threadIdx.y, lane = threadIdx.x;
  int keyHeads = heads / group, batch = keyHead / keyHeads;
  loadOwn(own, ownValue, k + (long long)keyHead * keys * D, v + (long long)keyHead * keys * D, row, keys);
  float accK[HELD] = {}, accV[HELD] = {};
  for (int g = 0; g < group; ++g) {
    int inBatch = keyHead % keyHeads * group + g;
    long long head = (long long)batch * heads + inBatch;
    const unsigned char* headMask = mask + (long long)batch * strides.batch + (long long)inBatch * strides.head;
    for (int first = 0; first < queries; first += 32) {
      __syncthreads();
      loadPair(qTile, doutTile, q + head * queries * D, dout + head * queries * D, first, queries);
      __syncthreads();
      int query = first + lane;
      float2 pair = query < queries ? rows[head * queries + query] : make_float2(0.f, 0.f);
      bool seen = allowed(query, row, queries, keys, headMask, strides);
      float p = weight(dot(own, qTile + lane * PITCH) * scale, seen, pair.x, keys);
      addRows(accV, p, doutTile);
      addRows(accK, seen ? p * (dot(ownValue, doutTile + lane * PITCH) - pair.y) : 0.f, qTile);
    }
  }
  if (row >= keys) return;
  storeRow(dk + ((long long)keyHead * keys + row) * D, accK, scale);
  storeRow(dv + ((long long)keyHead * keys + row) * D, accV, 1.f);
}
