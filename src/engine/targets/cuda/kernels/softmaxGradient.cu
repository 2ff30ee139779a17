// dx = y · (g − Σ g·y) along rows, where y = softmax(x) and g = dL/dy.
//
//   y, g, dx [rows, WIDTH] of ELEMENT.  Launch and macros as softmax.cu.
// Deterministic.

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
softmaxGradient(const ELEMENT* y, const ELEMENT* g, ELEMENT* dx, int rows) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;
  long long start = (long long)(live ? row : rows - 1) * WIDTH;
  Row<ELEMENT, WIDTH, THREADS, VECTOR, HELD> outputs(y + start);
  Row<ELEMENT, WIDTH, THREADS, VECTOR, HELD> gradients(g + start);

  float total = 0.f;
  outputs.each([&](float (&v)[VECTOR], int column, int i) {
    float u[VECTOR];
    gradients.get(u, column, i);
    for (int k = 0; k < VECTOR; k++) total += u[k] * v[k];
  });
  total = reduceGroup<Sum, THREADS>(total);

  outputs.each([&](float (&v)[VECTOR], int column, int i) {
    float u[VECTOR];
    gradients.get(u, column, i);
    for (int k = 0; k < VECTOR; k++) u[k] = v[k] * (u[k] - total);
    if (live) store(dx + start + column, u);
  });
}
