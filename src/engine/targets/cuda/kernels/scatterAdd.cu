// y[row] = Σ of the updates whose index is the row, in the order in which they stand.
//
//   updates [count, width] and y [rows, width] of ELEMENT (float or int), indices [count] int32.
//   Launch: a thread an element of the result, 256 a block; `size` elements. Every thread reads all indices: for few.
// Deterministic.

extern "C" __global__ void scatterAdd(const ELEMENT* updates, const int* indices, ELEMENT* y, int count, int width, long long size) {
  long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= size) return;
  int row = (int)(index / width), column = (int)(index % width);
  ELEMENT total = 0;
#pragma unroll 4
  for (int i = 0; i < count; i++) {
    if (indices[i] == row) total += updates[(long long)i * width + column];
  }
  y[index] = total;
}
