// Turns the lookups of a batch into sort keys: the global row that each lookup reads, and the pooled row that it
// belongs to.
//
//   keys[l] = firstRows[t] + ids[l],  bags[l] = b * T + t        for each lookup l of bag (t, b)
//
// ids are table-major: without BAGS bag (t, b) is the lookup l = t * size + b, with BAGS it is
// ids[offsets[t * size + b] ... offsets[t * size + b + 1]).
//
// An id outside [0, rows[t]), or with OWNERS an id whose owner is not t, gets key 0 and raises bad[0] to ~l; a bag that
// does not lie within [0, lookups] from start to end is left out and raises bad[1] to ~(t * size + b). Both begin as 0
// and so name the first, as a maximum of integers does not depend on the order of threads.
//
// Launch: THREADS a block, (ceil(size / THREADS), T) blocks.
// Defined in front: THREADS, and BAGS, OWNERS where they hold.

__device__ __forceinline__ void writeKey(int l, int t, unsigned bag, const int* ids, const unsigned* firstRows,
                                         const unsigned* rows, const unsigned short* owners, unsigned* keys,
                                         unsigned* bags, unsigned* bad) {
  const unsigned id = ids[l];
  bool isGood = id < rows[t];
#ifdef OWNERS
  isGood = isGood && owners[id] == t;
#endif
  if (!isGood) atomicMax(bad, ~(unsigned)l);
  keys[l] = isGood ? firstRows[t] + id : 0;
  bags[l] = bag;
}

extern "C" __global__ void __launch_bounds__(THREADS)
lookupKeys(const int* __restrict__ ids, const int* __restrict__ offsets, const unsigned* __restrict__ firstRows,
           const unsigned* __restrict__ rows, const unsigned short* __restrict__ owners, unsigned* __restrict__ keys,
           unsigned* __restrict__ bags, unsigned* __restrict__ bad, int size, int lookups) {
  const int b = blockIdx.x * THREADS + threadIdx.x;
  const int t = blockIdx.y;
  if (b >= size) return;
  const unsigned bag = (unsigned)b * gridDim.y + t;
  const int at = t * size + b;
#ifdef BAGS
  const int start = offsets[at], end = offsets[at + 1];
  if (start < 0 || end < start || end > lookups) {
    atomicMax(bad + 1, ~(unsigned)at);
    return;
  }
  for (int l = start; l < end; l++) writeKey(l, t, bag, ids, firstRows, rows, owners, keys, bags, bad);
#else
  writeKey(at, t, bag, ids, firstRows, rows, owners, keys, bags, bad);
#endif
}
