// Eviction at the end of a decode step where all layers of a text decide together, by the sum of their scores. They hold
// the same token in the same slot of a KV head.
//
//   slabs, settings: tables [LAYERS, sequences]; sums [rows, KV_HEADS, capacity] scratch.
//
// Launch: KV_HEADS × rows blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, LAYERS, THREADS.

#include "kvEvict.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
kvSharedEvict(const int* rowSequences, const Sequence* records, const uint4* slabs, const Settings* settingsOfSequences, float* sums, int sequences, int capacity, int window) {
  const int sequence = rowSequences[blockIdx.y], head = blockIdx.x;
  if (sequence < 0) return;
  const Settings& settings = settingsOfSequences[sequence];
  if (settings.decides != DECIDES_ALL_LAYERS) return;
  const int tokensSeen = records[sequence].tokensSeen;
  const Slab own = slabOf(slabs, sequence);
  int length = own.lengths()[head];
  __syncthreads();  // before the first layer's length changes
  sums += ((long long)blockIdx.y * KV_HEADS + head) * capacity;

  auto dropAll = [&](int slot) {
    for (int layer = 0; layer < LAYERS; layer++) dropSlot(slabOf(slabs + (long long)layer * sequences, sequence), head, slot, length, settings.renumbered);
    if (threadIdx.x == 0 && slot != length - 1) sums[slot] = sums[length - 1];
    __syncthreads();
    length--;
  };
  if (window > 0) {
    for (;;) {
      int slot = unseenSlot(own.positions(head), length, tokensSeen - window + 1);
      if (slot < 0) break;
      dropAll(slot);
    }
  }
  if (length - settings.budget >= settings.evictEvery) {
    for (int slot = threadIdx.x; slot < length; slot += THREADS) {
      float sum = 0.f;
#pragma unroll 8
      for (int layer = 0; layer < LAYERS; layer++) sum += slabOf(slabs + (long long)layer * sequences, sequence).scores(head)[slot];
      sums[slot] = sum;
    }
    __syncthreads();
    while (length > settings.budget) dropAll(slotToEvict(own.positions(head), sums, length, settings, tokensSeen));
  }
  for (int layer = threadIdx.x; layer < LAYERS; layer += THREADS) slabOf(slabs + (long long)layer * sequences, sequence).lengths()[head] = length;
}
