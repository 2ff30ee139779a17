// What the gradient of attention needs of each query row: rows[i] = (lse · log₂e, Σ_d out · dout), float32 pairs.
//
//   out, dout [count, D]; lse [count].  Launch: ⌈count / 16⌉ blocks of 256 threads: 16 lanes a row.
// Macros: D (a multiple of 16); HALF or not.

#include "tensorCore.cuh"

extern "C" __global__ void attentionDelta(const element* out, const element* dout, const float* lse, float2* rows, long long count) {
  long long row = (long long)blockIdx.x * 16 + threadIdx.x / 16;
  int lane = threadIdx.x % 16;
  float sum = 0.f;
  for (int i = lane; row < count && i < D / 8; i += 16) {
    uint4 a = ((const uint4*)(out + row * D))[i], b = ((const uint4*)(dout + row * D))[i];
    word x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int j = 0; j < 4; ++j) sum += unpack_low(x[j]) * unpack_low(y[j]) + unpack_high(x[j]) * unpack_high(y[j]);
  }
#pragma unroll
  for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffff, sum, step);
  if (lane == 0 && row < count) rows[row] = make_float2(lse[row] * 1.4426950408889634f, sum);
}
