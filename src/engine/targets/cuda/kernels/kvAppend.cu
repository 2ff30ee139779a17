// Appends the tokens of a prompt or a turn to a region in one layer, and turns their queries and keys.
//
//   q [rows, HEADS · D], k, v [rows, KV_HEADS · D], each with its own stride between rows; queries [HEADS, stride, D].
//   The region's lengths stay as they are: whoever comes next knows the rows. Where entries are numbered anew, a token's
//   place is behind the entries that its head has, and the keys as they are cached go to `unrotated` [KV_HEADS, capacity, D].
//
// Launch: a block a row of THREADS threads, a warp a head at a time.
// Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS; ROTARY, INTERLEAVED, RENUMBERED.

#include "kvSlab.cuh"
#include "kvNoise.cuh"
#include "kvLogits.cuh"

#define WARPS (THREADS / 32)

extern "C" __global__ void __launch_bounds__(THREADS)
kvAppend(const Sequence* records, const Settings* settingsOfSequences, int sequence, const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, int qStride, int kStride, int vStride,
         char* base, int capacity, ELEMENT* queries, int queryStride, ELEMENT* unrotated, const float* turns, int layer) {
  const Settings& settings = settingsOfSequences[sequence];
  const Slab region = {base, capacity};
  const int row = blockIdx.x, rows = gridDim.x, position = records[sequence].tokensSeen - rows + row;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#ifdef RENUMBERED
  const bool renumbered = settings.renumbered;
#else
  const bool renumbered = false;
#endif
  __shared__ float heads[WARPS][D];
  float* own = heads[warp];
  for (int job = warp; job < HEADS + KV_HEADS; job += WARPS) {
    bool isQuery = job < HEADS;
    int head = isQuery ? job : job - HEADS, kvHead = isQuery ? head / GROUP : head;
    int slot = region.lengths()[kvHead] + row;
    const ELEMENT* from = isQuery ? q + (long long)row * qStride + head * D : k + (long long)row * kStride + head * D;
    [[maybe_unused]] const float* angles = turns + (long long)(renumbered ? slot : position) * ROTARY_WIDTH;
    for (int e = lane; e < D; e += 32) own[e] = toFloat(from[e]);
    __syncwarp();
    ELEMENT* to = isQuery ? queries + ((long long)head * queryStride + row) * D : region.keys(head) + (long long)slot * D;
    for (int e = lane; e < D; e += 32) to[e] = fromFloat<ELEMENT>(turned(angles, e, own));
    if (!isQuery) {
      const ELEMENT* value = v + (long long)row * vStride + head * D;
      for (int e = lane; e < D; e += 32) region.values(head)[(long long)slot * D + e] = value[e];
#ifdef ROTARY
      if (renumbered) {
        for (int e = lane; e < D; e += 32) unrotated[((long long)head * capacity + slot) * D + e] = from[e];
      }
#endif
      float score[1] = {0.f};
      if (settings.scoring == SCORE_KEY_NORM) {
        for (int e = lane; e < D; e += 32) score[0] += own[e] * own[e];
        reduceLanes<Sum, 32>(score);
        score[0] = -sqrtf(score[0]);
      } else if (settings.scoring == SCORE_RANDOM) {
        score[0] = entryUniform(records[sequence], layer, head, position);
      }
      if (lane == 0) {
        region.positions(head)[slot] = position;
        region.scores(head)[slot] = score[0];
        region.ranks(head)[slot] = slot;
      }
    }
    __syncwarp();
  }
}
