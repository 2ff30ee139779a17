// Brings the scores of a read into the form that a policy decides by.
//
//   POOL    votes (scores of entries before the voters) become their averages over `pool` neighbours, zeros beyond the
//           ends; the voters' own scores become zero. Entries are in order of position. Launch: KV_HEADS blocks.
//   MEAN    every head's score becomes the mean over heads. Launch: ⌈entries / THREADS⌉ blocks.
//   LAYERS  votes [KV_HEADS, stride] become the sums of the scores over all layers, whose slabs hold the same tokens.
//           Launch: ⌈entries / THREADS⌉ × KV_HEADS blocks.
//
// Of POOL and MEAN, `rows` tokens follow those that the region's lengths count. Macros: one of these; ELEMENT, D, KV_HEADS, GROUP, THREADS.

#include "kvSlab.cuh"

#ifdef POOL
extern "C" __global__ void __launch_bounds__(THREADS)
kvPool(const Settings* settingsOfSequences, int sequence, char* base, int capacity, int rows, float* votes, int stride) {
  const Settings& settings = settingsOfSequences[sequence];
  const Slab region = {base, capacity};
  const int head = blockIdx.x, length = region.lengths()[head] + rows, reach = settings.pool / 2;
  const int* positions = region.positions(head);
  float* scores = region.scores(head);
  votes += (long long)head * stride;
  for (int slot = threadIdx.x; slot < length; slot += THREADS) votes[slot] = positions[slot] < settings.scoreFrom ? scores[slot] : 0.f;
  __syncthreads();
  for (int slot = threadIdx.x; slot < length; slot += THREADS) {
    float sum = 0.f;
    if (positions[slot] < settings.scoreFrom) {
      for (int near = max(0, slot - reach); near <= min(length - 1, slot + reach); near++) sum += votes[near];
    }
    scores[slot] = sum / settings.pool;
  }
}
#endif

#ifdef MEAN
extern "C" __global__ void __launch_bounds__(THREADS)
kvMeanHeads(char* base, int capacity, int rows) {
  const Slab region = {base, capacity};
  int slot = blockIdx.x * THREADS + threadIdx.x;
  if (slot >= region.lengths()[0] + rows) return;
  float sum = 0.f;
  for (int head = 0; head < KV_HEADS; head++) sum += region.scores(head)[slot];
  for (int head = 0; head < KV_HEADS; head++) region.scores(head)[slot] = sum / KV_HEADS;
}
#endif

#ifdef LAYERS
extern "C" __global__ void __launch_bounds__(THREADS)
kvSumLayers(const uint4* slabs, int layers, int sequences, int sequence, float* votes, int stride) {
  int slot = blockIdx.x * THREADS + threadIdx.x, head = blockIdx.y;
  if (slot >= slabOf(slabs, sequence).lengths()[head]) return;
  float sum = 0.f;
  for (int layer = 0; layer < layers; layer++) sum += slabOf(slabs + (long long)layer * sequences, sequence).scores(head)[slot];
  votes[(long long)head * stride + slot] = sum;
}
#endif
