// What hand-written kernels build on: 16-bit floats, vectors of elements, reductions over groups of threads, and rows
// of a matrix spread over such groups. No CUDA header is included, so that none needs to be installed.
//
// Reductions combine in a fixed order, so a result depends on nothing but its operands.

#define WHOLE_WARP 0xffffffffu
#define INFINITY_F __int_as_float(0x7f800000)

// Storage of 16-bit floats; arithmetic is in float.
struct float16 { unsigned short bits; };
struct bfloat16 { unsigned short bits; };

__device__ __forceinline__ float toFloat(float x) { return x; }
__device__ __forceinline__ float toFloat(bfloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }
__device__ __forceinline__ float toFloat(float16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

// Rounds to the nearest, ties to even.
template <typename T> __device__ __forceinline__ T fromFloat(float x);
template <> __device__ __forceinline__ float fromFloat<float>(float x) { return x; }
template <> __device__ __forceinline__ float16 fromFloat<float16>(float x) {
  float16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
template <> __device__ __forceinline__ bfloat16 fromFloat<bfloat16>(float x) {
  unsigned bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return bfloat16{0x7fff};
  return bfloat16{(unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// What moves so many bytes in one access; the address is a multiple of them.
template <int Bytes> struct Access;
template <> struct Access<2> { typedef unsigned short type; };
template <> struct Access<4> { typedef unsigned type; };
template <> struct Access<8> { typedef uint2 type; };
template <> struct Access<16> { typedef uint4 type; };

// Reads and writes N neighbouring elements, at most 16 bytes in one access.
template <typename T, int N> __device__ __forceinline__ void load(float (&to)[N], const T* from) {
  constexpr int Step = sizeof(T) * N > 16 ? 16 / sizeof(T) : N;
#pragma unroll
  for (int first = 0; first < N; first += Step) {
    union { typename Access<sizeof(T) * Step>::type whole; T at[Step]; } elements;
    elements.whole = *(const typename Access<sizeof(T) * Step>::type*)(from + first);
#pragma unroll
    for (int k = 0; k < Step; k++) to[first + k] = toFloat(elements.at[k]);
  }
}

template <typename T, int N> __device__ __forceinline__ void store(T* to, const float (&from)[N]) {
  constexpr int Step = sizeof(T) * N > 16 ? 16 / sizeof(T) : N;
#pragma unroll
  for (int first = 0; first < N; first += Step) {
    union { typename Access<sizeof(T) * Step>::type whole; T at[Step]; } elements;
#pragma unroll
    for (int k = 0; k < Step; k++) elements.at[k] = fromFloat<T>(from[first + k]);
    *(typename Access<sizeof(T) * Step>::type*)(to + first) = elements.whole;
  }
}

struct Sum {
  static __device__ __forceinline__ float of(float a, float b) { return a + b; }
};
struct Max {
  static __device__ __forceinline__ float of(float a, float b) { return fmaxf(a, b); }
};

// Combines N values over each group of `Threads` lanes; every lane of the group receives the results.
template <typename Op, int Threads, int N> __device__ __forceinline__ void reduceLanes(float (&values)[N]) {
#pragma unroll
  for (int step = Threads / 2; step > 0; step /= 2) {
#pragma unroll
    for (int k = 0; k < N; k++) values[k] = Op::of(values[k], __shfl_xor_sync(WHOLE_WARP, values[k], step));
  }
}

// The same over a group of `Threads`, a power of two: lanes of one warp, or the whole block where they are more than
// 32. All threads of the block must call it.
template <typename Op, int Threads, int N> __device__ __forceinline__ void reduceGroup(float (&values)[N]) {
  reduceLanes<Op, (Threads < 32 ? Threads : 32)>(values);
  if constexpr (Threads > 32) {
    constexpr int Warps = Threads / 32;
    __shared__ float parts[N][Warps];
    int lane = threadIdx.x % 32;
    __syncthreads();  // the reduction before this one has been read
    if (lane == 0) {
#pragma unroll
      for (int k = 0; k < N; k++) parts[k][threadIdx.x / 32] = values[k];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < N; k++) values[k] = parts[k][lane % Warps];
    reduceLanes<Op, Warps>(values);
  }
}

template <typename Op, int Threads> __device__ __forceinline__ float reduceGroup(float value) {
  float values[1] = {value};
  reduceGroup<Op, Threads>(values);
  return values[0];
}

// One row of Width elements over a group of `Threads`, in vectors that follow one another from thread to thread.
// Held, the row is read once and kept in registers; otherwise every pass reads it again.
template <typename T, int Width, int Threads, int N, bool Held> struct Row {
  static constexpr int Items = (Width + Threads * N - 1) / (Threads * N);
  const T* from;
  float held[Held ? Items : 1][N];

  __device__ __forceinline__ explicit Row(const T* row) : from(row) {
    if constexpr (Held) {
#pragma unroll
      for (int i = 0; i < Items; i++) {
        if (columnOf(i) < Width) load(held[i], from + columnOf(i));
      }
    }
  }

  // This thread's vector number i, which begins at a column.
  __device__ __forceinline__ void get(float (&to)[N], int column, int i) const {
    if constexpr (Held) {
#pragma unroll
      for (int k = 0; k < N; k++) to[k] = held[i][k];
    } else {
      load(to, from + column);
    }
  }

  // Calls visit(values, column, i) for each of this thread's vectors; what it does to the values lasts if they are held.
  template <typename Visit> __device__ __forceinline__ void each(Visit visit) {
    constexpr int Step = Held ? Items : Items < 4 ? Items : 4;  // vectors on their way at a time
#pragma unroll 1
    for (int first = 0; first < Items; first += Step) {
      float read[Held ? 1 : Step][N];
      if constexpr (!Held) {
#pragma unroll
        for (int u = 0; u < Step; u++) {
          int column = columnOf(first + u);
          if (column < Width) load(read[u], from + column);
        }
      }
#pragma unroll
      for (int u = 0; u < Step; u++) {
        int column = columnOf(first + u);
        if (column >= Width) break;
        if constexpr (Held) visit(held[u], column, u);
        else visit(read[u], column, first + u);
      }
    }
  }

 private:
  static __device__ __forceinline__ int columnOf(int i) { return (i * Threads + threadIdx.x % Threads) * N; }
};
