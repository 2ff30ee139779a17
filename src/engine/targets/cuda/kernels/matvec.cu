// out[r, n] = f(Σ_k x[r, k] · w[n, k] + bias[n]) + residual[r, n] for few rows r: each element of w is read once.
//
//   x [ROWS, K], w [OUTPUTS, K] of ELEMENT; bias [OUTPUTS], residual and out [ROWS, OUTPUTS] of OUT; sums are float32.
//   With GATED, w is [2 · OUTPUTS, K] and out[r, n] = silu(gate) · up, where gate and up are the sums n and OUTPUTS + n.
//   Launch: ⌈OUTPUTS / 16⌉ blocks, ⌈OUTPUTS / 8⌉ with GATED, of WARPS · 32 threads.
//   Macros: ELEMENT and OUT (float, float16 or bfloat16); HALF for float16, WIDE for float; K (whole accesses of 16 bytes;
//   x and w are aligned to them); OUTPUTS; ROWS (1 … 16); WARPS; BIAS and RESIDUAL where there is one; ACTIVATION:
//   0 none, 1 ReLU, 2 GELU in its tanh form, 3 GELU.
//
// A block takes 16 rows of w, its warps different stretches of k; their sums are added in order. Within a warp, lane
// 4g + t reads 16 bytes of rows g and g + 8 at a time. For 16-bit elements the sums are tensor-core products of 16 rows
// of w with 8 rows of x, whose idle columns cost nothing while memory is what limits; as the order of k within a sum is
// free, a lane's 16 bytes serve as its fragments as they are.
// Deterministic; a row's result does not depend on the other rows, nor on how many there are.
#ifndef WIDE
#include "tensorCore.cuh"
#endif

#define PER_ACCESS (16 / (int)sizeof(ELEMENT))  // elements
#define ACCESSES (K / PER_ACCESS)               // of a row
#define UNROLL 4                                // accesses of a row that a lane has under way
#define STEPS ((ACCESSES + 4 * UNROLL * WARPS - 1) / (4 * UNROLL * WARPS))
#define IS_WHOLE (ACCESSES % (4 * UNROLL * WARPS) == 0)

// Matrices are read once: they need not stay in the first cache, which holds x.
__device__ __forceinline__ uint4 stream(const uint4* from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(__cvta_generic_to_global(from)));
  return v;
}

__device__ __forceinline__ float activate(float v) {
#if ACTIVATION == 1
  return v < 0.f ? 0.f : v;  // NaN stays
#elif ACTIVATION == 2
  return 0.5f * v * (1.f + tanhf(0.7978845608028654f * (v + 0.044715f * v * v * v)));
#elif ACTIVATION == 3
  return 0.5f * v * (1.f + erff(0.7071067811865476f * v));
#else
  return v;
#endif
}

extern "C" __global__ void __launch_bounds__(WARPS * 32)
matvec(const ELEMENT* x, const ELEMENT* w, const OUT* bias, const OUT* residual, OUT* out) {
  constexpr int Tiles = (ROWS + 7) / 8;
  __shared__ float sums[WARPS][Tiles * 8][17];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#ifdef GATED
  const int first = blockIdx.x * 8;
  const int rowA = min(first + g, OUTPUTS - 1), rowB = OUTPUTS + rowA;
#else
  const int first = blockIdx.x * 16;
  const int rowA = min(first + g, OUTPUTS - 1), rowB = min(first + g + 8, OUTPUTS - 1);
#endif
  const uint4* wA = (const uint4*)(w + (long long)rowA * K);
  const uint4* wB = (const uint4*)(w + (long long)rowB * K);
  const uint4 zero = make_uint4(0, 0, 0, 0);

#ifdef WIDE
  float sumA[ROWS] = {}, sumB[ROWS] = {};
#else
  float d[Tiles][4] = {};
#endif
  // The next step's accesses are under way while this step's sums are taken.
  uint4 a[UNROLL], b[UNROLL], nextA[UNROLL], nextB[UNROLL];
  auto fetch = [&](uint4 (&toA)[UNROLL], uint4 (&toB)[UNROLL], int step) {
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      const int at = (step * WARPS + warp) * UNROLL * 4 + t + 4 * u;
      const bool inside = IS_WHOLE || at < ACCESSES;
      toA[u] = inside ? stream(wA + at) : zero;
      toB[u] = inside ? stream(wB + at) : zero;
    }
  };
  fetch(a, b, 0);
