// Eviction in decode, by one block of THREADS threads: who goes by a policy's rule, and its removal. The last live
// entry takes the place of the one that goes, so that slots stay a run; they are in no order.

#include "kvSlab.cuh"

// The order in which entries go: the oldest first, or that of the lowest score, of equals the newest. No two entries have
// one position, so keys are distinct.
__device__ __forceinline__ unsigned long long evictionKey(int position, float score, bool byAge) {
  return byAge ? (unsigned)position : (unsigned long long)ordered(score) << 32 | (0xfffffffeu - (unsigned)position);
}

// The slot of the least key over the block, of a key and its slot each; −1 where all are ~0.
__device__ __forceinline__ int slotOfLeast(unsigned long long key, int own) {
  __shared__ int found;
  unsigned long long least = leastOfBlock(key);
  if (least == ~0ull) return -1;
  if (key == least) found = own;
  __syncthreads();
  int slot = found;
  __syncthreads();
  return slot;
}

// The first live slot to go of those with a position in [from, to), or −1.
__device__ __forceinline__ int worstSlot(const int* positions, const float* scores, int length, bool byAge, int from, int to) {
  unsigned long long worst = ~0ull;
  int own = -1;
#pragma unroll 8
  for (int slot = threadIdx.x; slot < length; slot += THREADS) {
    int position = positions[slot];
    unsigned long long key = evictionKey(position, scores[slot], byAge);
    if (position >= from && position < to && key < worst) {
      worst = key;
      own = slot;
    }
  }
  return slotOfLeast(worst, own);
}

// The slot that goes: the worst of those in question, or of all where none is.
__device__ __forceinline__ int slotToEvict(const int* positions, const float* scores, int length, const Settings& settings, int tokensSeen) {
  int to = tokensSeen - settings.recent;
  int slot = worstSlot(positions, scores, length, settings.evictByAge, settings.hasGap ? to - 1 : settings.evictFrom, to);
  return slot >= 0 ? slot : worstSlot(positions, scores, length, settings.evictByAge, 0, tokensSeen);
}

// The last slot whose position no later query sees, or −1.
__device__ __forceinline__ int unseenSlot(const int* positions, int length, int unseenBelow) {
  unsigned long long last = ~0ull;
  for (int slot = threadIdx.x; slot < length; slot += THREADS) {
    if (positions[slot] < unseenBelow) last = (unsigned)(length - 1 - slot);
  }
  unsigned long long least = leastOfBlock(last);
  return least == ~0ull ? -1 : length - 1 - (int)least;
}

// Removes a slot of a head with so many live entries.
__device__ __forceinline__ void dropSlot(Slab slab, int head, int slot, int length, bool renumbered) {
  int last = length - 1;
  int *positions = slab.positions(head), *ranks = slab.ranks(head);
  if (renumbered) {
    int gone = ranks[slot];
    __syncthreads();
    for (int at = threadIdx.x; at < length; at += THREADS) {
      if (ranks[at] > gone) ranks[at]--;
    }
    __syncthreads();
  }
  if (slot != last) {
    Vector *keys = (Vector*)slab.keys(head), *values = (Vector*)slab.values(head);
    const long long to = (long long)slot * (D / VEC), from = (long long)last * (D / VEC);
    for (int i = threadIdx.x; i < D / VEC; i += THREADS) {
      Vector key = keys[from + i], value = values[from + i];
      keys[to + i] = key;
      values[to + i] = value;
    }
    if (threadIdx.x == THREADS - 1) {
      float* scores = slab.scores(head);
      int position = positions[last], rank = renumbered ? ranks[last] : 0;
      float score = scores[last];
      positions[slot] = position;
      scores[slot] = score;
      if (renumbered) ranks[slot] = rank;
    }
  }
  __syncthreads();
}

// Drops what a step leaves over in heads that decide alike, by the scores of the first; returns what stays.
__device__ __forceinline__ int evictHeads(Slab slab, int first, int count, int length, const Settings& settings, int tokensSeen, int window) {
  const int* positions = slab.positions(first);
  const float* scores = slab.scores(first);
  if (window > 0) {
    for (;;) {
      int slot = unseenSlot(positions, length, tokensSeen - window + 1);
      if (slot < 0) break;
      for (int head = first; head < first + count; head++) dropSlot(slab, head, slot, length, settings.renumbered);
      length--;
    }
  }
  if (length - settings.budget < settings.evictEvery) return length;
  while (length > settings.budget) {
    int slot = slotToEvict(positions, scores, length, settings, tokensSeen);
    for (int head = first; head < first + count; head++) dropSlot(slab, head, slot, length, settings.renumbered);
    length--;
  }
  return length;
}
