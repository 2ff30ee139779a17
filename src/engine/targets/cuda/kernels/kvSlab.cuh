// The caches of texts as kernels see them: a slab holds one layer of one sequence, a record each sequence's progress, settings
// what its policy does there. Names and layouts are those of src/llm/cuda/calls/buffers.ts and settings.ts.
//
// Macros of the including file: ELEMENT, D, KV_HEADS, GROUP (query heads a KV head), THREADS a block.

#define HEADS (KV_HEADS * GROUP)
#define PART_BYTES 256
#define SLAB_WORDS 4
#define RECORD_WORDS 8
#define SETTINGS_WORDS 24

struct Sequence {
  int tokensSeen, step;
  unsigned seedLow, seedHigh, stream;
  int fault, unused[2];
};

// What the scores are.
#define SCORE_NOTHING 0
#define SCORE_ACCUMULATE 1
#define SCORE_LAST 2
#define SCORE_WINDOW 3
#define SCORE_KEY_NORM 4
#define SCORE_RANDOM 5
#define NOISE_NONE 0
#define NOISE_CONSTANT 1
#define NOISE_GUMBEL 2
#define NOISE_GAUSSIAN 3
#define REDUCE_MEAN 0
#define REDUCE_SUM 1
#define REDUCE_MAX 2
// Who decides.
#define DECIDES_LAYER 0
#define DECIDES_ALL_LAYERS 1
#define DECIDES_HOST 2

struct Settings {
  int scoring, noise, noisePerKey, groupReduce, meanHeads;
  int budget, evictEvery, decides;
  int sinks, recent, keepByAge, evictByAge, evictFrom, hasGap;
  int renumbered;
  float tauStart, tauEnd, tauDelta;
  int scoreFrom;  // the first position whose row of logits is scored
  int pool;
  float damping;  // what a score is multiplied by before a decoded token's row is added
  int unused[3];

  __device__ __forceinline__ float temperature(int step) const {
    return fminf(fmaxf(tauStart + step * tauDelta, fminf(tauStart, tauEnd)), fmaxf(tauStart, tauEnd));
  }
  // The share of a group's sum that is its score.
  __device__ __forceinline__ float share() const { return groupReduce == REDUCE_MEAN ? 1.f / GROUP : 1.f; }
};

__device__ __forceinline__ constexpr long long partBytes(long long bytes) { return (bytes + PART_BYTES - 1) / PART_BYTES * PART_BYTES; }

struct Slab {
  char* base;
  int capacity;

  __device__ __forceinline__ long long entryPart() const { return partBytes(4ll * KV_HEADS * capacity); }
  __device__ __forceinline__ int* lengths() const { return (int*)base; }
  __device__ __forceinline__ int* positions(int head) const { return (int*)(base + partBytes(4 * KV_HEADS)) + (long long)head * capacity; }
  __device__ __forceinline__ float* scores(int head) const { return (float*)(base + partBytes(4 * KV_HEADS) + entryPart()) + (long long)head * capacity; }
  __device__ __forceinline__ int* ranks(int head) const { return (int*)(base + partBytes(4 * KV_HEADS) + 2 * entryPart()) + (long long)head * capacity; }
  __device__ __forceinline__ ELEMENT* keys(int head) const { return (ELEMENT*)(base + partBytes(4 * KV_HEADS) + 3 * entryPart()) + (long long)head * capacity * D; }
  __device__ __forceinline__ ELEMENT* values(int head) const {
    return (ELEMENT*)(base + partBytes(4 * KV_HEADS) + 3 * entryPart() + partBytes((long long)sizeof(ELEMENT) * KV_HEADS * capacity * D)) + (long long)head * capacity * D;
  }
};

// The slab of a sequence in a layer's row of the table.
__device__ __forceinline__ Slab slabOf(const uint4* slabs, int sequence) {
  uint4 entry = slabs[sequence];
  return {(char*)((unsigned long long)entry.y << 32 | entry.x), (int)entry.z};
}

// Vectors of a row of D elements: the widest that divide it, up to 16 bytes.
#define MOST_VECTOR (16 / (int)sizeof(ELEMENT))
#define VEC (D % MOST_VECTOR == 0 ? MOST_VECTOR : D % (MOST_VECTOR / 2) == 0 ? MOST_VECTOR / 2 : 1)
typedef Access<(int)sizeof(ELEMENT) * VEC>::type Vector;

// A head's entry moves to another slot; all threads of the block take part.
__device__ __forceinline__ void copyRow(ELEMENT* to, const ELEMENT* from) {
  for (int i = threadIdx.x; i < D / VEC; i += THREADS) ((Vector*)to)[i] = ((const Vector*)from)[i];
}

// A number whose order as unsigned is that of the float.
__device__ __forceinline__ unsigned ordered(float x) {
  unsigned bits = __float_as_uint(x + 0.f);  // −0 is 0
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// The least of a number each over the block. Every thread must call it, and receives the least.
__device__ __forceinline__ unsigned long long leastOfBlock(unsigned long long value) {
  __shared__ unsigned long long parts[THREADS / 32];
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    unsigned long long other = __shfl_xor_sync(WHOLE_WARP, value, step);
    value = other < value ? other : value;
  }
  __syncthreads();  // the parts before these have been read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  value = parts[0];
  for (int w = 1; w < THREADS / 32; w++) value = parts[w] < value ? parts[w] : value;
  return value;
}
