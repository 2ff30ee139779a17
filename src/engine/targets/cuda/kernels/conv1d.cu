// What turns convolutions into matrix products: unfold lays out what each output step sees of the input, fold adds
// such columns back into an input, swapAxes exchanges the two leading axes of a tensor.
//
//   unfold: x [B, GROUPS · CHANNELS, LENGTH] → columns; fold: columns → dx, of x's shape.
//   Element (b, g, c, k, t) of the columns, t < STEPS, stands at b · STRIDE_B + g · STRIDE_G + (c · KERNEL + k) · STRIDE_K + t
//   and is x[b, g · CHANNELS + c, t · STEP + k · DILATION − PADDING], 0 outside.
//   swapAxes: [first, second, inner] → [second, first, inner].
//   Launch: a thread an element of the result, 256 a block; `size` elements.
// Deterministic: fold gathers, in the order of k.

#ifdef KERNEL

extern "C" __global__ void unfold(const float* x, float* columns, long long size) {
  long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= size) return;
  int t = (int)(index % STEPS), k = (int)(index / STEPS % KERNEL), c = (int)(index / STEPS / KERNEL % CHANNELS);
  long long rest = index / STEPS / KERNEL / CHANNELS;
  int g = (int)(rest % GROUPS);
  long long b = rest / GROUPS;
  int at = t * STEP + k * DILATION - PADDING;
  float value = at < 0 || at >= LENGTH ? 0.f : x[(rest * CHANNELS + c) * LENGTH + at];
  columns[b * STRIDE_B + g * STRIDE_G + (c * KERNEL + k) * STRIDE_K + t] = value;
}

extern "C" __global__ void fold(const float* columns, float* dx, long long size) {
  long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= size) return;
  int at = (int)(index % LENGTH), c = (int)(index / LENGTH % CHANNELS);
  long long rest = index / LENGTH / CHANNELS;
  const float* from = columns + rest / GROUPS * STRIDE_B + rest % GROUPS * STRIDE_G + (long long)c * KERNEL * STRIDE_K;
  float sum = 0.f;
  for (int k = 0; k < KERNEL; k++) {
    int reached = at + PADDING - k * DILATION;
    if (reached >= 0 && reached % STEP == 0 && reached / STEP < STEPS) sum += from[k * STRIDE_K + reached / STEP];
  }
  dx[index] = sum;
}

#else

extern "C" __global__ void swapAxes(const float* x, float* y, int first, int second, int inner, long long size) {
  long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= size) return;
  long long i = index % inner, a = index / inner % first, b = index / inner / first;
  y[index] = x[(a * second + b) * inner + i];
}

#endif
