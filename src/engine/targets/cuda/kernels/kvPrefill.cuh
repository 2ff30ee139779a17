// The logits of a prompt or a turn over a region: what a row of new tokens sees of a KV head's entries, and what noise and
// temperature make of it for scores. Row i's token lies in slot `kept` + i of every head.
//
// Macros: ALIBI, RENUMBERED or not.

#include "kvSlab.cuh"
#include "kvNoise.cuh"
#include "kvLogits.cuh"

struct Reading {
  const int *positions, *places;
  int kept, rows, firstPosition, window;
  float tau;

  __device__ __forceinline__ int entries() const { return kept + rows; }

  // Whether a row sees a slot whose token is at a position.
  __device__ __forceinline__ bool sees(int row, int slot, int position) const {
    return row < rows && slot <= kept + row && (window == 0 || position > firstPosition + row - window);
  }
};

__device__ __forceinline__ Reading readingOf(const Slab& region, int kvHead, const Sequence& record, const Settings& settings, int rows, int window) {
#ifdef RENUMBERED
  const int* places = settings.renumbered ? region.ranks(kvHead) : region.positions(kvHead);
#else
  const int* places = region.positions(kvHead);
#endif
  return {region.positions(kvHead), places, region.lengths()[kvHead], rows, record.tokensSeen - rows, window, settings.temperature(record.step)};
}
