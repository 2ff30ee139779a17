// One layer of a decode step: appends a token to each text's cache, attends with it to all that is cached, scores the
// entries and evicts, in one launch.
//
//   out[row, h] = softmax(scale · q_h Kᵀ − slope_h · distance) V over the live slots of the text's slab
//   score[slot] (+)= reduce over the group of softmax((logits + noise) / τ)[slot], never seen by the output
//
//   q [rows, HEADS · D], k, v [rows, KV_HEADS · D], each with its own stride between rows; out [rows, HEADS · D].
//   turns: rows of ROTARY / 2 cosines and ROTARY / 2 sines by position (and by distance with RENUMBERED).
//   logits [rows, HEADS, capacity], partials [rows, HEADS, SPLITS, D + 4], arrivals [rows, KV_HEADS + 1], zeros before
//   and after.
//
// A block attends to one split of the slots of one KV head with all query heads of its group, so each key and value is
// read once. LANES lanes share a slot; groups of lanes walk over the slots with sums of their own, which are then
// merged in a fixed order. A split's size depends on the number of live slots alone. The last block of a head to
// arrive merges the splits, scores and evicts; blocks without slots arrive too, so that by then no one reads lengths.
//
// Launch: SPLITS × KV_HEADS × rows blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, SPLITS, THREADS; LANES (a power of two up to
// 32), PIECES (vectors of a row that a lane holds), PASSES (slots of a group in flight); ALIBI; ROTARY (elements turned), INTERLEAVED;
// RENUMBERED, where a text of the batch may number its entries anew: such keys are cached unturned, and TURN_FACTOR is what a turn
// multiplies a head by.

#include "kvEvict.cuh"
#include "kvNoise.cuh"
#include "kvLogits.cuh"

#define GROUPS (THREADS / LANES)
#define TILE (GROUPS * PASSES)
#define WARPS (THREADS / 32)
#define HELD (PIECES * VEC)
// Heads of a group whose sums are merged at a time.
#define MERGED (GROUP * D <= 2048 ? GROUP : 2048 / D)

// Slots of a split: at most SPLITS of them, none below 64 slots.
__device__ __forceinline__ int splitSize(int length) {
  constexpr int Unit = TILE > 64 ? TILE : 64;
  return ((length + SPLITS - 1) / SPLITS + Unit - 1) / Unit * Unit;
}

