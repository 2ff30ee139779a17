// y = softmax(x) along rows: e^(x − max) / Σ e^(x − max).
//
//   x, y [rows, WIDTH] of ELEMENT; arithmetic is float32.  Launch: ⌈rows / ROWS⌉ blocks of THREADS · ROWS threads, THREADS a row.
//   Macros: ELEMENT (float, float16 or bfloat16); WIDTH; THREADS (a power of two, at most 1024); ROWS (1 where THREADS > 32); VECTOR (a power of
//   two up to 16 bytes of elements, divides WIDTH; x and y are aligned to it); HELD (true where a row fits the registers).
// Deterministic: the order of every sum is fixed by the macros.

extern "C" __global__ void __launch_bounds__(THREADS * ROWS) softmax(const ELEMENT* x, ELEMENT* y, int rows) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;  // the others go along, as all take part in reductions
  long long start = (long long)(live ? row : rows - 1) * WIDTH;
  Row<ELEMENT, WIDTH, THREADS, VECTOR, HELD> values(x + start);

  float top = -INFINITY_F;
  values.each([&](float (&v)[VECTOR], int, int) {
    for (int k = 0; k < VECTOR; k++) top = fmaxf(top, v[k]);
  });
  top = reduceGroup<Max, THREADS>(top);

  float total = 0.f;
  values.each([&](float (&v)[VECTOR], int, int) {
    for (int k = 0; k < VECTOR; k++) total += v[k] = expf(v[k] - top);
  });
  float scale = 1.f / reduceGroup<Sum, THREADS>(total);

  values.each([&](float (&v)[VECTOR], int column, int) {
    for (int k = 0; k < VECTOR; k++) v[k] = (HELD ? v[k] : expf(v[k] - top)) * scale;
    if (live) store(y + start + column, v);
  });
}
