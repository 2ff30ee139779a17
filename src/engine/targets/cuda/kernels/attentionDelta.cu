// What the gradient of attention needs of each query row: rows[i] = (lse · log₂e, Σ_d out · dout), float32 pairs.
//
//   out, dout [rows, D]; lse [rows].  Launch: ⌈rows / WARPS⌉ blocks of 32 · WARPS threads, a warp a row.
// Macros: D, WARPS; HALF or not.

#include "attentionTiles.cuh"

extern "C" __global__ void attentionDelta(const element* out, const element* dout, const float* lse, float2* rows, long long count) {
  long long row = (long long)blockIdx.x * WARPS + threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  if (row >= count) return;
  const word* a = (const word*)(out + row * D);
  const word* b = (const word*)(dout + row * D);
  float sum = 0.f;
#pragma unroll
  for (int i = lane; i < D / 2; i += 32) {
    word x = a[i], y = b[i];
    sum += unpack_low(x) * unpack_low(y) + unpack_high(x) * unpack_high(y);
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffff, sum, step);
  if (lane == 0) rows[row] = make_float2(lse[row] * LOG2E, sum);
}
