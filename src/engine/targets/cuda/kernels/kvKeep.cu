// Which entries of a region stay after a prompt or a turn, by a policy's rule: kept [KV_HEADS, stride] receives their slots
// in order, counts [KV_HEADS] how many.
//
// Entries that no later query sees go first. Where more than the budget are left, and not all are to stay (keepsAll), the first tokens and the newest ones
// stay, and of the others those with the largest (score, age) pairs, found by radix selection: eight bits at a time,
// pairs being distinct. `scores` [KV_HEADS, scoreStride], or null: the region's.
//
// Launch: KV_HEADS blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS.

#include "kvSlab.cuh"

#define WARPS (THREADS / 32)

// The sum of a number each over the block; every thread receives it.
__device__ __forceinline__ int sumOfBlock(int value) {
  __shared__ int parts[WARPS];
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(WHOLE_WARP, value, step);
  __syncthreads();  // the parts before these have been read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  value = 0;
  for (int w = 0; w < WARPS; w++) value += parts[w];
  return value;
}

extern "C" __global__ void __launch_bounds__(THREADS)
kvKeep(const Sequence* records, const Settings* settingsOfSequences, int sequence, char* base, int capacity, int rows, const float* scores, int scoreStride,
       int* kept, int* counts, int stride, int window, int keepsAll) {
  const Settings& settings = settingsOfSequences[sequence];
  const Slab region = {base, capacity};
  const int head = blockIdx.x, length = region.lengths()[head] + rows, tokensSeen = records[sequence].tokensSeen;
  const int* positions = region.positions(head);
  const int unseenBelow = window > 0 ? tokensSeen - window + 1 : 0, recentFrom = tokensSeen - settings.recent;
  scores = scores == nullptr ? region.scores(head) : scores + (long long)head * scoreStride;
  kept += (long long)head * stride;

  // 0: goes; 1: a candidate; 2: stays.
  auto standing = [&](int position, bool isAll) {
    if (position < unseenBelow) return 0;
    if (isAll) return 2;
    if (settings.hasGap && position == recentFrom - 1) return 0;
    return position < settings.sinks || position >= recentFrom ? 2 : 1;
  };
  auto pairOf = [&](int slot, int position) {
    unsigned high = settings.keepByAge ? (unsigned)position : ordered(scores[slot]);
    return (unsigned long long)high << 32 | (0xffffffffu - (unsigned)position);
  };

  int seen = 0;
  for (int slot = threadIdx.x; slot < length; slot += THREADS) seen += positions[slot] >= unseenBelow;
  const bool isAll = sumOfBlock(seen) <= settings.budget || keepsAll;
  unsigned long long least = 0;  // candidates from this pair on stay
  if (!isAll) {
    int forced = 0, candidates = 0;
    for (int slot = threadIdx.x; slot < length; slot += THREADS) {
      int what = standing(positions[slot], false);
      forced += what == 2;
      candidates += what == 1;
    }
    int wanted = max(0, settings.budget - sumOfBlock(forced));
    candidates = sumOfBlock(candidates);
    if (wanted == 0) {
      least = ~0ull;
    } else if (wanted < candidates) {
      // Fixes the threshold from its highest bits down; `wanted` of the pairs that begin like it are taken.
      __shared__ int bins[256];
      __shared__ int chosenBin, chosenWanted;
      int begun = candidates;
      for (int shift = 56; shift >= 0 && wanted < begun; shift -= 8) {
        for (int bin = threadIdx.x; bin < 256; bin += THREADS) bins[bin] = 0;
        __syncthreads();
        for (int slot = threadIdx.x; slot < length; slot += THREADS) {
          int position = positions[slot];
          if (standing(position, false) != 1) continue;
          unsigned long long pair = pairOf(slot, position);
          if (shift == 56 || pair >> (shift + 8) == least >> (shift + 8)) atomicAdd(&bins[pair >> shift & 255], 1);
        }
        __syncthreads();
        if (threadIdx.x < 32) {
          // Lane l has bins 255 − 8 l … 248 − 8 l, from the highest down.
          int own = 0, above = 0;
          for (int i = 0; i < 8; i++) own += bins[255 - 8 * threadIdx.x - i];
          above = own;
#pragma unroll
          for (int step = 1; step < 32; step *= 2) {
            int other = __shfl_up_sync(WHOLE_WARP, above, step);
            if ((int)threadIdx.x >= step) above += other;
          }
          above -= own;
          if (above < wanted && wanted <= above + own) {
            int bin = 255 - 8 * threadIdx.x;
            while (above + bins[bin] < wanted) above += bins[bin--];
            chosenBin = bin;
            chosenWanted = wanted - above;
          }
        }
        __syncthreads();
        least |= (unsigned long long)chosenBin << shift;
        wanted = chosenWanted;
        begun = bins[chosenBin];
        __syncthreads();
      }
    }
  }

  // The slots that stay, in order.
  __shared__ int warpCounts[WARPS];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int before = 0;
  for (int first = 0; first < length; first += THREADS) {
    int slot = first + threadIdx.x;
    int what = slot < length ? standing(positions[slot], isAll) : 0;
    bool stays = what == 2 || (what == 1 && pairOf(slot, positions[slot]) >= least);
    unsigned ballot = __ballot_sync(WHOLE_WARP, stays);
    if (lane == 0) warpCounts[warp] = __popc(ballot);
    __syncthreads();
    int at = before + __popc(ballot & ((1u << lane) - 1));
    for (int w = 0; w < warp; w++) at += warpCounts[w];
    if (stays) kept[at] = slot;
    for (int w = 0; w < WARPS; w++) before += warpCounts[w];
    __syncthreads();
  }
  if (threadIdx.x == 0) counts[head] = before;
}
