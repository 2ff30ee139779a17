// Sums over rows of g·(x − mean) / deviation and of g: parts[p] holds those of rows p, p + P, p + 2P, …, where P is
// the number of parts. columnSums.cu adds the parts.
//
//   x, g [rows, width] of ELEMENT, stats [rows, 2] of layerNormRows.cu and parts [P, 2, width] float32.
//   Launch: (⌈width / 256⌉, P) blocks of 256 threads, a thread a column.
// Deterministic.

extern "C" __global__ void layerNormColumns(const ELEMENT* x, const ELEMENT* g, const float2* stats, float* parts, int rows, int width) {
  int column = blockIdx.x * 256 + threadIdx.x;
  if (column >= width) return;
  float dweight = 0.f, dbias = 0.f;
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    long long at = (long long)row * width + column;
    float2 stat = stats[row];
    float u = toFloat(g[at]);
    dweight += u * (toFloat(x[at]) - stat.x) * stat.y;
    dbias += u;
  }
  float* part = parts + (long long)blockIdx.y * 2 * width;
  part[column] = dweight;
  part[width + column] = dbias;
}
