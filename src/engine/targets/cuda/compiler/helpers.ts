/** @file Device functions that generated kernels call. A kernel carries those it uses, so that it stands alone. */

const helpers = {
  maximum: `static __device__ __forceinline__ float maximum(float a, float b) { return a > b || a != a ? a : b; }
static __device__ __forceinline__ int maximum(int a, int b) { return a > b ? a : b; }`,
  minimum: `static __device__ __forceinline__ float minimum(float a, float b) { return a < b || a != a ? a : b; }
static __device__ __forceinline__ int minimum(int a, int b) { return a < b ? a : b; }`,
  sign: `static __device__ __forceinline__ float sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }
static __device__ __forceinline__ int sign(int x) { return (x > 0) - (x < 0); }`,
  // e^x is taken of x ≤ 0 only, so that nothing overflows.
  sigmoid: `static __device__ __forceinline__ float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}`,
  softplus: `static __device__ __forceinline__ float softplus(float x) {
  return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}`,
  relu: `static __device__ __forceinline__ float relu(float x) { return x < 0.0f ? 0.0f : x; }`,
  // Towards zero; x / 0 = 0 and −2³¹ / −1 = −2³¹, as when NumPy's quotient is stored in 32 bits.
  divide: `static __device__ __forceinline__ int divide(int a, int b) {
  return b == 0 ? 0 : b == -1 ? (int)(0u - (unsigned)a) : a / b;
}`,
  clamp: `static __device__ __forceinline__ int clamp(int x, int last) { return x < 0 ? 0 : x > last ? last : x; }`,
  // Philox4x32-10 (Salmon et al., SC'11): block (counter, 0, stream, step) under the key (seed low, seed high).
  philox: `static __device__ __forceinline__ uint4 philox(unsigned counter, int low, int high, int stream, int step) {
  unsigned c0 = counter, c1 = 0, c2 = (unsigned)stream, c3 = (unsigned)step, k0 = (unsigned)low, k1 = (unsigned)high;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned long long a = 0xd2511f53ull * c0, b = 0xcd9e8d57ull * c2;
    c0 = (unsigned)(b >> 32) ^ c1 ^ k0;
    c1 = (unsigned)b;
    c2 = (unsigned)(a >> 32) ^ c3 ^ k1;
    c3 = (unsigned)a;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return make_uint4(c0, c1, c2, c3);
}
static __device__ __forceinline__ float uniform(unsigned word) { return (float)(word >> 8) * 5.9604644775390625e-8f; }
static __device__ __forceinline__ unsigned word_of(uint4 block, int i) {
  return i == 0 ? block.x : i == 1 ? block.y : i == 2 ? block.z : block.w;
}`,
  float16: `static __device__ __forceinline__ float from_float16(unsigned short x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
  return y;
}
static __device__ __forceinline__ unsigned short to_float16(float x) {
  unsigned short y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
  return y;
}`,
  bfloat16: `static __device__ __forceinline__ float from_bfloat16(unsigned short x) { return __uint_as_float((unsigned)x << 16); }
static __device__ __forceinline__ unsigned short to_bfloat16(float x) {
  unsigned short y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y) : "f"(x));
  return y;
}`,
} as const;

/** Name of a helper. */
export type HelperName = keyof typeof helpers;

/** The text of some helpers, in a fixed order. */
export function helperText(names: ReadonlySet<HelperName>): string {
  return (Object.keys(helpers) as HelperName[])
    .filter((name) => names.has(name))
    .map((name) => `${helpers[name]}\n`)
    .join("");
}
