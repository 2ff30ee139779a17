// Begins a decode step: each row's sequence has seen one token more.
//
//   rowSequences [rows], −1 for an idle row; records: Sequence [sequences]; positions [rows] receives the place of the row's token
//   in learned embeddings: tokens seen before it, or where entries are numbered anew, those that the first layer holds.
//
// Launch: ⌈rows / THREADS⌉ blocks. Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS.

#include "kvSlab.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
kvAdvance(const int* rowSequences, Sequence* records, const uint4* slabs, const Settings* settings, int* positions, int rows) {
  int row = blockIdx.x * THREADS + threadIdx.x;
  int sequence = row < rows ? rowSequences[row] : -1;
  if (sequence < 0) {
    if (row < rows) positions[row] = 0;
    return;
  }
  positions[row] = settings[sequence].renumbered ? slabOf(slabs, sequence).lengths()[0] : records[sequence].tokensSeen;
  records[sequence].tokensSeen++;
  records[sequence].step++;
}
