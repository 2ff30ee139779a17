// Drops what the host chose, in one layer: a slot of each KV head of a sequence, or −1 for none.
//
// Launch: KV_HEADS blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS.

#include "kvEvict.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
kvDrop(const uint4* slabs, const Settings* settings, const int* slots, int sequence) {
  const int head = blockIdx.x, slot = slots[head];
  if (slot < 0) return;
  const Slab slab = slabOf(slabs, sequence);
  const int length = slab.lengths()[head];
  __syncthreads();  // before the length changes
  dropSlot(slab, head, slot, length, settings[sequence].renumbered);
  if (threadIdx.x == 0) slab.lengths()[head] = length - 1;
}
