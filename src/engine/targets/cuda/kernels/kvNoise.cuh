// Noise for scores: a pure function of seed, stream, layer, head and the positions of query and key, as in
// src/llm/kv/noise.ts. Philox4x32-10 (Salmon et al., SC'11); u = ((word >> 9) + ½) · 2^-23.

#include "kvSlab.cuh"

#define GUMBEL_MEAN 0.57721566f
#define GUMBEL_DEVIATION 1.28254983f
#define NO_QUERY 0xffffffffu

// Two words of the block of a counter under a key.
__device__ __forceinline__ uint2 philox(unsigned c0, unsigned c1, unsigned c2, unsigned c3, unsigned k0, unsigned k1) {
#pragma unroll
  for (int round = 0; round < 10; round++) {
    unsigned high0 = __umulhi(0xd2511f53u, c0), low0 = 0xd2511f53u * c0;
    unsigned high1 = __umulhi(0xcd9e8d57u, c2), low1 = 0xcd9e8d57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return make_uint2(c0, c1);
}

__device__ __forceinline__ float openUniform(unsigned word) { return ((float)(word >> 9) + 0.5f) * 0x1p-23f; }

// −ln(−ln u). The inner logarithm is the accurate one: near u = 1 it decides the upper tail.
__device__ __forceinline__ float gumbelOfWord(unsigned word) { return -__logf(-logf(openUniform(word))); }

struct Noise {
  int kind;
  unsigned seedLow, seedHigh, stream, head;  // head: layer · 2^16 + query head
  unsigned queryMask;     // 0 where noise belongs to keys alone

  __device__ __forceinline__ uint2 words(int query, int key) const { return philox(key, (unsigned)query & queryMask, head, stream, seedLow, seedHigh); }

  __device__ __forceinline__ float gaussian(int query, int key) const {
    uint2 drawn = words(query, key);
    float radius = sqrtf(-2.f * logf(openUniform(drawn.x)));  // Box and Muller's, from two words of the block
    return GUMBEL_MEAN + GUMBEL_DEVIATION * radius * cospif(2.f * openUniform(drawn.y));
  }

  __device__ __forceinline__ float sample(int query, int key) const {
    if (kind == NOISE_NONE) return 0.f;
    if (kind == NOISE_CONSTANT) return GUMBEL_MEAN;
    return kind == NOISE_GUMBEL ? gumbelOfWord(words(query, key).x) : gaussian(query, key);
  }
};

__device__ __forceinline__ Noise noiseOf(const Settings& settings, const Sequence& sequence, int layer, int head) {
  return {settings.noise, sequence.seedLow, sequence.seedHigh, sequence.stream, (unsigned)layer << 16 | (unsigned)head, settings.noisePerKey ? 0u : ~0u};
}

// A uniform of (0, 1) for an entry of one KV head.
__device__ __forceinline__ float entryUniform(const Sequence& sequence, int layer, int kvHead, int position) {
  return openUniform(philox(position, NO_QUERY, (unsigned)layer << 16 | (unsigned)kvHead, sequence.stream, sequence.seedLow, sequence.seedHigh).x);
}
