// One layer of a decode step: appends a token to each text's cache, attends with it to all that is cached, scores the
// entries and evicts, in one launch.
//
//   out[row, h] = softmax(scale · q_h Kᵀ − slope_h · distance) V over the live slots of the text's slab
//   score[slot] (+)= reduce over the group of softmax((logits + noise) / τ)[slot], never seen by the output
//
//   q [rows, HEADS · D], k, v [rows, KV_HEADS · D], each with its own stride between rows; out [rows, HEADS · D].
//   turns: rows of ROTARY / 2 cosines and ROTARY / 2 sines by position (and by distance with RENUMBERED).
//   logits [rows, HEADS, capacity], noisy ones; partials [rows, HEADS, splits, D + 4]; arrivals [rows, KV_HEADS + 1],
//   zeros before and after.
//
// Block `split` of a KV head takes the chunks of CHUNK slots whose number is `split` modulo the splits, with all query
// heads of its group, so each key and value is read once. As a chunk's place depends on nothing else, the first keys and
// values are under way before the number of live slots is known. LANES lanes share a slot; groups of lanes walk over the
// slots with sums of their own, which are merged in a fixed order at the end. A thread copies to shared memory what it
// reads itself, so copies need no barrier. Noise of a chunk is drawn while its keys are on their way.
// The last block of a head to arrive merges the splits, scores and evicts; blocks without slots arrive too, so that by
// then no one reads lengths.
//
// Launch: splits (at most SPLITS) × KV_HEADS × rows blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, SPLITS, THREADS;
// CHUNK (slots, whole warps, at most THREADS); LANES (a power of two up to 32, at least THREADS / CHUNK), PIECES (vectors of a row
// that a lane holds), PASSES (slots of a group of lanes in a tile; tiles divide chunks), STAGES (tiles under way); ALIBI; ROTARY
// (elements turned), INTERLEAVED; RENUMBERED, where a text of the batch may number its entries anew: such keys are cached
// unturned, and TURN_FACTOR is what a turn multiplies a head by.

#include "tensorCore.cuh"
#include "kvEvict.cuh"
#include "kvNoise.cuh"
#include "kvLogits.cuh"

#define GROUPS (THREADS / LANES)
#define TILE (GROUPS * PASSES)
#define TILES (CHUNK / TILE)
#define WARPS (THREADS / 32)
#define HELD (PIECES * VEC)
#define WIDTH (LANES * HELD)
// Pairs of a slot and a query head of a chunk that a thread scores.
#define ITEMS ((GROUP * CHUNK + THREADS - 1) / THREADS)
// Heads of a group whose sums are merged at a time.
#define MERGE_FLOATS (GROUP * D > 1024 ? 4096 : 8192)
#define MERGED (GROUP * D * WARPS <= MERGE_FLOATS ? GROUP : MERGE_FLOATS > D * WARPS ? MERGE_FLOATS / (D * WARPS) : 1)
#define RING_BYTES (STAGES * PASSES * 2 * PIECES * THREADS * (int)sizeof(Vector))
#define MERGE_BYTES (WARPS * MERGED * D * 4 > GROUP * SPLITS * 4 ? WARPS * MERGED * D * 4 : GROUP * SPLITS * 4)
// Blocks that share a multiprocessor, by registers: sums of many query heads take more of them.
#define RESIDENT (512 / THREADS * (GROUP > 2 ? 3 : 4) / 4)

