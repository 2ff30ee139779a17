// The gradients of layer norm by its input, weight and bias. With n = (x − mean) / deviation and s = g · weight:
// dx = (s − mean(s) − n · mean(s·n)) / deviation, dweight = Σ over rows of g·n, dbias = Σ over rows of g.
//
//   x, g, dx [rows, WIDTH], weight [WIDTH] of ELEMENT, parts [blocks, 2, WIDTH] float32.
//   Block b sums g·n and g of the rows its groups visit into parts[b]; columnSums.cu adds the parts.
//   Launch: any number of blocks of THREADS · ROWS threads; the groups of all blocks take rows in turn.
//   Macros as softmax.cu; HELD is not needed, rows are always held.
// Deterministic for one number of blocks.

extern "C" __global__ void __launch_bounds__(THREADS * ROWS)
layerNormGradient(const ELEMENT* x, const ELEMENT* weight, const ELEMENT* g, ELEMENT* dx, float* parts, int rows, float epsilon) {
  typedef Row<ELEMENT, WIDTH, THREADS, VECTOR, true> HeldRow;
  int group = threadIdx.x / THREADS;
  float dweight[HeldRow::Items][VECTOR] = {}, dbias[HeldRow::Items][VECTOR] = {};

  for (int first = blockIdx.x * ROWS; first < rows; first += gridDim.x * ROWS) {
    int row = first + group;
    bool live = row < rows;
    long long start = (long long)(live ? row : rows - 1) * WIDTH;
    HeldRow values(x + start), gradients(g + start);

    float mean = 0.f;
    values.each([&](float (&v)[VECTOR], int, int) {
      for (int k = 0; k < VECTOR; k++) mean += v[k];
    });
    mean = reduceGroup<Sum, THREADS>(mean) / WIDTH;

    float variance = 0.f;
    values.each([&](float (&v)[VECTOR], int, int) {
      for (int k = 0; k < VECTOR; k++) {
        v[k] -= mean;
        variance += v[k] * v[k];
      }
    });
    variance = reduceGroup<Sum, THREADS>(variance) / WIDTH;
    float scale = 1.f / sqrtf(variance + epsilon);

    float sums[2] = {0.f, 0.f};  // of s and of s·n
    values.each([&](float (&n)[VECTOR], int column, int i) {
      float u[VECTOR], w[VECTOR];
      gradients.get(u, column, i);
      load(w, weight + column);
      for (int k = 0; k < VECTOR; k++) {
        n[k] *= scale;
        sums[0] += u[k] * w[k];
        sums[1] += u[k] * w[k] * n[k];
        if (live) {
          dweight[i][k] += u[k] * n[k];
          dbias[i][k] += u[k];
        }
      }
    });
    reduceGroup<Sum, THREADS>(sums);

    values.each([&](float (&n)[VECTOR], int column, int i) {
      float u[VECTOR], w[VECTOR];
      gradients.get(u, column, i);
      load(w, weight + column);
      for (int k = 0; k < VECTOR; k++) u[k] = (u[k] * w[k] - sums[0] / WIDTH - n[k] * (sums[1] / WIDTH)) * scale;
      if (live) store(dx + start + column, u);
    });
  }

  // The groups of a block add up theirs, each column in the order of the groups.
  float* part = parts + (long long)blockIdx.x * 2 * WIDTH;
#if ROWS > 1
  __shared__ float ofGroups[ROWS][2][WIDTH];
#pragma unroll
  for (int i = 0; i < HeldRow::Items; i++) {
    int column = (i * THREADS + threadIdx.x % THREADS) * VECTOR;
    if (column >= WIDTH) break;
#pragma unroll
    for (int k = 0; k < VECTOR; k++) {
      ofGroups[group][0][column + k] = dweight[i][k];
      ofGroups[group][1][column + k] = dbias[i][k];
    }
  }
  __syncthreads();
  for (int column = threadIdx.x; column < 2 * WIDTH; column += THREADS * ROWS) {
    float total = 0.f;
    for (int other = 0; other < ROWS; other++) total += (&ofGroups[other][0][0])[column];
    part[column] = total;
  }
#else
#pragma unroll
  for (int i = 0; i < HeldRow::Items; i++) {
    int column = (i * THREADS + threadIdx.x) * VECTOR;
    if (column >= WIDTH) break;
    store(part + column, dweight[i]);
    store(part + WIDTH + column, dbias[i]);
  }
#endif
}
