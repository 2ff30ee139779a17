// Fills rows with Philox4x32-10 uniform numbers (Salmon et al., SC'11) in [-bound, bound).
//
// Element e of row r takes word e % 4 of the block with counter (e / 4, r, stream, 1) and key (seedLow, seedHigh):
// bound * ((word >> 8) * 2^-23 - 1). The 1 keeps these blocks apart from those of a sequential generator.
//
// rows [count, STRIDE], STRIDE = D rounded up to whole float4s; the padding stays. Launch: THREADS a block, a thread a
// float4: ceil(count * STRIDE / 4 / THREADS) blocks. Defined in front: DIM (D), THREADS.

#define VECTORS ((DIM + 3) / 4)

__device__ __forceinline__ float uniform(unsigned word, float bound) {
  return __fmul_rn(__fsub_rn(__fmul_rn((float)(word >> 8), 1.1920928955078125e-7f), 1.f), bound);
}

extern "C" __global__ void __launch_bounds__(THREADS)
fillRows(float* __restrict__ rows, int count, int stream, int seedLow, int seedHigh, float bound) {
  const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
  const size_t row = at / VECTORS;
  if (row >= count) return;
  const int vector = at % VECTORS;
  unsigned c0 = vector, c1 = row, c2 = stream, c3 = 1;
  unsigned k0 = seedLow, k1 = seedHigh;
  #pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned high0 = __umulhi(0xd2511f53u, c0), low0 = 0xd2511f53u * c0;
    const unsigned high1 = __umulhi(0xcd9e8d57u, c2), low1 = 0xcd9e8d57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  float* out = rows + at * 4;
  const int e = vector * 4;
  out[0] = uniform(c0, bound);
  if (e + 1 < DIM) out[1] = uniform(c1, bound);
  if (e + 2 < DIM) out[2] = uniform(c2, bound);
  if (e + 3 < DIM) out[3] = uniform(c3, bound);
}