// Copies a vector to shared memory in the background where it is wide enough; zeros when not `valid`.
__device__ __forceinline__ void fetchVector(Vector* to, const Vector* from, bool valid) {
  if constexpr (sizeof(Vector) == 16) cp_async_16(shared_address(to), from, valid);
  else if constexpr (sizeof(Vector) == 8) cp_async_8(shared_address(to), from, valid);
  else *to = valid ? *from : Vector{};
}

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
kvAttend(const int* rowSequences, Sequence* records, const uint4* slabs, const Settings* settingsOfSequences, const ELEMENT* q, const ELEMENT* k, const ELEMENT* v,
         int qStride, int kStride, int vStride, const float* turns, const float* slopes, ELEMENT* out, float* logits, float* partials, int* arrivals,
         int capacity, float scale, int window, int layer) {
  const int row = blockIdx.z, kvHead = blockIdx.y, split = blockIdx.x, splits = gridDim.x;
  const int sequence = rowSequences[row];
  if (sequence < 0) return;
  union Piece { Vector whole; ELEMENT at[VEC]; };
  __shared__ __align__(16) char pool[RING_BYTES > MERGE_BYTES ? RING_BYTES : MERGE_BYTES];
  __shared__ __align__(16) float query[GROUP][WIDTH];
  __shared__ __align__(16) ELEMENT fresh[2][WIDTH];  // the new entry's key and value
  __shared__ float chunkLogits[2][GROUP * CHUNK];
  [[maybe_unused]] __shared__ int chunkPlaces[2][CHUNK];
  __shared__ Settings settings;
  Vector(*ring)[PASSES][2][PIECES][THREADS] = (Vector(*)[PASSES][2][PIECES][THREADS])pool;

  const Slab slab = slabOf(slabs, sequence);
  const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES, warp = threadIdx.x / 32;
  const ELEMENT *keys = slab.keys(kvHead), *values = slab.values(kvHead);
  auto tileSlot = [&](int tile) { return (tile / TILES * splits + split) * CHUNK + tile % TILES * TILE; };
  // Begins the copy of a tile's slots below a limit; threads read what they copied themselves.
  auto fetch = [&](int tile, int limit) {
    const int first = tileSlot(tile);
#pragma unroll
    for (int pass = 0; pass < PASSES; pass++) {
      const int slot = first + pass * GROUPS + group;
#pragma unroll
      for (int piece = 0; piece < PIECES; piece++) {
        const int e = (piece * LANES + lane) * VEC;
        const bool valid = slot < limit && e < D;
        fetchVector(&ring[tile % STAGES][pass][0][piece][threadIdx.x], (const Vector*)(keys + (long long)slot * D + e), valid);
        fetchVector(&ring[tile % STAGES][pass][1][piece][threadIdx.x], (const Vector*)(values + (long long)slot * D + e), valid);
      }
    }
    cp_async_commit();
  };
#pragma unroll
  for (int tile = 0; tile < STAGES - 1; tile++) fetch(tile, slab.capacity);

  // The place of this thread's slot of the first chunk.
  const int ownSlot = threadIdx.x % CHUNK;
  const int* positions = slab.positions(kvHead);
  int nextPosition = 0;
  if (split * CHUNK + ownSlot < slab.capacity) nextPosition = positions[split * CHUNK + ownSlot];
#ifdef RENUMBERED
  const int* ranks = slab.ranks(kvHead);
  int nextRank = 0;
  if (split * CHUNK + ownSlot < slab.capacity) nextRank = ranks[split * CHUNK + ownSlot];
#endif
  const int before = slab.lengths()[kvHead], length = before + 1;
  const Sequence record = records[sequence];
  const int position = record.tokensSeen - 1;
  for (int i = threadIdx.x; i < SETTINGS_WORDS; i += THREADS) ((int*)&settings)[i] = ((const int*)(settingsOfSequences + sequence))[i];
#ifdef RENUMBERED
  const bool renumbered = settingsOfSequences[sequence].renumbered;
#else
  const bool renumbered = false;
#endif
  const float* angles = turns + (long long)(renumbered ? 0 : position) * ROTARY_WIDTH;
  const ELEMENT *ownQuery = q + (long long)row * qStride + kvHead * GROUP * D, *ownKey = k + (long long)row * kStride + kvHead * D;
  const ELEMENT* ownValue = v + (long long)row * vStride + kvHead * D;
#pragma unroll
  for (int i0 = 0; i0 < GROUP * WIDTH; i0 += THREADS) {
    const int i = i0 + threadIdx.x, g = i / WIDTH, e = i % WIDTH;
    if (i >= GROUP * WIDTH) break;
    auto at = [&](int e) { return toFloat(ownQuery[g * D + e]) * scale; };
    float x = 0.f;
    if (e < D) {
      x = renumbered ? at(e) : turnedBy(angles, e, at);
#ifdef RENUMBERED
      // Turned once, by its distance from a key, where else both are turned.
      if (renumbered && e < ROTARY_WIDTH) x *= (float)TURN_FACTOR;
#endif
    }
    query[g][e] = x;
  }
  // The block of the new entry's chunk appends it.
  const bool appends = before / CHUNK % splits == split;
  if (appends) {
    for (int e = threadIdx.x; e < WIDTH; e += THREADS) {
      auto at = [&](int e) { return toFloat(ownKey[e]); };
      ELEMENT key = fromFloat<ELEMENT>(0.f), value = key;
      if (e < D) {
        key = fromFloat<ELEMENT>(renumbered ? at(e) : turnedBy(angles, e, at));
        value = ownValue[e];
        slab.keys(kvHead)[(long long)before * D + e] = key;
        slab.values(kvHead)[(long long)before * D + e] = value;
      }
      fresh[0][e] = key;
      fresh[1][e] = value;
    }
  }
  __syncthreads();
  const bool scored = settings.scoring == SCORE_ACCUMULATE || settings.scoring == SCORE_LAST;
  if (appends && warp == 0) {
    float score = 0.f;
    if (settings.scoring == SCORE_KEY_NORM) {
      for (int e = threadIdx.x; e < D; e += 32) score += toFloat(ownKey[e]) * toFloat(ownKey[e]);
#pragma unroll
      for (int step = 16; step > 0; step /= 2) score += __shfl_xor_sync(WHOLE_WARP, score, step);
      score = -sqrtf(score);
    } else if (settings.scoring == SCORE_RANDOM) {
      score = entryUniform(record, layer, kvHead, position);
    }
    if (threadIdx.x == 0) {
      slab.positions(kvHead)[before] = position;
      slab.scores(kvHead)[before] = score;
      if (renumbered) slab.ranks(kvHead)[before] = before;
    }
  }
  const float tau = settings.temperature(record.step);
#ifdef ALIBI
  const bool isPlaced = true;
#else
  const bool isPlaced = renumbered;
#endif
  [[maybe_unused]] const int place = renumbered ? before : position;
  logits += ((long long)row * HEADS + kvHead * GROUP) * capacity;
  partials += ((long long)row * HEADS + kvHead * GROUP) * splits * (D + 4);

  // Chunks and tiles of this block.
  const int chunks = (length + CHUNK - 1) / CHUNK, ownChunks = (chunks - split + splits - 1) / splits;
  int tiles = ownChunks * TILES;
  if (ownChunks > 0) tiles -= max(0, (tileSlot((ownChunks - 1) * TILES) + CHUNK - length) / TILE);

  float drawn[ITEMS], noisyMost[ITEMS], noisyTotal[ITEMS];
#pragma unroll
  for (int item = 0; item < ITEMS; item++) {
    noisyMost[item] = LEAST;
    noisyTotal[item] = 0.f;
  }
  // Draws the noise of the next chunk and sets its places, a barrier before they are read; then looks ahead.
  auto turnTo = [&](int chunk) {
    const int slot = (chunk * splits + split) * CHUNK + ownSlot;
    if (scored) {
      const int own = slot == before ? position : nextPosition;
#pragma unroll
      for (int item = 0; item < ITEMS; item++) drawn[item] = noiseOf(settings, record, layer, kvHead * GROUP + (item * THREADS + threadIdx.x) / CHUNK).sample(position, own);
    }
    if (isPlaced && threadIdx.x < CHUNK) {
      int own = slot == before ? position : nextPosition;
#ifdef RENUMBERED
      if (renumbered) own = slot == before ? before : nextRank;
#endif
      chunkPlaces[chunk % 2][ownSlot] = own;
    }
    const int later = slot + splits * CHUNK;
    if ((scored || isPlaced) && later < before) {
      nextPosition = positions[later];
#ifdef RENUMBERED
      if (renumbered) nextRank = ranks[later];
#endif
    }
  };
  turnTo(0);
  if (isPlaced) __syncthreads();

  float most[GROUP], total[GROUP], sums[GROUP][HELD];
  constexpr bool IsHeld = GROUP * HELD <= 32;
  float own[IsHeld ? GROUP : 1][HELD];
  bool finite = true;
#pragma unroll
  for (int g = 0; g < GROUP; g++) {
    most[g] = LEAST;
    total[g] = 0.f;
#pragma unroll
    for (int e = 0; e < HELD; e++) sums[g][e] = 0.f;
    if constexpr (IsHeld) {
#pragma unroll
      for (int e = 0; e < HELD; e++) own[g][e] = query[g][(e / VEC * LANES + lane) * VEC + e % VEC];
    }
  }
  for (int tile = 0; tile < tiles; tile++) {
    cp_async_wait<STAGES - 2>();
    fetch(tile + STAGES - 1, before);
    const int chunk = tile / TILES, inChunk = tile % TILES * TILE, first = tileSlot(tile);
    // An entry's vectors; the new one's lie apart.
    auto vectorsOf = [&](Piece (&to)[PIECES], int pass, int kind) {
      const bool isNew = first + pass * GROUPS + group == before;
#pragma unroll
      for (int piece = 0; piece < PIECES; piece++) {
        to[piece].whole = isNew ? ((const Vector*)fresh[kind])[piece * LANES + lane] : ring[tile % STAGES][pass][kind][piece][threadIdx.x];
      }
    };
    float x[PASSES][GROUP];
#pragma unroll
    for (int pass = 0; pass < PASSES; pass++) {
      Piece key[PIECES];
      vectorsOf(key, pass, 0);
      const int slot = first + pass * GROUPS + group, at = inChunk + pass * GROUPS + group;
#pragma unroll
      for (int g = 0; g < GROUP; g++) {
        float sum = 0.f;
#ifdef RENUMBERED
        if (renumbered) {
          // The query turned by its distance from the key meets the key as it was before any turn.
          const float* distance = turns + (long long)(slot < length ? place - chunkPlaces[chunk % 2][at] : 0) * ROTARY_WIDTH;
#pragma unroll
          for (int e = 0; e < HELD; e++) {
            int element = (e / VEC * LANES + lane) * VEC + e % VEC;
            if (element < D) sum += turned(distance, element, query[g]) * toFloat(key[e / VEC].at[e % VEC]);
          }
        } else
#endif
        {
#pragma unroll
          for (int e = 0; e < HELD; e++) {
            float factor = IsHeld ? own[IsHeld ? g : 0][e] : query[g][(e / VEC * LANES + lane) * VEC + e % VEC];
            sum += factor * toFloat(key[e / VEC].at[e % VEC]);
          }
        }
        x[pass][g] = sum;
      }
#pragma unroll
      for (int step = LANES / 2; step > 0; step /= 2) {
#pragma unroll
        for (int g = 0; g < GROUP; g++) x[pass][g] += __shfl_xor_sync(WHOLE_WARP, x[pass][g], step);
      }
      if (slot < length) {
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
#ifdef ALIBI
          x[pass][g] -= slopes[kvHead * GROUP + g] * (float)(place - chunkPlaces[chunk % 2][at]);
#endif
          finite = finite && x[pass][g] < INFINITY_F;
          if (scored && lane == 0) chunkLogits[chunk % 2][g * CHUNK + at] = x[pass][g];
        }
      } else {
#pragma unroll
        for (int g = 0; g < GROUP; g++) x[pass][g] = -INFINITY_F;
      }
    }
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
      float top = most[g];
#pragma unroll
      for (int pass = 0; pass < PASSES; pass++) top = fmaxf(top, x[pass][g]);
      float shrink = __expf(most[g] - top);
      most[g] = top;
      total[g] *= shrink;
#pragma unroll
      for (int e = 0; e < HELD; e++) sums[g][e] *= shrink;
#pragma unroll
      for (int pass = 0; pass < PASSES; pass++) {
        x[pass][g] = __expf(x[pass][g] - top);
        total[g] += x[pass][g];
      }
    }
