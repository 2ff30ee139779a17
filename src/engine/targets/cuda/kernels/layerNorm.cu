// y = (x − mean) / √(variance + epsilon) · weight + bias along rows.
//
//   x, y [rows, WIDTH], weight, bias [WIDTH] of ELEMENT.  Launch and macros as softmax.cu.
// Deterministic. The variance is summed from centred elements, in a second pass: nothing cancels.

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
layerNorm(const ELEMENT* x, const ELEMENT* weight, const ELEMENT* bias, ELEMENT* y, int rows, float epsilon) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;
  long long start = (long long)(live ? row : rows - 1) * WIDTH;
  Row<ELEMENT, WIDTH, THREADS, VECTOR, HELD> values(x + start);

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

  values.each([&](float (&v)[VECTOR], int column, int) {
    float w[VECTOR], b[VECTOR];
    load(w, weight + column);
    load(b, bias + column);
    for (int k = 0; k < VECTOR; k++) v[k] = (v[k] - mean) * scale * w[k] + b[k];
    if (live) store(y + start + column, v);
  });
}
