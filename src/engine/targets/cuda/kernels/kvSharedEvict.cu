// Eviction at the end of a decode step where all layers of a text decide together, by the sum of their scores. They hold
// the same token in the same slot of a KV head.
//
//   slabs, settings: tables [LAYERS, seats]; sums [rows, KV_HEADS, capacity] scratch.
//
// Launch: KV_HEADS × rows blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, LAYERS, THREADS.

#include "kvEvict.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
kvSharedEvict(const int* rowSeats, const Seat* records, const uint4* slabs, const Settings* settingsOfSeats, float* sums, int seats, int capacity, int window) {
  const int seat = rowSeats[blockIdx.y], head = blockIdx.x;
  if (seat < 0) return;
  const Settings& settings = settingsOfSeats[seat];
  if (settings.decides != DECIDES_ALL_LAYERS) return;
  const int tokensSeen = records[seat].tokensSeen;
  const Slab own = slabOf(slabs, seat);
  int length = own.lengths()[head];
  __syncthreads();  // before the first layer's length changes
  sums += ((long long)blockIdx.y * KV_HEADS + head) * capacity;

  auto dropAll = [&](int slot) {
    for (int layer = 0; layer < LAYERS; layer++) dropSlot(slabOf(slabs + (long long)layer * seats, seat), head, slot, length, settings.renumbered);
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
      for (int layer = 0; layer < LAYERS; layer++) sum += slabOf(slabs + (long long)layer * seats, seat).scores(head)[slot];
      sums[slot] = sum;
    }
    __syncthreads();
    while (length > settings.budget) dropAll(victimSlot(own.positions(head), sums, length, settings, tokensSeen));
  }
  for (int layer = threadIdx.x; layer < LAYERS; layer += THREADS) slabOf(slabs + (long long)layer * seats, seat).lengths()[head] = length;
}
