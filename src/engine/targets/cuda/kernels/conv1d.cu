// What turns convolutions into matrix products: unfold lays out what each output step sees of the input, fold adds
// such columns back into an input, swapAxes exchanges the two leading axes of a tensor.
//
//   unfold: x [B, GROUPS · CHANNELS, LENGTH] → columns; fold: columns → dx, of x's shape.
//   Element (b, g, c, k, t) of the columns, t < STEPS, stands at b · STRIDE_B + g · STRIDE_G + (c · KERNEL + k) · STRIDE_K + t
//   and is x[b, g · CHANNELS + c, t · STEP + k · DILATION − PADDING], 0 outside.
//   swapAxes: [first, second, inner] → [second, first, inner].
//   Launch: a thread an element of the result, 256 a block; `size` elements. INDEX is unsigned, or unsigned long long
//   where the largest tensor has 2³¹ elements or more.
// Deterministic: fold gathers, in the order of k.

#ifdef KERNEL

extern "C" __global__ void unfold(const float* __restrict__ x, float* __restrict__ columns, INDEX size) {
  INDEX index = (INDEX)blockIdx.x * 256 + threadIdx.x;
  if (index >= size) return;
  int t = (int)(index % STEPS), k = (int)(index / STEPS % KERNEL), c = (int)(index / STEPS / KERNEL % CHANNELS);
  INDEX rest = index / STEPS / KERNEL / CHANNELS;
  int g = (int)(rest % GROUPS);
  int at = t * STEP + k * DILATION - PADDING;
  float value = at < 0 || at >= LENGTH ? 0.f : x[(rest * CHANNELS + c) * LENGTH + at];
  columns[rest / GROUPS * (INDEX)STRIDE_B + g * (INDEX)STRIDE_G + (c * KERNEL + k) * (INDEX)STRIDE_K + t] = value;
}

extern "C" __global__ void fold(const float* __restrict__ columns, float* __restrict__ dx, INDEX size) {
  INDEX index = (INDEX)blockIdx.x * 256 + threadIdx.x;
  if (index >= size) return;
  int at = (int)(index % LENGTH), c = (int)(index / LENGTH % CHANNELS);
  INDEX rest = index / LENGTH / CHANNELS;
  const float* from = columns + rest / GROUPS * (INDEX)STRIDE_B + rest % GROUPS * (INDEX)STRIDE_G + c * KERNEL * (INDEX)STRIDE_K;
  float sum = 0.f;
  for (int k = 0; k < KERNEL; k++) {
    int reached = at + PADDING - k * DILATION;
    if (reached >= 0 && reached % STEP == 0 && reached / STEP < STEPS) sum += from[k * (INDEX)STRIDE_K + reached / STEP];
  }
  dx[index] = sum;
}

#else

extern "C" __global__ void swapAxes(const float* __restrict__ x, float* __restrict__ y, int first, int second, int inner, INDEX size) {
  INDEX index = (INDEX)blockIdx.x * 256 + threadIdx.x;
  if (index >= size) return;
  INDEX i = index % inner, a = index / inner % first, b = index / inner / first;
  y[index] = x[(a * second + b) * inner + i];
}

#endif
