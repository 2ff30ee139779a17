// Which keys a query sees, and what distance takes from their scores.
//
// Query i is at position i' = i + S − T, key j at position j.
// Macros: CAUSAL, a query sees keys up to its position; WINDOW, a number: and from i' − WINDOW + 1 on; MASKED, and of
// those the ones that a mask allows. ALIBI, slopes of the query heads by commas: −slope · (i' − j) is added to scores.
// LENGTHS: each sequence has fewer keys, and as many positions of queries; nothing past them is read.

// Where a mask [B, H, T, S] of bytes lies: elements from one to the next along each axis, 0 where it is broadcast.
struct MaskStrides {
  int batch, head, query, key;
};

#ifdef ALIBI
__constant__ float alibiSlopes[] = {ALIBI};
#endif

// What the queries of a head see.
struct Sight {
  const unsigned char* mask;  // of the head; read with MASKED only
  MaskStrides strides;
  int queries, keys;  // how many there are
  int ahead;          // the position of query 0
  float slope;        // with ALIBI only

  __device__ __forceinline__ bool allowed(int query, int key) const {
    bool yes = true;
#ifdef CAUSAL
    yes = key <= query + ahead;
#endif
#ifdef WINDOW
    yes = yes && key > query + ahead - WINDOW;
#endif
#ifdef MASKED
    yes = yes && query < queries && key < keys && mask[(long long)query * strides.query + (long long)key * strides.key] != 0;
#endif
    return yes;
  }

  // Whether some of these keys may be hidden from some of these queries.
  __device__ __forceinline__ bool partial(int firstQuery, int lastQuery, int firstKey, int lastKey) const {
    bool yes = false;
#ifdef CAUSAL
    yes = lastKey > firstQuery + ahead;
#endif
#ifdef WINDOW
    yes = yes || firstKey <= lastQuery + ahead - WINDOW;
#endif
#ifdef MASKED
    yes = true;
#endif
    return yes;
  }

  // Whether keys that are hidden concern no query: where a query may see no key, all keys concern it.
  __device__ __forceinline__ bool skips() const {
#if defined(MASKED)
    return false;
#elif defined(CAUSAL)
    return ahead >= 0;
#else
    return true;
#endif
  }

  // Keys from … to before … concern queries from firstQuery to lastQuery.
  __device__ __forceinline__ int keys_begin(int firstQuery) const {
#ifdef WINDOW
    if (skips()) return max(0, firstQuery + ahead - WINDOW + 1);
#endif
    return 0;
  }
  __device__ __forceinline__ int keys_end(int lastQuery) const {
#ifdef CAUSAL
    if (skips()) return min(keys, lastQuery + ahead + 1);
#endif
    return keys;
  }

  // Queries from … to before … are concerned by keys from firstKey to lastKey.
  __device__ __forceinline__ int queries_begin(int firstKey) const {
#ifdef CAUSAL
    if (skips()) return max(0, firstKey - ahead);
#endif
    return 0;
  }
  __device__ __forceinline__ int queries_end(int lastKey) const {
#ifdef WINDOW
    if (skips()) return max(0, min(queries, lastKey - ahead + WINDOW));
#endif
    return queries;
  }
};

// What the queries of query head `head` of all sequences see, of T queries and S keys.
__device__ __forceinline__ Sight sight_of_head(const unsigned char* mask, MaskStrides strides, const int* lengths, int head, int heads, int queries, int keys) {
  Sight sight = {mask + (long long)(head / heads) * strides.batch + (long long)(head % heads) * strides.head, strides, queries, keys, keys - queries, 0.f};
#ifdef LENGTHS
  sight.keys = max(0, min(keys, lengths[head / heads]));
  sight.queries = max(0, min(queries, sight.keys - sight.ahead));
#endif
#ifdef ALIBI
  sight.slope = alibiSlopes[head % heads];
#endif
  return sight;
}
