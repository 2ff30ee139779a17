// Copies the caches of all layers from one seat to another, whose slabs have room for as many entries.
//
// Launch: any number × KV_HEADS × layers blocks of THREADS. Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS.

#include "kvSlab.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
kvFork(const uint4* slabs, int seats, int fromSeat, int toSeat) {
  slabs += (long long)blockIdx.z * seats;
  const Slab from = slabOf(slabs, fromSeat), to = slabOf(slabs, toSeat);
  const int head = blockIdx.y, length = from.lengths()[head];
  const int first = blockIdx.x * THREADS + threadIdx.x, stride = gridDim.x * THREADS;
  const long long vectors = (long long)length * (D / VEC);
  const Vector *fromKeys = (const Vector*)from.keys(head), *fromValues = (const Vector*)from.values(head);
  Vector *toKeys = (Vector*)to.keys(head), *toValues = (Vector*)to.values(head);
#pragma unroll 4
  for (long long i = first; i < vectors; i += stride) {
    toKeys[i] = fromKeys[i];
    toValues[i] = fromValues[i];
  }
  for (int slot = first; slot < length; slot += stride) {
    to.positions(head)[slot] = from.positions(head)[slot];
    to.scores(head)[slot] = from.scores(head)[slot];
    to.ranks(head)[slot] = from.ranks(head)[slot];
  }
  if (first == 0) to.lengths()[head] = length;
}
