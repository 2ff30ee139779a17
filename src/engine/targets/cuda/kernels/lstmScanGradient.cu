// The gradient of lstmScan, all steps in one launch, in one or two directions, from what it kept. Against the order of
// its steps, from dgates = dc = 0,
//   dh = dout + dgates·recurrent,  d = dc + dh·σ(o)·(1 − tanh²c′),  dc ← d·σ(f),  dgates from d and dh by the chain rule,
// where c′ = σ(f)·c + σ(i)·tanh(g) is made anew.
//
//   recurrent [4 HIDDEN, HIDDEN]; gates, dgates [steps, batch, 4 HIDDEN], i, f, g, o before their activations; cells
//   that steps begin with and dout [steps, batch, HIDDEN]. Bit d of `reverse`: direction d of lstmScan ran from the last
//   step to the first.
//   Launch: blocks of THREADS, (⌈batch / ROWS⌉, directions) of them. Shared memory: the weights' rest, dgates of this
//   step and the next [2][ROWS][4 PADDED + 8], dc [ROWS / GROUP][THREADS].
//   Macros: as in lstmScan.cuh.
// 16 neighbouring lanes own four hidden units: each multiplies its sixteenth of dgates by the weights of these units,
// and the one that ends up with the sum of a row and a unit makes its step. Deterministic.
#include "lstmScan.cuh"

constexpr int STRIDE = 4 * PADDED + 8;  // rows of dgates begin in different banks

extern "C" __global__ void __launch_bounds__(THREADS, 512 / THREADS)
lstmScanGradient(const float* recurrent0, const float* gates0, const float* cells0, const float* dout0, float* dgates0,
                 const float* recurrent1, const float* gates1, const float* cells1, const float* dout1, float* dgates1,
                 int reverse, int steps, int batch) {
  extern __shared__ float4 shared[];
  const float* recurrent = blockIdx.y ? recurrent1 : recurrent0;
  const float* gates = blockIdx.y ? gates1 : gates0;
  const float* cells = blockIdx.y ? cells1 : cells0;
  const float* dout = blockIdx.y ? dout1 : dout0;
  float* dgates = blockIdx.y ? dgates1 : dgates0;
  bool backwards = reverse >> blockIdx.y & 1;

  int units = threadIdx.x / 16 * 4, slice = threadIdx.x % 16;
  Weights weights(shared, [=](int chunk, int k) {
    int gate = chunk * 64 + slice * 4 + k;
    int unit = gate % PADDED;
    const float* from = recurrent + (gate / PADDED * HIDDEN + unit) * HIDDEN + units;
    float w[4];
#pragma unroll
    for (int u = 0; u < 4; u++) w[u] = unit < HIDDEN && units + u < HIDDEN ? from[u] : 0.f;
    return float4{w[0], w[1], w[2], w[3]};
  });
  float* given = (float*)(shared + (CHUNKS - HELD) * 4 * THREADS);
  float* dCell = given + 2 * ROWS * STRIDE + threadIdx.x;
  for (int i = threadIdx.x; i < 2 * ROWS * STRIDE; i += THREADS) given[i] = 0.f;
  for (int i = 0; i < ROWS / GROUP; i++) dCell[i * THREADS] = 0.f;
  __syncthreads();

  int first = blockIdx.x * ROWS;
  int rows = min(ROWS, batch - first);
  int dealt = slice * GROUP / 4;  // of a group's rows and units, the one this lane owns
  int unit = units + dealt % 4;
  for (int turn = 0; turn < steps; turn++) {
    const float* now = given + turn % 2 * ROWS * STRIDE;
    float* next = given + (turn + 1) % 2 * ROWS * STRIDE;
    long long step = (backwards ? turn : steps - 1 - turn) * (long long)batch + first;
#pragma unroll 1
    for (int group = 0; group < rows; group += GROUP) {
      int row = group + dealt / 4;
      bool owns = row < rows && unit < HIDDEN;
      long long at = (step + row) * HIDDEN + unit, atGates = (step + row) * 4 * HIDDEN + unit;
      float gate[4] = {}, c = 0.f, dh = 0.f;
      if (owns) {
#pragma unroll
        for (int k = 0; k < 4; k++) gate[k] = gates[atGates + k * HIDDEN];
        c = cells[at];
        dh = dout[at];
      }

      float sums[GROUP * 4] = {};
      weights.each([&](int chunk, const float4 (&w)[4]) {
#pragma unroll
        for (int r = 0; r < GROUP; r++) {
          float4 d = *(const float4*)(now + (group + r) * STRIDE + chunk * 64 + slice * 4);
          float* sum = sums + r * 4;
          sum[0] = dot(d, float4{w[0].x, w[1].x, w[2].x, w[3].x}, sum[0]);
          sum[1] = dot(d, float4{w[0].y, w[1].y, w[2].y, w[3].y}, sum[1]);
          sum[2] = dot(d, float4{w[0].z, w[1].z, w[2].z, w[3].z}, sum[2]);
          sum[3] = dot(d, float4{w[0].w, w[1].w, w[2].w, w[3].w}, sum[3]);
        }
      });
      float added[1];
      dealSums<16, 1>(sums, added);
      dh += added[0];

      float i = sigmoid(gate[0]), f = sigmoid(gate[1]), g = tanhOf(gate[2]), o = sigmoid(gate[3]);
      float out = tanhOf(f * c + i * g);
      float d = dCell[group / GROUP * THREADS] + dh * o * (1.f - out * out);
      dCell[group / GROUP * THREADS] = d * f;
      gate[0] = d * g * i * (1.f - i);
      gate[1] = d * c * f * (1.f - f);
      gate[2] = d * i * (1.f - g * g);
      gate[3] = dh * out * o * (1.f - o);
      if (owns && slice % (4 / GROUP) == 0) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
          next[row * STRIDE + k * PADDED + unit] = gate[k];
          dgates[atGates + k * HIDDEN] = gate[k];
        }
      }
    }
    __syncthreads();
  }
}