#pragma unroll 2
  for (int step = 0; step < STEPS; step++) {
    const int start = (step * WARPS + warp) * UNROLL * 4 + t;
    if (step + 1 < STEPS) fetch(nextA, nextB, step + 1);
#ifdef WIDE
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
      for (int u = 0; u < UNROLL; u++) {
        const int at = start + 4 * u;
        if (!IS_WHOLE && at >= ACCESSES) continue;
        const float4 v = ((const float4*)(x + r * K))[at];
        sumA[r] += v.x * __uint_as_float(a[u].x) + v.y * __uint_as_float(a[u].y) + v.z * __uint_as_float(a[u].z) + v.w * __uint_as_float(a[u].w);
        sumB[r] += v.x * __uint_as_float(b[u].x) + v.y * __uint_as_float(b[u].y) + v.z * __uint_as_float(b[u].z) + v.w * __uint_as_float(b[u].w);
      }
    }
#else
    uint4 v[UNROLL][Tiles];
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      const int at = start + 4 * u;
#pragma unroll
      for (int tile = 0; tile < Tiles; tile++) {
        const int r = tile * 8 + g;
        v[u][tile] = r < ROWS && (IS_WHOLE || at < ACCESSES) ? ((const uint4*)(x + r * K))[at] : zero;
      }
    }
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      const word low[4] = {a[u].x, b[u].x, a[u].y, b[u].y}, high[4] = {a[u].z, b[u].z, a[u].w, b[u].w};
#pragma unroll
      for (int tile = 0; tile < Tiles; tile++) {
        mma_m16n8k16(d[tile], low, v[u][tile].x, v[u][tile].y);
        mma_m16n8k16(d[tile], high, v[u][tile].z, v[u][tile].w);
      }
    }
#endif
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      a[u] = nextA[u];
      b[u] = nextB[u];
    }
  }

#ifdef WIDE
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    for (int apart = 1; apart < 4; apart *= 2) {
      sumA[r] += __shfl_xor_sync(WHOLE_WARP, sumA[r], apart);
      sumB[r] += __shfl_xor_sync(WHOLE_WARP, sumB[r], apart);
    }
    if (t == 0) {
      sums[warp][r][g] = sumA[r];
      sums[warp][r][g + 8] = sumB[r];
    }
  }
#else
#pragma unroll
  for (int tile = 0; tile < Tiles; tile++) {
#pragma unroll
    for (int i = 0; i < 4; i++) sums[warp][tile * 8 + 2 * t + i % 2][g + i / 2 * 8] = d[tile][i];
  }
#endif
  __syncthreads();

#ifdef GATED
  constexpr int Width = 8;
#else
  constexpr int Width = 16;
#endif
  for (int i = threadIdx.x; i < ROWS * Width; i += WARPS * 32) {
    const int r = i / Width, column = i % Width, n = first + column;
    if (n >= OUTPUTS) continue;
    float v = 0.f;
    for (int part = 0; part < WARPS; part++) v += sums[part][r][column];
#ifdef GATED
    float up = 0.f;
    for (int part = 0; part < WARPS; part++) up += sums[part][r][column + 8];
#ifdef BIAS
    v += toFloat(bias[n]);
    up += toFloat(bias[OUTPUTS + n]);
#endif
    v = v / (1.f + expf(-v)) * up;
#else
#ifdef BIAS
    v += toFloat(bias[n]);
#endif
    v = activate(v);
#endif
#ifdef RESIDUAL
    v += toFloat(residual[r * OUTPUTS + n]);
#endif
    out[r * OUTPUTS + n] = fromFloat<OUT>(v);
  }
}
