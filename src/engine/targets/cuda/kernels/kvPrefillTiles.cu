// Attention of a prompt or a turn over a region, and its scores, by tensor cores, for 16-bit elements; kvPrefillPlain.cu says what
// each of these computes and has the same arguments.
//
// A block owns 64 rows of one side (queries, or with COLUMNS keys), 16 a warp, in registers, and walks over tiles of BN rows
// of the other side in shared memory, the next one on its way. Products and softmax are float32, logits in units of log 2.
// Entries of a region are in order of position. All sums have a fixed order.
//
// Tiles are rows of D elements and 16 bytes more, so that eight rows never meet a bank twice. Of a product of N columns lane
// l holds acc[4 j + 2 h + e], j < N / 8: row 16 w + l / 4 + 8 h, column 8 j + 2 (l % 4) + e.
//
// Launch: ⌈rows or entries / 64⌉ × HEADS (KV_HEADS in COLUMNS) blocks of THREADS = 128.
// Macros: one of ATTEND, SUMS, COLUMNS; ELEMENT, HALF for float16; D (a multiple of 16), KV_HEADS, GROUP, THREADS, BN; ALIBI, RENUMBERED.

#include "tensorCore.cuh"
#include "kvPrefill.cuh"

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f
#define OWN 64
#define PITCH (D + 8)
#define CHUNKS (D / 8)
#ifdef ATTEND
#define TILES 2  // keys and values
#else
#define TILES 1
#endif
#ifdef SUMS
#define SLOPE_HEAT heat
#else
#define SLOPE_HEAT LOG2E
#endif

// Starts the copy of `Rows` rows of a matrix from `first` on; rows from `limit` on are zeros.
template <int Rows>
__device__ __forceinline__ void loadRows(element* tile, const ELEMENT* matrix, int first, int limit) {
#pragma unroll
  for (int i = threadIdx.x; i < Rows * CHUNKS; i += THREADS) {
    int row = i / CHUNKS, chunk = i % CHUNKS;
    bool valid = first + row < limit;
    cp_async_16(shared_address(tile + row * PITCH + chunk * 8), matrix + (long long)(valid ? first + row : 0) * D + chunk * 8, valid);
  }
}

// acc = a · bᵀ, a: this warp's 16 rows in registers, b: BN rows of a tile.
__device__ __forceinline__ void product(float (&acc)[BN / 2], const word (&a)[D / 16][4], const element* b) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < BN / 2; i++) acc[i] = 0.f;
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
#pragma unroll
    for (int n = 0; n < BN / 16; n++) {
      word fb[4];
      ldmatrix_x4(fb, shared_address(b + (n * 16 + lane % 8 + lane / 16 * 8) * PITCH + (2 * k + lane / 8 % 2) * 8));
      mma_m16n8k16(acc + 8 * n, a[k], fb[0], fb[1]);
      mma_m16n8k16(acc + 8 * n + 4, a[k], fb[2], fb[3]);
    }
  }
}

// Products become logits, but for biases, with noise: positionsOf(i) gives the positions of query and key of product i. The
// kind of noise is asked once, so that draws have no branches between them.
template <typename Positions>
__device__ __forceinline__ void scaleWithNoise(float (&s)[BN / 2], float scale, const Noise& noise, Positions positionsOf) {
  if (noise.kind == NOISE_GUMBEL) {
#pragma unroll
    for (int i = 0; i < BN / 2; i++) {
      int2 pair = positionsOf(i);
      s[i] = s[i] * scale + gumbelOfWord(noise.words(pair.x, pair.y).x);
    }
  } else if (noise.kind == NOISE_GAUSSIAN) {
#pragma unroll
    for (int i = 0; i < BN / 2; i++) {
      int2 pair = positionsOf(i);
      s[i] = s[i] * scale + noise.gaussian(pair.x, pair.y);
    }
  } else {
    float constant = noise.kind == NOISE_CONSTANT ? GUMBEL_MEAN : 0.f;
#pragma unroll
    for (int i = 0; i < BN / 2; i++) s[i] = s[i] * scale + constant;
  }
}

