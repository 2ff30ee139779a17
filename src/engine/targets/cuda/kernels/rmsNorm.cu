// y = x / √(mean of x² + epsilon) · weight along rows.
//
//   x, y [rows, WIDTH], weight [WIDTH] of ELEMENT.  Launch and macros as softmax.cu.
// Deterministic.

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
rmsNorm(const ELEMENT* x, const ELEMENT* weight, ELEMENT* y, int rows, float epsilon) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;
  long long start = (long long)(live ? row : rows - 1) * WIDTH;
  Row<ELEMENT, WIDTH, THREADS, VECTOR, HELD> values(x + start);

  float squares = 0.f;
  values.each([&](float (&v)[VECTOR], int, int) {
    for (int k = 0; k < VECTOR; k++) squares += v[k] * v[k];
  });
  float scale = 1.f / sqrtf(reduceGroup<Sum, THREADS>(squares) / WIDTH + epsilon);

  values.each([&](float (&v)[VECTOR], int column, int) {
    float w[VECTOR];
    load(w, weight + column);
    for (int k = 0; k < VECTOR; k++) v[k] = v[k] * scale * w[k];
    if (live) store(y + start + column, v);
  });
}