#pragma unroll
    for (int pass = 0; pass < PASSES; pass++) {
      if (first + pass * GROUPS + group >= length) continue;  // nothing that is known lies there
      Piece value[PIECES];
      vectorsOf(value, pass, 1);
#pragma unroll
      for (int e = 0; e < HELD; e++) {
        float one = toFloat(value[e / VEC].at[e % VEC]);
#pragma unroll
        for (int g = 0; g < GROUP; g++) sums[g][e] += x[pass][g] * one;
      }
    }

    // A chunk ends. Noise belongs to the scores alone; its softmax has a maximum and a sum of its own.
    if ((tile + 1) % TILES != 0 && tile + 1 < tiles) continue;
    if (!scored && !isPlaced) continue;
    float drawnHere[ITEMS];
#pragma unroll
    for (int item = 0; item < ITEMS; item++) drawnHere[item] = drawn[item];
    if (tile + 1 < tiles) turnTo(chunk + 1);
    __syncthreads();
    if (!scored) continue;
#pragma unroll
    for (int item = 0; item < ITEMS; item++) {
      const int i = item * THREADS + threadIdx.x, slot = first - inChunk + ownSlot;
      if (i < GROUP * CHUNK && slot < length) {
        float noisy = (chunkLogits[chunk % 2][i] + drawnHere[item]) / tau;
        logits[(long long)(i / CHUNK) * capacity + slot] = noisy;
        mergePair(noisyMost[item], noisyTotal[item], noisy, 1.f);
      }
    }
  }
  if (!finite) records[sequence].fault = 1 + layer;
  cp_async_wait<0>();

  // Groups of a warp, then the warps of the block.
  __shared__ float warpMost[WARPS][GROUP], warpTotal[WARPS][GROUP], noisyParts[2][ITEMS * WARPS];
  __shared__ float blockMost[GROUP], blockTotal[GROUP], noisyTop[GROUP], noisyScale[GROUP];
  if (tiles > 0) {
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
#pragma unroll
      for (int step = 16; step >= LANES; step /= 2) {
        float otherMost = __shfl_xor_sync(WHOLE_WARP, most[g], step), otherTotal = __shfl_xor_sync(WHOLE_WARP, total[g], step);
        float both = fmaxf(most[g], otherMost), mine = __expf(most[g] - both), other = __expf(otherMost - both);
        most[g] = both;
        total[g] = total[g] * mine + otherTotal * other;
#pragma unroll
        for (int e = 0; e < HELD; e++) sums[g][e] = sums[g][e] * mine + __shfl_xor_sync(WHOLE_WARP, sums[g][e], step) * other;
      }
      if (threadIdx.x % 32 == 0) {
        warpMost[warp][g] = most[g];
        warpTotal[warp][g] = total[g];
      }
    }
    if (scored) {
#pragma unroll
      for (int item = 0; item < ITEMS; item++) {
#pragma unroll
        for (int step = 16; step > 0; step /= 2)
          mergePair(noisyMost[item], noisyTotal[item], __shfl_xor_sync(WHOLE_WARP, noisyMost[item], step), __shfl_xor_sync(WHOLE_WARP, noisyTotal[item], step));
        if (threadIdx.x % 32 == 0) {
          noisyParts[0][item * WARPS + warp] = noisyMost[item];
          noisyParts[1][item * WARPS + warp] = noisyTotal[item];
        }
      }
    }
    float(*warpSums)[MERGED][D] = (float(*)[MERGED][D])pool;
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
      if (g0 == 0) {
        for (int g = threadIdx.x; g < GROUP; g += THREADS) {
          float top = LEAST, sum = 0.f, noisy = LEAST, noisySum = 0.f;
          for (int w = 0; w < WARPS; w++) mergePair(top, sum, warpMost[w][g], warpTotal[w][g]);
          if (scored) {
            for (int part = 0; part < CHUNK / 32; part++) mergePair(noisy, noisySum, noisyParts[0][g * (CHUNK / 32) + part], noisyParts[1][g * (CHUNK / 32) + part]);
          }
          blockMost[g] = top;
          blockTotal[g] = sum;
          noisyTop[g] = noisy;
          noisyScale[g] = 1.f / noisySum;
          if (splits > 1) {
            float* tail = partials + ((long long)g * splits + split) * (D + 4) + D;
            tail[0] = top;
            tail[1] = sum;
            tail[2] = noisy;
            tail[3] = noisySum;
          }
        }
      }
      __syncthreads();
      for (int i = threadIdx.x; i < min(MERGED, GROUP - g0) * D; i += THREADS) {
        int g = i / D;
        float sum = 0.f;
        for (int w = 0; w < WARPS; w++) sum += warpSums[w][g][i % D] * __expf(warpMost[w][g0 + g] - blockMost[g0 + g]);
        if (splits > 1) partials[((long long)(g0 + g) * splits + split) * (D + 4) + i % D] = sum;
        else out[((long long)row * HEADS + kvHead * GROUP + g0) * D + i] = fromFloat<ELEMENT>(sum / blockTotal[g0 + g]);
      }
    }
  }

  // The last block of the head goes on. A barrier and one thread's fences order all threads' accesses.
  __shared__ bool isLast;
  arrivals += row * (KV_HEADS + 1);
  __syncthreads();
  if (splits > 1) {
    if (threadIdx.x == 0) {
      __threadfence();
      isLast = atomicAdd(&arrivals[kvHead], 1) == splits - 1;
      __threadfence();
    }
    __syncthreads();
    if (!isLast) return;
    if (threadIdx.x == 0) arrivals[kvHead] = 0;

    // Weights of the splits: of the output, and of the scores.
    const int used = min(splits, chunks);
    float(*weights)[SPLITS] = (float(*)[SPLITS])pool;
    for (int g = warp; g < GROUP; g += WARPS) {
      const float* tails = partials + (long long)g * splits * (D + 4) + D;
      float top = LEAST, sum = 0.f, noisy = LEAST, noisySum = 0.f;
      for (int s = threadIdx.x % 32; s < used; s += 32) {
        const float* tail = tails + s * (D + 4);
        float ownMost = __ldcg(tail), ownTotal = __ldcg(tail + 1), ownNoisy = __ldcg(tail + 2), ownNoisySum = __ldcg(tail + 3);
        mergePair(top, sum, ownMost, ownTotal);
        mergePair(noisy, noisySum, ownNoisy, ownNoisySum);
        weights[g][s] = ownMost;
      }
#pragma unroll
      for (int step = 16; step > 0; step /= 2) {
        mergePair(top, sum, __shfl_xor_sync(WHOLE_WARP, top, step), __shfl_xor_sync(WHOLE_WARP, sum, step));
        mergePair(noisy, noisySum, __shfl_xor_sync(WHOLE_WARP, noisy, step), __shfl_xor_sync(WHOLE_WARP, noisySum, step));
      }
      for (int s = threadIdx.x % 32; s < used; s += 32) weights[g][s] = __expf(weights[g][s] - top) / sum;
      if (threadIdx.x % 32 == 0) {
        noisyTop[g] = noisy;
        noisyScale[g] = 1.f / noisySum;
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < GROUP * D; i += THREADS) {
      constexpr int Together = 16;  // sums on their way at a time
      const float *at = partials + (long long)(i / D) * splits * (D + 4) + i % D, *weight = weights[i / D];
      float sum = 0.f;
      for (int s0 = 0; s0 < used; s0 += Together) {
        float part[Together];
#pragma unroll
        for (int s = 0; s < Together; s++) part[s] = s0 + s < used ? __ldcg(at + (s0 + s) * (D + 4)) : 0.f;
#pragma unroll
        for (int s = 0; s < Together; s++) sum += s0 + s < used ? weight[s0 + s] * part[s] : 0.f;
      }
      out[((long long)row * HEADS + kvHead * GROUP) * D + i] = fromFloat<ELEMENT>(sum);
    }
  }

  // Scores; where one entry goes by them, it is found in the same pass.
  float* scores = slab.scores(kvHead);
  const bool isMean = scored && settings.meanHeads && KV_HEADS > 1;
  const bool isOne = scored && !isMean && settings.decides == DECIDES_LAYER && window == 0 && settings.evictEvery <= 1 && length - settings.budget == 1;
  unsigned long long worst = ~0ull;
  int worstOwn = -1;
  if (scored) {
    constexpr int Together = 4;  // slots whose logits are on their way at a time
    const bool isLastRow = settings.scoring == SCORE_LAST, isGreatest = settings.groupReduce == REDUCE_MAX;
    const float share = settings.share(), kept = isLastRow ? 0.f : settings.damping;
    const int goesTo = record.tokensSeen - settings.recent, goesFrom = settings.hasGap ? goesTo - 1 : settings.evictFrom;
    for (int slot0 = threadIdx.x; slot0 < length; slot0 += THREADS * Together) {
      float sum[Together], old[Together];
      int at[Together];
#pragma unroll
      for (int t = 0; t < Together; t++) {
        int slot = slot0 + t * THREADS < length ? slot0 + t * THREADS : slot0;
        old[t] = __ldcg(scores + slot);
        at[t] = __ldcg(positions + slot);
        sum[t] = 0.f;
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
          float weight = __expf(__ldcg(logits + (long long)g * capacity + slot) - noisyTop[g]) * noisyScale[g];
          sum[t] = isGreatest ? fmaxf(sum[t], weight) : sum[t] + weight;
        }
      }
#pragma unroll
      for (int t = 0; t < Together; t++) {
        int slot = slot0 + t * THREADS;
        if (slot >= length) break;
        float score = (isLastRow ? 0.f : kept * old[t]) + share * sum[t];
        scores[slot] = score;
        unsigned long long key = evictionKey(at[t], score, settings.evictByAge);
        if (isOne && at[t] >= goesFrom && at[t] < goesTo && key < worst) {
          worst = key;
          worstOwn = slot;
        }
      }
    }
  }
  if (isOne) {
    int slot = slotOfLeast(worst, worstOwn);
    if (slot >= 0) {
      dropSlot(slab, kvHead, slot, length, renumbered);
      if (threadIdx.x == 0) slab.lengths()[kvHead] = length - 1;
      return;
    }
  }

  int firstHead = kvHead, count = 1;
  if (isMean) {
    // The last head of the row averages for all and decides for all.
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      isLast = atomicAdd(&arrivals[KV_HEADS], 1) == KV_HEADS - 1;
      __threadfence();
    }
    __syncthreads();
    if (!isLast) return;
    if (threadIdx.x == 0) arrivals[KV_HEADS] = 0;
    for (int slot = threadIdx.x; slot < length; slot += THREADS) {
      float sum = 0.f;
#pragma unroll 8
      for (int h = 0; h < KV_HEADS; h++) sum += __ldcg(slab.scores(h) + slot);
#pragma unroll 8
      for (int h = 0; h < KV_HEADS; h++) slab.scores(h)[slot] = sum / KV_HEADS;
    }
    firstHead = 0;
    count = KV_HEADS;
  }
  __syncthreads();
  int stay = settings.decides == DECIDES_LAYER ? evictHeads(slab, firstHead, count, length, settings, record.tokensSeen, window) : length;
  for (int h = threadIdx.x; h < count; h += THREADS) slab.lengths()[firstHead + h] = stay;
}
