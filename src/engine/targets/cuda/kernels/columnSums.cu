// Column sums of a matrix, split over two results: left = Σ over rows of the first `split` columns, right = of the rest.
//
//   x [rows, width] float32, left [split], right [width − split] of ELEMENT.
//   Launch: ⌈width / 32⌉ blocks of (32, 16) threads: a warp takes every 16th row of 32 columns.
// Deterministic: each column is summed in one order.

extern "C" __global__ void columnSums(const float* x, ELEMENT* left, ELEMENT* right, int rows, int width, int split) {
  __shared__ float parts[16][32];
  int column = blockIdx.x * 32 + threadIdx.x;
  float total = 0.f;
  if (column < width) {
    for (int row = threadIdx.y; row < rows; row += 16) total += x[(long long)row * width + column];
  }
  parts[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y > 0 || column >= width) return;
  for (int warp = 1; warp < 16; warp++) total += parts[warp][threadIdx.x];
  if (column < split) left[column] = fromFloat<ELEMENT>(total);
  else right[column - split] = fromFloat<ELEMENT>(total);
}
