// Begins a decode step: each row's seat has seen one token more.
//
//   rowSeats [rows], −1 for an idle row; records: Seat [seats]; positions [rows] receives the place of the row's token
//   in learned embeddings: tokens seen before it, or where entries are numbered anew, those that the first layer holds.
//
// Launch: ⌈rows / THREADS⌉ blocks. Macros: ELEMENT, D, KV_HEADS, GROUP, THREADS.

#include "kvSlab.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
kvAdvance(const int* rowSeats, Seat* records, const uint4* slabs, const Settings* settings, int* positions, int rows) {
  int row = blockIdx.x * THREADS + threadIdx.x;
  int seat = row < rows ? rowSeats[row] : -1;
  if (seat < 0) {
    if (row < rows) positions[row] = 0;
    return;
  }
  positions[row] = settings[seat].renumbered ? slabOf(slabs, seat).lengths()[0] : records[seat].tokensSeen;
  records[seat].tokensSeen++;
  records[seat].step++;
}