extern "C" __global__ void __launch_bounds__(THREADS)
kvAttend(const int* rowSeats, Seat* records, const uint4* slabs, const Settings* settingsOfSeats, const ELEMENT* q, const ELEMENT* k, const ELEMENT* v,
         int qStride, int kStride, int vStride, const float* turns, const float* slopes, ELEMENT* out, float* logits, float* partials, int* arrivals,
         int capacity, float scale, int window, int layer) {
  const int row = blockIdx.z, kvHead = blockIdx.y, split = blockIdx.x;
  const int seat = rowSeats[row];
  if (seat < 0) return;
  const Settings& settings = settingsOfSeats[seat];
  const Seat record = records[seat];
  const Slab slab = slabOf(slabs, seat);
  const int before = slab.lengths()[kvHead], length = before + 1, position = record.tokensSeen - 1;
  const int size = splitSize(length), splits = (length + size - 1) / size;
  const int from = split * size, to = min(length, from + size);
  const bool scored = settings.scoring == SCORE_ACCUMULATE || settings.scoring == SCORE_LAST;
  const float tau = settings.temperature(record.step);
#ifdef RENUMBERED
  const bool renumbered = settings.renumbered;
#else
  const bool renumbered = false;
#endif
  logits += ((long long)row * HEADS + kvHead * GROUP) * capacity;
  partials += ((long long)row * HEADS + kvHead * GROUP) * SPLITS * (D + 4);
  __shared__ bool isLast;

  if (split < splits) {
    __shared__ __align__(16) float query[GROUP][D];
    __shared__ float head[D];
    const float* angles = turns + (long long)(renumbered ? 0 : position) * ROTARY_WIDTH;
    for (int i = threadIdx.x; i < GROUP * D; i += THREADS) {
      float x = toFloat(q[(long long)row * qStride + kvHead * GROUP * D + i]) * scale;
#ifdef RENUMBERED
      // Turned once, by its distance from a key, where else both are turned.
      if (renumbered && i % D < ROTARY_WIDTH) x *= (float)TURN_FACTOR;
#endif
      query[i / D][i % D] = x;
    }
    if (split == splits - 1) {
      for (int i = threadIdx.x; i < D; i += THREADS) {
        head[i] = toFloat(k[(long long)row * kStride + kvHead * D + i]);
        slab.values(kvHead)[(long long)before * D + i] = v[(long long)row * vStride + kvHead * D + i];
      }
    }
    __syncthreads();
    if (split == splits - 1) {
      for (int i = threadIdx.x; i < D; i += THREADS) slab.keys(kvHead)[(long long)before * D + i] = fromFloat<ELEMENT>(renumbered ? head[i] : turned(angles, i, head));
      if (threadIdx.x == 0) {
        float score = 0.f;
        if (settings.scoring == SCORE_KEY_NORM) {
          for (int i = 0; i < D; i++) score += head[i] * head[i];
          score = -sqrtf(score);
        } else if (settings.scoring == SCORE_RANDOM) {
          score = entryUniform(record, layer, kvHead, position);
        }
        slab.positions(kvHead)[before] = position;
        slab.scores(kvHead)[before] = score;
        if (renumbered) slab.ranks(kvHead)[before] = before;
      }
    }
#ifdef ROTARY
    if (!renumbered) {
      constexpr int Items = (GROUP * D + THREADS - 1) / THREADS;
      float mine[Items];
#pragma unroll
      for (int item = 0; item < Items; item++) {
        int i = item * THREADS + threadIdx.x;
        if (i < GROUP * D) mine[item] = turned(angles, i % D, query[i / D]);
      }
      __syncthreads();
#pragma unroll
      for (int item = 0; item < Items; item++) {
        int i = item * THREADS + threadIdx.x;
        if (i < GROUP * D) query[i / D][i % D] = mine[item];
      }
    }
#endif
    __syncthreads();

    const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES;
    const ELEMENT *keys = slab.keys(kvHead), *values = slab.values(kvHead);
    [[maybe_unused]] const int* places = renumbered ? slab.ranks(kvHead) : slab.positions(kvHead);
    [[maybe_unused]] const int place = renumbered ? before : position;
    float most[GROUP], total[GROUP], sums[GROUP][HELD];
    bool finite = true;
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
      most[g] = LEAST;
      total[g] = 0.f;
#pragma unroll
      for (int e = 0; e < HELD; e++) sums[g][e] = 0.f;
    }
    union Piece { Vector whole; ELEMENT at[VEC]; };
    for (int first = from; first < to; first += TILE) {
      Piece key[PASSES][PIECES], value[PASSES][PIECES];
#pragma unroll
      for (int pass = 0; pass < PASSES; pass++) {
        int slot = first + pass * GROUPS + group;
        bool valid = slot < to;
#pragma unroll
        for (int piece = 0; piece < PIECES; piece++) {
          int e = (piece * LANES + lane) * VEC;
          key[pass][piece].whole = value[pass][piece].whole = Vector{};
          if (valid && e < D) {
            key[pass][piece].whole = *(const Vector*)(keys + (long long)slot * D + e);
            value[pass][piece].whole = *(const Vector*)(values + (long long)slot * D + e);
          }
        }
      }
#pragma unroll
      for (int g = 0; g < GROUP; g++) {
        float own[HELD];
#pragma unroll
        for (int e = 0; e < HELD; e++) {
          int at = (e / VEC * LANES + lane) * VEC + e % VEC;
          own[e] = at < D ? query[g][at] : 0.f;
        }
        float x[PASSES], top = most[g];
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) {
          int slot = first + pass * GROUPS + group;
          float sum = 0.f;
#ifdef RENUMBERED
          if (renumbered) {
            // The query turned by its distance from the key meets the key as it was before any turn.
            const float* distance = turns + (long long)(slot < to ? place - places[slot] : 0) * ROTARY_WIDTH;
#pragma unroll
            for (int e = 0; e < HELD; e++) {
              int at = (e / VEC * LANES + lane) * VEC + e % VEC;
              if (at < D) sum += turned(distance, at, query[g]) * toFloat(key[pass][e / VEC].at[e % VEC]);
            }
          } else
#endif
          {
#pragma unroll
            for (int e = 0; e < HELD; e++) sum += own[e] * toFloat(key[pass][e / VEC].at[e % VEC]);
          }
#pragma unroll
          for (int step = LANES / 2; step > 0; step /= 2) sum += __shfl_xor_sync(WHOLE_WARP, sum, step);
          if (slot < to) {
#ifdef ALIBI
            sum -= slopes[kvHead * GROUP + g] * (float)(place - places[slot]);
#endif
            finite = finite && sum < INFINITY_F;
            if (scored && lane == 0) logits[(long long)g * capacity + slot] = sum;
          } else {
            sum = -INFINITY_F;
          }
          x[pass] = sum;
          top = fmaxf(top, sum);
        }
        float shrink = expf(most[g] - top);
        most[g] = top;
        total[g] *= shrink;
#pragma unroll
        for (int e = 0; e < HELD; e++) sums[g][e] *= shrink;
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) {
          float weight = expf(x[pass] - top);
          total[g] += weight;
#pragma unroll
          for (int e = 0; e < HELD; e++) sums[g][e] += weight * toFloat(value[pass][e / VEC].at[e % VEC]);
        }
      }
    }
    if (!finite) records[seat].fault = 1 + layer;

    // Groups of a warp, then the warps of the block.
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
#pragma unroll
      for (int step = 16; step >= LANES; step /= 2) {
        float otherMost = __shfl_xor_sync(WHOLE_WARP, most[g], step), otherTotal = __shfl_xor_sync(WHOLE_WARP, total[g], step);
        float both = fmaxf(most[g], otherMost), mine = expf(most[g] - both), other = expf(otherMost - both);
        most[g] = both;
        total[g] = total[g] * mine + otherTotal * other;
#pragma unroll
        for (int e = 0; e < HELD; e++) sums[g][e] = sums[g][e] * mine + __shfl_xor_sync(WHOLE_WARP, sums[g][e], step) * other;
      }
    }
    __shared__ float warpSums[WARPS][MERGED][D], warpMost[WARPS][GROUP], warpTotal[WARPS][GROUP];
    const int warp = threadIdx.x / 32;
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
      if (threadIdx.x % 32 == 0) {
        warpMost[warp][g] = most[g];
        warpTotal[warp][g] = total[g];
      }
    }
