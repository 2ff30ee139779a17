// The dot interaction and its gradient, as dotInteraction.cu, for samples too large for shared memory.
//
//   x, dx [batch, features, dim], y, g [batch, pairs] float32.
//   Launch: a thread an element of the result, 256 a block; its sum runs along memory.
// Deterministic.

// Row of element `pair` of the lower triangle: the largest i with i(i − 1)/2 ≤ pair.
__device__ __forceinline__ int rowOfPair(int pair) {
  int i = (int)((1.f + sqrtf(1.f + 8.f * (float)pair)) / 2.f);
  while (i * (i - 1) / 2 > pair) i--;
  while ((i + 1) * i / 2 <= pair) i++;
  return i;
}

extern "C" __global__ void dotInteractionLarge(const float* x, float* y, int features, int dim, long long size) {
  long long at = blockIdx.x * 256LL + threadIdx.x;
  if (at >= size) return;
  int pairs = features * (features - 1) / 2;
  int pair = (int)(at % pairs), i = rowOfPair(pair), j = pair - i * (i - 1) / 2;
  const float* rows = x + at / pairs * features * dim;
  float sum = 0.f;
  for (int d = 0; d < dim; d++) sum += rows[(long long)i * dim + d] * rows[(long long)j * dim + d];
  y[at] = sum;
}

extern "C" __global__ void dotInteractionLargeGradient(const float* x, const float* g, float* dx, int features, int dim, long long size) {
  long long at = blockIdx.x * 256LL + threadIdx.x;
  if (at >= size) return;
  int d = (int)(at % dim), i = (int)(at / dim % features);
  long long sample = at / dim / features;
  const float* rows = x + sample * features * dim;
  const float* weights = g + sample * (features * (features - 1) / 2);
  float sum = 0.f;
  for (int j = 0; j < features; j++) {
    int low = i < j ? i : j, high = i < j ? j : i;
    if (i != j) sum += weights[high * (high - 1) / 2 + low] * rows[(long long)j * dim + d];
  }
  dx[at] = sum;
}
