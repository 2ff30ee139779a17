// The loop of a long short-term memory, all steps in one launch, in one or two directions. From h = c = 0, at each step
//   gates = projected + h·recurrentᵀ in the order i, f, g, o,  c ← σ(f)·c + σ(i)·tanh(g),  h ← σ(o)·tanh(c).
//
//   projected, gates [steps, batch, 4 HIDDEN], recurrent [4 HIDDEN, HIDDEN]; out and, as steps begin with them, c
//   and h [steps, batch, HIDDEN]. Bit d of `reverse`: direction d runs from the last step to the first.
//   Launch: blocks of THREADS, (⌈batch / ROWS⌉, directions) of them. Shared memory: the weights' rest, h of this step
//   and the next [2][ROWS][PADDED + 8], c [ROWS / GROUP][THREADS].
//   Macros: as in lstmScan.cuh.
// Four neighbouring lanes own a hidden unit: each multiplies its quarter of h by the weights of all four gates, and
// the one that ends up with a row's sums makes that row's step. Deterministic.
#include "lstmScan.cuh"

constexpr int STRIDE = PADDED + 8;  // rows of h begin in different banks

extern "C" __global__ void __launch_bounds__(THREADS, 512 / THREADS)
lstmScan(const float* projected0, const float* recurrent0, float* out0, float* gates0, float* cells0, float* hiddens0,
         const float* projected1, const float* recurrent1, float* out1, float* gates1, float* cells1, float* hiddens1,
         int reverse, int steps, int batch) {
  extern __shared__ float4 shared[];
  const float* projected = blockIdx.y ? projected1 : projected0;
  const float* recurrent = blockIdx.y ? recurrent1 : recurrent0;
  float* out = blockIdx.y ? out1 : out0;
  float* gates = blockIdx.y ? gates1 : gates0;
  float* cells = blockIdx.y ? cells1 : cells0;
  float* hiddens = blockIdx.y ? hiddens1 : hiddens0;
  bool backwards = reverse >> blockIdx.y & 1;

  int unit = threadIdx.x / 4, quarter = threadIdx.x % 4;
  Weights weights(shared, [=](int chunk, int gate) {
    float w[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      int from = chunk * 16 + quarter * 4 + k;
      w[k] = unit < HIDDEN && from < HIDDEN ? recurrent[(gate * HIDDEN + unit) * HIDDEN + from] : 0.f;
    }
    return float4{w[0], w[1], w[2], w[3]};
  });
  float* hidden = (float*)(shared + (CHUNKS - HELD) * 4 * THREADS);
  float* cell = hidden + 2 * ROWS * STRIDE + threadIdx.x;
  for (int i = threadIdx.x; i < 2 * ROWS * STRIDE; i += THREADS) hidden[i] = 0.f;
  for (int i = 0; i < ROWS / GROUP; i++) cell[i * THREADS] = 0.f;
  __syncthreads();

  int first = blockIdx.x * ROWS;
  int rows = min(ROWS, batch - first);
  for (int turn = 0; turn < steps; turn++) {
    const float* now = hidden + turn % 2 * ROWS * STRIDE;
    float* next = hidden + (turn + 1) % 2 * ROWS * STRIDE;
    long long step = (backwards ? steps - 1 - turn : turn) * (long long)batch + first;
#pragma unroll 1
    for (int group = 0; group < rows; group += GROUP) {
      int row = group + quarter * GROUP / 4;
      bool owns = row < rows && unit < HIDDEN;
      long long at = (step + row) * HIDDEN + unit, atGates = (step + row) * 4 * HIDDEN + unit;
      float gate[4] = {};
      if (owns) {
#pragma unroll
        for (int k = 0; k < 4; k++) gate[k] = projected[atGates + k * HIDDEN];
      }

      float sums[GROUP * 4] = {};
      weights.each([&](int chunk, const float4 (&w)[4]) {
#pragma unroll
        for (int r = 0; r < GROUP; r++) {
          float4 h = *(const float4*)(now + (group + r) * STRIDE + chunk * 16 + quarter * 4);
#pragma unroll
          for (int k = 0; k < 4; k++) sums[r * 4 + k] = dot(h, w[k], sums[r * 4 + k]);
        }
      });
      float added[4];
      dealSums<4, 4>(sums, added);
#pragma unroll
      for (int k = 0; k < 4; k++) gate[k] += added[k];

      float before = cell[group / GROUP * THREADS];
      float c = sigmoid(gate[1]) * before + sigmoid(gate[0]) * tanhOf(gate[2]);
      float h = sigmoid(gate[3]) * tanhOf(c);
      cell[group / GROUP * THREADS] = c;
      if (owns && quarter % (4 / GROUP) == 0) {
        next[row * STRIDE + unit] = h;
        out[at] = h;
        cells[at] = before;
        hiddens[at] = now[row * STRIDE + unit];
#pragma unroll
        for (int k = 0; k < 4; k++) gates[atGates + k * HIDDEN] = gate[k];
      }
    }
    __syncthreads();
  }
}
