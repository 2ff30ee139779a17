// Copies what a text has cached in a layer to a region, in order of position: to make room, or (isRead) as the first
// entries of a region that new tokens follow. For these, keys that are cached unturned are turned by their ranks and go
// to `unrotated` as they are. With isReset, scores that belong to one read alone begin at zero.
//
//   region: a slab of `capacity` entries. unrotated [KV_HEADS, capacity, D] or unread.
//
// Launch: ⌈capacity of the text's slab / SLOTS⌉ × KV_HEADS blocks of THREADS.
// Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS, SLOTS; ROTARY, INTERLEAVED, RENUMBERED.

#include "kvSlab.cuh"
#include "kvLogits.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
kvLift(const uint4* slabs, const Settings* settingsOfSequences, int sequence, char* base, int capacity, ELEMENT* unrotated, const float* turns, int isRead, int isReset) {
  const Settings& settings = settingsOfSequences[sequence];
  const Slab from = slabOf(slabs, sequence), to = {base, capacity};
  const int head = blockIdx.y, length = from.lengths()[head], first = blockIdx.x * SLOTS, last = min(length, first + SLOTS);
  const int* positions = from.positions(head);
  __shared__ int ranks[SLOTS];
  if (blockIdx.x == 0 && threadIdx.x == 0) to.lengths()[head] = length;
  if (first >= length) return;
  const bool isZeroed = isReset && (settings.scoring == SCORE_LAST || settings.scoring == SCORE_WINDOW);
  for (int slot = first + threadIdx.x; slot < last; slot += THREADS) {
    int own = positions[slot], rank = 0;
    for (int other = 0; other < length; other++) rank += positions[other] < own;
    ranks[slot - first] = rank;
    to.positions(head)[rank] = own;
    to.scores(head)[rank] = isZeroed ? 0.f : from.scores(head)[slot];
    to.ranks(head)[rank] = rank;
  }
  __syncthreads();
#if defined(RENUMBERED) && defined(ROTARY)
  if (isRead && settings.renumbered) {
    __shared__ float key[D];
    for (int slot = first; slot < last; slot++) {
      int rank = ranks[slot - first];
      __syncthreads();
      for (int e = threadIdx.x; e < D; e += THREADS) key[e] = toFloat(from.keys(head)[(long long)slot * D + e]);
      __syncthreads();
      for (int e = threadIdx.x; e < D; e += THREADS) to.keys(head)[(long long)rank * D + e] = fromFloat<ELEMENT>(turned(turns + (long long)rank * ROTARY_WIDTH, e, key));
      copyRow(unrotated + ((long long)head * capacity + rank) * D, from.keys(head) + (long long)slot * D);
      copyRow(to.values(head) + (long long)rank * D, from.values(head) + (long long)slot * D);
    }
    return;
  }
#endif
  constexpr int Vectors = D / VEC;
  for (int i = threadIdx.x; i < (last - first) * Vectors; i += THREADS) {
    long long source = (long long)(first + i / Vectors) * D, target = (long long)ranks[i / Vectors] * D;
    ((Vector*)(to.keys(head) + target))[i % Vectors] = ((const Vector*)(from.keys(head) + source))[i % Vectors];
    ((Vector*)(to.values(head) + target))[i % Vectors] = ((const Vector*)(from.values(head) + source))[i % Vectors];
  }
}
