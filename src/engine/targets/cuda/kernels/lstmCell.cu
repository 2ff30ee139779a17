// One step of a long short-term memory after its matrix products, and its gradient.
// Gates stand in the order i, f, g, o:  c′ = σ(f)·c + σ(i)·tanh(g),  h′ = σ(o)·tanh(c′).
//
//   gates, dgates [batch, 4 HIDDEN], the rest [batch, HIDDEN], of ELEMENT; arithmetic is float32.
//   Launch: a thread for VECTOR units of a sample, 256 a block; `size` such threads in all.
//   Macros: ELEMENT (float, float16 or bfloat16); HIDDEN; VECTOR, a power of two up to 16 bytes of elements, divides it.
// Deterministic.

__device__ __forceinline__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

// Reads the four gates of VECTOR units and activates them.
__device__ __forceinline__ void activate(float (&gate)[4][VECTOR], const ELEMENT* gates) {
#pragma unroll
  for (int k = 0; k < 4; k++) {
    load(gate[k], gates + k * HIDDEN);
    for (int u = 0; u < VECTOR; u++) gate[k][u] = k == 2 ? tanhf(gate[k][u]) : sigmoid(gate[k][u]);
  }
}

extern "C" __global__ void __launch_bounds__(256)
lstmCell(const ELEMENT* gates, const ELEMENT* c, ELEMENT* hNext, ELEMENT* cNext, long long size) {
  long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= size) return;
  long long at = index * VECTOR;
  float gate[4][VECTOR], cell[VECTOR], out[VECTOR];
  activate(gate, gates + at / HIDDEN * 4 * HIDDEN + at % HIDDEN);
  load(cell, c + at);
#pragma unroll
  for (int u = 0; u < VECTOR; u++) {
    cell[u] = gate[1][u] * cell[u] + gate[0][u] * gate[2][u];
    out[u] = gate[3][u] * tanhf(cell[u]);
  }
  store(hNext + at, out);
  store(cNext + at, cell);
}

extern "C" __global__ void __launch_bounds__(256)
lstmCellGradient(const ELEMENT* gates, const ELEMENT* c, const ELEMENT* dhNext, const ELEMENT* dcNext, ELEMENT* dgates, ELEMENT* dc, long long size) {
  long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= size) return;
  long long at = index * VECTOR;
  long long atGates = at / HIDDEN * 4 * HIDDEN + at % HIDDEN;
  float gate[4][VECTOR], cell[VECTOR], dh[VECTOR], dCell[VECTOR];
  activate(gate, gates + atGates);
  load(cell, c + at);
  load(dh, dhNext + at);
  load(dCell, dcNext + at);
#pragma unroll
  for (int u = 0; u < VECTOR; u++) {
    float i = gate[0][u], f = gate[1][u], g = gate[2][u], o = gate[3][u];
    float out = tanhf(f * cell[u] + i * g);
    float d = dCell[u] + dh[u] * o * (1.f - out * out);
    gate[0][u] = d * g * i * (1.f - i);
    gate[1][u] = d * cell[u] * f * (1.f - f);
    gate[2][u] = d * i * (1.f - g * g);
    gate[3][u] = dh[u] * out * o * (1.f - o);
    dCell[u] = d * f;
  }
#pragma unroll
  for (int k = 0; k < 4; k++) store(dgates + atGates + k * HIDDEN, gate[k]);
  store(dc + at, dCell);
}
