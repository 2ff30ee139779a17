// Attention of a prompt or a turn over a region, and its scores, for any element type and width, in float32 arithmetic
// without tensor cores: the meaning of kvPrefillTiles.cu.
//
//   ATTEND   kvPrefillAttend:  out[row, h] = softmax(scale · q_h Kᵀ − slope_h · distance) V over what the row sees
//   SUMS     kvPrefillSums:    sums[h, row] = ln Σ exp((logit + noise) / τ), the scores' own softmax
//   COLUMNS  kvPrefillColumns: score[slot] += Σ over rows of the group's reduction of exp((logit + noise) / τ − sums[h, row])
//
//   queries [HEADS, queryStride, D], turned; out [rows, HEADS · D]; sums [HEADS, queryStride]. Scores are made of the rows
//   from the policy's first scored position on.
//
// A warp owns one row (a query, or an entry in COLUMNS) and walks over tiles of TILE rows of the other side in shared memory:
// lane l has row l of the tile. All sums have a fixed order.
// Launch: ⌈rows or entries / WARPS⌉ × HEADS (KV_HEADS in COLUMNS) blocks of THREADS = 32 · WARPS.
// Macros: one of ATTEND, SUMS, COLUMNS; ELEMENT, D, KV_HEADS, GROUP, THREADS, TILE (at most 32); ALIBI, RENUMBERED.

#include "kvPrefill.cuh"

#define WARPS (THREADS / 32)
#define PITCH (D + 1)

__device__ __forceinline__ void loadTile(float* tile, const ELEMENT* from, int first, int limit) {
  for (int i = threadIdx.x; i < TILE * D; i += THREADS) {
    int row = first + i / D;
    tile[i / D * PITCH + i % D] = row < limit ? toFloat(from[(long long)row * D + i % D]) : 0.f;
  }
}

__device__ __forceinline__ float dot(const float* a, const float* b) {
  float sum = 0.f;
  for (int e = 0; e < D; e++) sum += a[e] * b[e];
  return sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
#if defined(ATTEND)
kvPrefillAttend
#elif defined(SUMS)
kvPrefillSums
#else
kvPrefillColumns
#endif
(Sequence* records, const Settings* settingsOfSequences, int sequence, char* base, int capacity, const ELEMENT* queries, int queryStride, int rows, const float* slopes,
 ELEMENT* out, float* sums, float scale, int window, int layer) {
  const Settings& settings = settingsOfSequences[sequence];
  const Sequence record = records[sequence];
  const Slab region = {base, capacity};
#ifdef COLUMNS
  const int kvHead = blockIdx.y;
#else
  const int queryHead = blockIdx.y, kvHead = queryHead / GROUP;
#endif
  const Reading reading = readingOf(region, kvHead, record, settings, rows, window);
  const int own = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  [[maybe_unused]] const int firstScored = max(0, settings.scoreFrom - reading.firstPosition);
  __shared__ float tile[TILE * PITCH], ownRows[WARPS][D];

  auto logitOf = [&](float product, int head, int row, int slot) {
    float x = product * scale;
#ifdef ALIBI
    x -= slopes[head] * (float)(reading.places[reading.kept + row] - reading.places[slot]);
#endif
    return x;
  };
  [[maybe_unused]] auto noisy = [&](float x, int head, int row, int slot) {
    return (x + noiseOf(settings, record, layer, head).sample(reading.firstPosition + row, reading.positions[slot])) / reading.tau;
  };

#ifdef COLUMNS
  if (blockIdx.x * WARPS >= reading.entries()) return;
  for (int e = lane; e < D; e += 32) ownRows[threadIdx.x / 32][e] = own < reading.entries() ? toFloat(region.keys(kvHead)[(long long)own * D + e]) : 0.f;
  float score = 0.f;
  int firstRow = max(firstScored, (int)(blockIdx.x * WARPS) - reading.kept);
  for (int first = firstRow; first < rows; first += TILE) {
    float reduced = 0.f;
    for (int g = 0; g < GROUP; g++) {
      int head = kvHead * GROUP + g, row = first + lane;
      __syncthreads();
      loadTile(tile, queries + (long long)head * queryStride * D, first, rows);
      __syncthreads();
      if (lane < TILE && own < reading.entries() && reading.sees(row, own, reading.positions[own])) {
        float x = noisy(logitOf(dot(ownRows[threadIdx.x / 32], tile + lane * PITCH), head, row, own), head, row, own);
        float share = expf(x - sums[(long long)head * queryStride + row]);
        reduced = settings.groupReduce == REDUCE_MAX ? fmaxf(reduced, share) : reduced + share;
      }
    }
    score += reduced;
  }
  for (int step = 16; step > 0; step /= 2) score += __shfl_xor_sync(WHOLE_WARP, score, step);
  if (lane == 0 && own < reading.entries()) region.scores(kvHead)[own] += score * settings.share();
#else
#ifdef SUMS
  if (((int)blockIdx.x + 1) * WARPS <= firstScored) return;
#endif
  for (int e = lane; e < D; e += 32) ownRows[threadIdx.x / 32][e] = own < rows ? toFloat(queries[((long long)queryHead * queryStride + own) * D + e]) : 0.f;
  float top = LEAST, total = 0.f;
#ifdef ATTEND
  constexpr int Held = (D + 31) / 32;
  float acc[Held] = {};
  __shared__ float values[TILE * PITCH];
#endif
  bool finite = true;
  int end = min(reading.entries(), reading.kept + ((int)blockIdx.x + 1) * WARPS);
  for (int first = 0; first < end; first += TILE) {
    __syncthreads();
    loadTile(tile, region.keys(kvHead), first, reading.entries());
#ifdef ATTEND
    loadTile(values, region.values(kvHead), first, reading.entries());
#endif
    __syncthreads();
    int slot = first + lane;
    float x = -INFINITY_F;
    if (lane < TILE && slot < reading.entries() && reading.sees(own, slot, reading.positions[slot])) {
      x = logitOf(dot(ownRows[threadIdx.x / 32], tile + lane * PITCH), queryHead, own, slot);
      finite = finite && x < INFINITY_F;
#ifdef SUMS
      x = noisy(x, queryHead, own, slot);
#endif
    }
    float most = x;
    for (int step = 16; step > 0; step /= 2) most = fmaxf(most, __shfl_xor_sync(WHOLE_WARP, most, step));
    most = fmaxf(most, top);
    float weight = expf(x - most), shrink = expf(top - most), sum = weight;
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(WHOLE_WARP, sum, step);
    top = most;
    total = total * shrink + sum;
#ifdef ATTEND
    for (int i = 0; i < Held; i++) acc[i] *= shrink;
    for (int r = 0; r < TILE; r++) {
      float w = __shfl_sync(WHOLE_WARP, weight, r);
      for (int i = 0; i < Held; i++) {
        if (i * 32 + lane < D) acc[i] += w * values[r * PITCH + i * 32 + lane];
      }
    }
#endif
  }
  if (!finite) records[sequence].fault = 1 + layer;
  if (own >= rows) return;
#ifdef ATTEND
  for (int i = 0; i < Held; i++) {
    if (i * 32 + lane < D) out[((long long)own * HEADS + queryHead) * D + i * 32 + lane] = fromFloat<ELEMENT>(acc[i] / total);
  }
#else
  if (lane == 0 && own >= firstScored) sums[(long long)queryHead * queryStride + own] = top + logf(total);
#endif
#endif
}
