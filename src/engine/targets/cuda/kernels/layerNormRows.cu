// The gradient of layer norm by its input for rows too wide for registers, and what its weight's gradient needs of
// each row: stats[row] = (mean, 1 / deviation). layerNormColumns.cu sums the gradients of weight and bias.
//
//   x, g, dx [rows, WIDTH], weight [WIDTH] of ELEMENT, stats [rows, 2] float32.  Launch: `rows` blocks of THREADS threads.
//   Macros: ELEMENT, WIDTH, THREADS (at least 64), VECTOR.
// Deterministic.

extern "C" __global__ void __launch_bounds__(THREADS)
layerNormRows(const ELEMENT* x, const ELEMENT* weight, const ELEMENT* g, ELEMENT* dx, float2* stats, float epsilon) {
  long long start = (long long)blockIdx.x * WIDTH;
  Row<ELEMENT, WIDTH, THREADS, VECTOR, false> values(x + start);

  float mean = 0.f;
  values.each([&](float (&v)[VECTOR], int, int) {
    for (int k = 0; k < VECTOR; k++) mean += v[k];
  });
  mean = reduceGroup<Sum, THREADS>(mean) / WIDTH;

  float variance = 0.f;
  values.each([&](float (&v)[VECTOR], int, int) {
    for (int k = 0; k < VECTOR; k++) variance += (v[k] - mean) * (v[k] - mean);
  });
  variance = reduceGroup<Sum, THREADS>(variance) / WIDTH;
  float scale = 1.f / sqrtf(variance + epsilon);

  float sums[2] = {0.f, 0.f};
  values.each([&](float (&v)[VECTOR], int column, int) {
    float u[VECTOR], w[VECTOR];
    load(u, g + start + column);
    load(w, weight + column);
    for (int k = 0; k < VECTOR; k++) {
      sums[0] += u[k] * w[k];
      sums[1] += u[k] * w[k] * (v[k] - mean) * scale;
    }
  });
  reduceGroup<Sum, THREADS>(sums);

  values.each([&](float (&v)[VECTOR], int column, int) {
    float u[VECTOR], w[VECTOR];
    load(u, g + start + column);
    load(w, weight + column);
    for (int k = 0; k < VECTOR; k++) {
      u[k] = (u[k] * w[k] - sums[0] / WIDTH - (v[k] - mean) * scale * (sums[1] / WIDTH)) * scale;
    }
    store(dx + start + column, u);
  });
  if (threadIdx.x == 0) stats[blockIdx.x] = make_float2(mean, scale);
}