// The first slot whose position is above a bound; positions ascend.
__device__ __forceinline__ int firstAbove(const int* positions, int length, int bound) {
  int low = 0, high = length;
  while (low < high) {
    int middle = (low + high) / 2;
    if (positions[middle] > bound) high = middle;
    else low = middle + 1;
  }
  return low;
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
  const int entries = reading.entries(), lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  [[maybe_unused]] const int firstScored = max(0, settings.scoreFrom - reading.firstPosition);
  [[maybe_unused]] const float heat = LOG2E / reading.tau;

  __shared__ __align__(16) element tiles[2][TILES * BN * PITCH];
#ifdef COLUMNS
  // Long columns first.
  const int first = blockIdx.x * OWN, limit = entries;
  if (first >= entries) return;
  const ELEMENT* own = region.keys(kvHead);
#else
  // Long rows first.
  const int first = ((int)gridDim.x - 1 - (int)blockIdx.x) * OWN, limit = rows;
  const ELEMENT* own = queries + (long long)queryHead * queryStride * D;
#endif
#ifdef SUMS
  if (min(rows, first + OWN) <= firstScored) return;
#endif

  // This block's own rows, by way of the tiles.
  word a[D / 16][4];
  loadRows<OWN>(&tiles[0][0], own, first, limit);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int k = 0; k < D / 16; k++) ldmatrix_x4(a[k], shared_address(&tiles[0][0] + (warp * 16 + lane % 16) * PITCH + (2 * k + lane / 16) * 8));
  __syncthreads();
  const int ownRow = first + warp * 16 + lane / 4;  // and eight below

#ifdef COLUMNS
  __shared__ float rowSums[2][BN];
  int position[2];
  [[maybe_unused]] int place[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    int slot = min(ownRow + 8 * h, entries - 1);
    position[h] = reading.positions[slot];
    place[h] = reading.places[slot];
  }
  const int start = max(firstScored, first - reading.kept);
  const int last = min(first + OWN, entries) - 1;
  const int end = window == 0 ? rows : min(rows, reading.positions[last] + window - reading.firstPosition);
  const int steps = start < end ? (end - start + BN - 1) / BN * GROUP : 0;
  const bool isGreatest = GROUP > 1 && settings.groupReduce == REDUCE_MAX;
  float score[2] = {0.f, 0.f}, best[BN / 2];

  auto load = [&](int step) {
    int head = kvHead * GROUP + step % GROUP, row = start + step / GROUP * BN;
    loadRows<BN>(tiles[step % 2], queries + (long long)head * queryStride * D, row, rows);
    cp_async_commit();
    for (int i = threadIdx.x; i < BN; i += THREADS) rowSums[step % 2][i] = row + i < rows ? sums[(long long)head * queryStride + row + i] * LOG2E : INFINITY_F;
  };
  if (steps > 0) load(0);
  for (int step = 0; step < steps; step++) {
    cp_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) load(step + 1);
    float s[BN / 2];
    product(s, a, tiles[step % 2]);
    const int g = step % GROUP, head = kvHead * GROUP + g, row0 = start + step / GROUP * BN;
    const Noise noise = noiseOf(settings, record, layer, head);
    [[maybe_unused]] float slope = 0.f;
#ifdef ALIBI
    slope = slopes[head];
#endif
    scaleWithNoise(s, scale, noise, [&](int i) { return make_int2(reading.firstPosition + row0 + i / 4 * 8 + lane % 4 * 2 + i % 2, position[i % 4 / 2]); });
#pragma unroll
    for (int i = 0; i < BN / 2; i++) {
      int h = i % 4 / 2, column = i / 4 * 8 + lane % 4 * 2 + i % 2, row = row0 + column, slot = ownRow + 8 * h;
#ifdef ALIBI
      s[i] -= slope * (float)(reading.places[min(reading.kept + row, entries - 1)] - place[h]);
#endif
      float share = exp2_approx(s[i] * heat - rowSums[step % 2][column]);
      share = slot < entries && reading.sees(row, slot, position[h]) ? share : 0.f;
      if (isGreatest) {
        best[i] = g == 0 ? share : fmaxf(best[i], share);
        share = g == GROUP - 1 ? best[i] : 0.f;
      }
      score[h] += share;
    }
  }
#pragma unroll
  for (int h = 0; h < 2; h++) {
    score[h] += __shfl_xor_sync(WHOLE_WARP, score[h], 1);
    score[h] += __shfl_xor_sync(WHOLE_WARP, score[h], 2);
    if (lane % 4 == 0 && ownRow + 8 * h < entries) region.scores(kvHead)[ownRow + 8 * h] += score[h] * settings.share();
  }
#else
  __shared__ int positions[2][BN];
  [[maybe_unused]] __shared__ int places[2][BN];
  const int end = min(entries, reading.kept + min(first + OWN, rows));
  const int start = window == 0 ? 0 : firstAbove(reading.positions, entries, reading.firstPosition + first - window) / BN * BN;
  const int steps = (end - start + BN - 1) / BN;
  float top[2] = {LEAST, LEAST}, total[2] = {0.f, 0.f};
  bool finite = true;
  [[maybe_unused]] float slope = 0.f;
  [[maybe_unused]] int place[2] = {0, 0};
#ifdef ALIBI
  slope = slopes[queryHead] * SLOPE_HEAT;
  for (int h = 0; h < 2; h++) place[h] = reading.places[min(reading.kept + ownRow + 8 * h, entries - 1)];
#endif
#ifdef SUMS
  const Noise noise = noiseOf(settings, record, layer, queryHead);
#else
  float o[D / 2];
