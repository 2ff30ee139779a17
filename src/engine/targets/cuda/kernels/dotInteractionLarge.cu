// The dot interaction and its gradient, as dotInteraction.cu, for samples too large for shared memory.
//
//   x, dx [batch, dim], rows, drows [batch, features − 1, dim], y, g [batch, dim + pairs] float32; without x (x and dx
//   null) rows are [batch, features, dim] and y is [batch, pairs].
//   Launch: a thread an element of the result, 256 a block; its sum runs along memory.
// Deterministic.

// Row of element `pair` of the lower triangle: the largest i with i(i − 1)/2 ≤ pair.
__device__ __forceinline__ int rowOfPair(int pair) {
  int i = (int)((1.f + sqrtf(1.f + 8.f * (float)pair)) / 2.f);
  while (i * (i - 1) / 2 > pair) i--;
  while ((i + 1) * i / 2 <= pair) i++;
  return i;
}

__device__ __forceinline__ const float* featureOf(const float* x, const float* rows, long long sample, int i, int features, int dim) {
  if (!x) return rows + (sample * features + i) * dim;
  return i == 0 ? x + sample * dim : rows + (sample * (features - 1) + i - 1) * dim;
}

extern "C" __global__ void dotInteractionLarge(const float* x, const float* rows, float* y, int features, int dim, long long size) {
  long long at = blockIdx.x * 256LL + threadIdx.x;
  if (at >= size) return;
  int direct = x ? dim : 0, width = direct + features * (features - 1) / 2;
  long long sample = at / width;
  int pair = (int)(at % width) - direct;
  if (pair < 0) {
    y[at] = x[sample * dim + pair + dim];
    return;
  }
  int i = rowOfPair(pair), j = pair - i * (i - 1) / 2;
  const float* ofI = featureOf(x, rows, sample, i, features, dim);
  const float* ofJ = featureOf(x, rows, sample, j, features, dim);
  float sum = 0.f;
  for (int d = 0; d < dim; d++) sum += ofI[d] * ofJ[d];
  y[at] = sum;
}

extern "C" __global__ void dotInteractionLargeGradient(const float* x, const float* rows, const float* g, float* dx, float* drows, int features, int dim, long long size) {
  long long at = blockIdx.x * 256LL + threadIdx.x;
  if (at >= size) return;
  int d = (int)(at % dim), i = (int)(at / dim % features);
  long long sample = at / dim / features;
  int direct = x ? dim : 0;
  const float* ofSample = g + sample * (direct + features * (features - 1) / 2);
  const float* weights = ofSample + direct;
  float sum = 0.f;
  for (int j = 0; j < features; j++) {
    int low = i < j ? i : j, high = i < j ? j : i;
    if (i != j) sum += weights[high * (high - 1) / 2 + low] * featureOf(x, rows, sample, j, features, dim)[d];
  }
  if (!x) drows[at] = sum;
  else if (i == 0) dx[sample * dim + d] = sum + ofSample[d];
  else drows[(sample * (features - 1) + i - 1) * dim + d] = sum;
}
