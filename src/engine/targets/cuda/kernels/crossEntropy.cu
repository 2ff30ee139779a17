// loss = log Σ eˣ − x[target] along rows, 0 where the target is no class, and its gradient,
// dx = (softmax(x) − target's place) · g, 0 where the target is no class.
//
//   x, dx [rows, WIDTH], loss, g [rows] of ELEMENT, targets [rows] int32.  Launch and macros as softmax.cu.
// Deterministic.

// Largest element of a row and Σ e^(x − largest); held elements become e^(x − largest).
template <typename R> __device__ __forceinline__ float2 topAndTotal(R& values) {
  float top = -INFINITY_F;
  values.each([&](float (&v)[VECTOR], int, int) {
    for (int k = 0; k < VECTOR; k++) top = fmaxf(top, v[k]);
  });
  top = reduceGroup<Max, THREADS>(top);
  float total = 0.f;
  values.each([&](float (&v)[VECTOR], int, int) {
    for (int k = 0; k < VECTOR; k++) total += v[k] = expf(v[k] - top);
  });
  return make_float2(top, reduceGroup<Sum, THREADS>(total));
}

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
crossEntropy(const ELEMENT* x, const int* targets, ELEMENT* loss, int rows) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;
  long long start = (long long)(live ? row : rows - 1) * WIDTH;
  Row<ELEMENT, WIDTH, THREADS, VECTOR, HELD> values(x + start);
  float2 found = topAndTotal(values);
  if (!live || threadIdx.x % THREADS > 0) return;
  int target = targets[row];
  bool isClass = target >= 0 && target < WIDTH;
  loss[row] = fromFloat<ELEMENT>(isClass ? logf(found.y) - (toFloat(x[start + target]) - found.x) : 0.f);
}

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
crossEntropyGradient(const ELEMENT* x, const int* targets, const ELEMENT* g, ELEMENT* dx, int rows) {
  int row = blockIdx.x * ROWS + threadIdx.x / THREADS;
  bool live = row < rows;
  if (!live) row = rows - 1;
  long long start = (long long)row * WIDTH;
  Row<ELEMENT, WIDTH, THREADS, VECTOR, HELD> values(x + start);
  float2 found = topAndTotal(values);
  int target = targets[row];
  float weight = target < 0 || target >= WIDTH ? 0.f : toFloat(g[row]);
  values.each([&](float (&v)[VECTOR], int column, int) {
    for (int k = 0; k < VECTOR; k++) {
      float share = (HELD ? v[k] : expf(v[k] - found.x)) / found.y;
      v[k] = (share - (column + k == target ? 1.f : 0.f)) * weight;
    }
    if (live) store(dx + start + column, v);
  });
}