#pragma unroll
    for (int g0 = 0; g0 < GROUP; g0 += MERGED) {
      __syncthreads();
#pragma unroll
      for (int g = g0; g < GROUP && g < g0 + MERGED; g++) {
#pragma unroll
        for (int e = 0; e < HELD; e++) {
          int at = (e / VEC * LANES + lane) * VEC + e % VEC;
          if (threadIdx.x % 32 < LANES && at < D) warpSums[warp][g - g0][at] = sums[g][e];
        }
      }
      __syncthreads();
      for (int i = threadIdx.x; i < min(MERGED, GROUP - g0) * D; i += THREADS) {
        int g = i / D;
        float both = LEAST, sum = 0.f;
        for (int w = 0; w < WARPS; w++) both = fmaxf(both, warpMost[w][g0 + g]);
        for (int w = 0; w < WARPS; w++) sum += warpSums[w][g][i % D] * expf(warpMost[w][g0 + g] - both);
        partials[((long long)(g0 + g) * SPLITS + split) * (D + 4) + i % D] = sum;
      }
    }

    // Noise belongs to the scores alone; its softmax has a maximum and a sum of its own. A warp takes part of a head's slots.
    if (scored) {
      constexpr int Parts = GROUP >= WARPS ? 1 : WARPS / GROUP;
      __shared__ float noisyMost[GROUP][Parts], noisyTotal[GROUP][Parts];
      for (int item = warp; item < GROUP * Parts; item += WARPS) {
        int g = item % GROUP, part = item / GROUP;
        Noise noise = noiseOf(settings, record, layer, kvHead * GROUP + g);
        float* x = logits + (long long)g * capacity;
        float top = LEAST, sum = 0.f;
        for (int slot = from + part * 32 + threadIdx.x % 32; slot < to; slot += 32 * Parts) {
          float noisy = (x[slot] + noise.sample(position, slab.positions(kvHead)[slot])) / tau;
          x[slot] = noisy;
          mergePair(top, sum, noisy, 1.f);
        }
#pragma unroll
        for (int step = 16; step > 0; step /= 2) mergePair(top, sum, __shfl_xor_sync(WHOLE_WARP, top, step), __shfl_xor_sync(WHOLE_WARP, sum, step));
        if (threadIdx.x % 32 == 0) {
          noisyMost[g][part] = top;
          noisyTotal[g][part] = sum;
        }
      }
      __syncthreads();
      for (int g = threadIdx.x; g < GROUP; g += THREADS) {
        float top = LEAST, sum = 0.f;
        for (int part = 0; part < Parts; part++) mergePair(top, sum, noisyMost[g][part], noisyTotal[g][part]);
        float* tail = partials + ((long long)g * SPLITS + split) * (D + 4) + D;
        tail[2] = top;
        tail[3] = sum;
      }
    }
    for (int g = threadIdx.x; g < GROUP; g += THREADS) {
      float top = LEAST, sum = 0.f;
      for (int w = 0; w < WARPS; w++) mergePair(top, sum, warpMost[w][g], warpTotal[w][g]);
      float* tail = partials + ((long long)g * SPLITS + split) * (D + 4) + D;
      tail[0] = top;
      tail[1] = sum;
    }
  }

  // The last block of the head goes on.
  arrivals += row * (KV_HEADS + 1);
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) isLast = atomicAdd(&arrivals[kvHead], 1) == (int)gridDim.x - 1;
  __syncthreads();
  if (!isLast) return;
  __threadfence();
  if (threadIdx.x == 0) arrivals[kvHead] = 0;

  // Weights of the splits: of the output, and of the scores.
  __shared__ float weights[GROUP][SPLITS], noisyTop[GROUP], noisyScale[GROUP];
  for (int g = threadIdx.x / 32; g < GROUP; g += WARPS) {
    const float* tails = partials + (long long)g * SPLITS * (D + 4) + D;
    float top = LEAST, sum = 0.f, noisyMost = LEAST, noisySum = 0.f;
    for (int s = threadIdx.x % 32; s < splits; s += 32) {
      const float* tail = tails + s * (D + 4);
      mergePair(top, sum, __ldcg(tail), __ldcg(tail + 1));
      if (scored) mergePair(noisyMost, noisySum, __ldcg(tail + 2), __ldcg(tail + 3));
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      mergePair(top, sum, __shfl_xor_sync(WHOLE_WARP, top, step), __shfl_xor_sync(WHOLE_WARP, sum, step));
      mergePair(noisyMost, noisySum, __shfl_xor_sync(WHOLE_WARP, noisyMost, step), __shfl_xor_sync(WHOLE_WARP, noisySum, step));
    }
    for (int s = threadIdx.x % 32; s < splits; s += 32) weights[g][s] = expf(__ldcg(tails + s * (D + 4)) - top) / sum;
    if (threadIdx.x % 32 == 0) {
      noisyTop[g] = noisyMost;
      noisyScale[g] = 1.f / noisySum;
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < GROUP * D; i += THREADS) {
    const float *at = partials + (long long)(i / D) * SPLITS * (D + 4) + i % D, *weight = weights[i / D];
    float sum = 0.f;
#pragma unroll 8
    for (int s = 0; s < splits; s++) sum += weight[s] * __ldcg(at + s * (D + 4));
    out[((long long)row * HEADS + kvHead * GROUP) * D + i] = fromFloat<ELEMENT>(sum);
  }
  float* scores = slab.scores(kvHead);
  if (scored) {
    constexpr int Together = 4;  // slots whose logits are on their way at a time
    const bool isLastRow = settings.scoring == SCORE_LAST, isGreatest = settings.groupReduce == REDUCE_MAX;
    const float share = settings.share(), kept = isLastRow ? 0.f : settings.damping;
    for (int slot0 = threadIdx.x; slot0 < length; slot0 += THREADS * Together) {
      float sum[Together], before[Together];
#pragma unroll
      for (int t = 0; t < Together; t++) {
        int slot = min(slot0 + t * THREADS, length - 1);
        before[t] = __ldcg(scores + slot);
        sum[t] = 0.f;
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
          float weight = expf(__ldcg(logits + (long long)g * capacity + slot) - noisyTop[g]) * noisyScale[g];
          sum[t] = isGreatest ? fmaxf(sum[t], weight) : sum[t] + weight;
        }
      }
#pragma unroll
      for (int t = 0; t < Together; t++) {
        int slot = slot0 + t * THREADS;
        if (slot < length) scores[slot] = (isLastRow ? 0.f : kept * before[t]) + share * sum[t];
      }
    }
  }

  int first = kvHead, count = 1;
  if (scored && settings.meanHeads && KV_HEADS > 1) {
    // The last head of the row averages for all and decides for all.
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) isLast = atomicAdd(&arrivals[KV_HEADS], 1) == KV_HEADS - 1;
    __syncthreads();
    if (!isLast) return;
    __threadfence();
    if (threadIdx.x == 0) arrivals[KV_HEADS] = 0;
    for (int slot = threadIdx.x; slot < length; slot += THREADS) {
      float sum = 0.f;
#pragma unroll 8
      for (int h = 0; h < KV_HEADS; h++) sum += __ldcg(slab.scores(h) + slot);
#pragma unroll 8
      for (int h = 0; h < KV_HEADS; h++) slab.scores(h)[slot] = sum / KV_HEADS;
    }
    first = 0;
    count = KV_HEADS;
  }
  __syncthreads();
  int stay = settings.decides == DECIDES_LAYER ? evictHeads(slab, first, count, length, settings, record.tokensSeen, window) : length;
  for (int h = threadIdx.x; h < count; h += THREADS) slab.lengths()[first + h] = stay;
}