#pragma unroll
  for (int i = 0; i < D / 2; i++) o[i] = 0.f;
#endif

  auto load = [&](int step) {
    int slot = start + step * BN;
    loadRows<BN>(tiles[step % 2], region.keys(kvHead), slot, entries);
#ifdef ATTEND
    loadRows<BN>(tiles[step % 2] + BN * PITCH, region.values(kvHead), slot, entries);
#endif
    cp_async_commit();
    for (int i = threadIdx.x; i < BN; i += THREADS) {
      positions[step % 2][i] = reading.positions[min(slot + i, entries - 1)];
      places[step % 2][i] = reading.places[min(slot + i, entries - 1)];
    }
  };
  load(0);
  for (int step = 0; step < steps; step++) {
    cp_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) load(step + 1);
    float s[BN / 2];
    product(s, a, tiles[step % 2]);
    const int slot0 = start + step * BN;
#ifdef SUMS
    scaleWithNoise(s, scale, noise, [&](int i) { return make_int2(reading.firstPosition + ownRow + i % 4 / 2 * 8, positions[step % 2][i / 4 * 8 + lane % 4 * 2 + i % 2]); });
    const float toLog2 = heat;
#else
    const float toLog2 = scale * LOG2E;
#endif
    const bool isEdge = slot0 + BN > reading.kept + first + 1 || window > 0 || first + OWN > rows;
#pragma unroll
    for (int i = 0; i < BN / 2; i++) {
      int h = i % 4 / 2, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      bool sees = !isEdge || reading.sees(ownRow + 8 * h, slot0 + column, positions[step % 2][column]);
      finite = finite && (s[i] < INFINITY_F || !sees);
      s[i] *= toLog2;
#ifdef ALIBI
      s[i] -= slope * (float)(place[h] - places[step % 2][column]);
#endif
      s[i] = sees ? s[i] : -INFINITY_F;
    }
    float shrink[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float most = top[h];
#pragma unroll
      for (int i = 0; i < BN / 4; i++) most = fmaxf(most, s[i / 2 * 4 + 2 * h + i % 2]);
#ifdef ATTEND
      // Lanes that share a row's sums share its maximum.
      most = fmaxf(most, __shfl_xor_sync(WHOLE_WARP, most, 1));
      most = fmaxf(most, __shfl_xor_sync(WHOLE_WARP, most, 2));
#endif
      shrink[h] = exp2_approx(top[h] - most);
      top[h] = most;
      total[h] *= shrink[h];
    }
#pragma unroll
    for (int i = 0; i < BN / 2; i++) {
      s[i] = exp2_approx(s[i] - top[i % 4 / 2]);
      total[i % 4 / 2] += s[i];
    }
#ifdef ATTEND
    word p[BN / 4];
#pragma unroll
    for (int i = 0; i < BN / 4; i++) p[i] = pack(s[2 * i], s[2 * i + 1]);
#pragma unroll
    for (int i = 0; i < D / 2; i++) o[i] *= shrink[i % 4 / 2];
    const element* values = tiles[step % 2] + BN * PITCH;
#pragma unroll
    for (int k = 0; k < BN / 16; k++) {
#pragma unroll
      for (int n = 0; n < D / 16; n++) {
        word fb[4];
        ldmatrix_x4_trans(fb, shared_address(values + (k * 16 + lane % 16) * PITCH + (2 * n + lane / 16) * 8));
        mma_m16n8k16(o + 8 * n, p + 4 * k, fb[0], fb[1]);
        mma_m16n8k16(o + 8 * n + 4, p + 4 * k, fb[2], fb[3]);
      }
    }
#endif
  }
  if (!finite) records[sequence].fault = 1 + layer;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    int row = ownRow + 8 * h;
#ifdef SUMS
#pragma unroll
    for (int step = 1; step < 4; step *= 2) {
      float otherTop = __shfl_xor_sync(WHOLE_WARP, top[h], step), otherTotal = __shfl_xor_sync(WHOLE_WARP, total[h], step);
      float both = fmaxf(top[h], otherTop);
      total[h] = total[h] * exp2_approx(top[h] - both) + otherTotal * exp2_approx(otherTop - both);
      top[h] = both;
    }
    if (lane % 4 == 0 && row < rows && row >= firstScored) sums[(long long)queryHead * queryStride + row] = top[h] * LN2 + logf(total[h]);
#else
    total[h] += __shfl_xor_sync(WHOLE_WARP, total[h], 1);
    total[h] += __shfl_xor_sync(WHOLE_WARP, total[h], 2);
    if (row < rows) {
      word* to = (word*)((element*)out + ((long long)row * HEADS + queryHead) * D + lane % 4 * 2);
#pragma unroll
      for (int j = 0; j < D / 8; j++) to[j * 4] = pack(o[4 * j + 2 * h] / total[h], o[4 * j + 2 * h + 1] / total[h]);
    }
#endif
  }
#endif
}
