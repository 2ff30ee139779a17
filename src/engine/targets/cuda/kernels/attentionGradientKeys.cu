// The gradient of attention by keys and values (Dao, FlashAttention-2, Algorithm 2, transposed): with
// p = exp(scale · q kᵀ + distances − lse), dp = dout vᵀ and ds = p (dp − delta):  dv = pᵀ dout, dk = scale · dsᵀ q,
// summed over the `group` query heads of a key head. One block owns its rows of dk and dv and adds in a fixed order.
// For sm_80 and later; attentionGradientKeysStreamed is the same for sm_90a.
//
//   q, dout [B, H, T, D]; k, v, dk, dv [B, H / group, S, D]; rows [B, H, T] pairs made by attentionDelta;
//   mask: see MaskStrides, read with MASKED only; lengths [B], with LENGTHS only: rows past them are 0.
// One block: BK = 16 · WARPS keys of one key head; it walks over tiles of BM queries of each query head.
// Launch: (⌈S / BK⌉ · B · H / group, D / COLUMNS) blocks of 32 · WARPS threads, the longest columns first. A block owns
// COLUMNS columns of dk and dv: as many as there are registers for.
// Shared bytes: 1024 + 2 · TILE_BYTES(BK) + 2 · (2 · TILE_BYTES(BM) + 8 · BM).
// Macros: D and COLUMNS (multiples of 16), WARPS, BM (at most 64); those of attentionSight.cuh; HALF or not.

#include "attentionWarps.cuh"

#define BK (WARPS * 16)

extern "C" __global__ void __launch_bounds__(THREADS, 1)
attentionGradientKeys(const element* q, const element* k, const element* v, const unsigned char* mask, MaskStrides strides, const int* lengths,
                      const element* dout, const float2* rows, element* dk, element* dv, int heads, int group, int queries, int keys, float scale) {
  unsigned char* memory = shared_tiles();
  word kTile = shared_address(memory), vTile = kTile + TILE_BYTES(BK), qTiles = vTile + TILE_BYTES(BK);
  word doutTiles = qTiles + 2 * TILE_BYTES(BM), rowTiles = doutTiles + 2 * TILE_BYTES(BM);
  Work work = work_of_block((keys + BK - 1) / BK);
  int first = work.tile * BK, head = work.head * group;  // the first query head
  long long keyRows = (long long)work.head * keys;
  int chunk = blockIdx.y * (COLUMNS / 8);
  Sight sight = sight_of_head(mask, strides, lengths, head, heads, queries, keys);
  int from = sight.queries_begin(first) / BM;
  int span = max(0, (sight.queries_end(first + BK - 1) + BM - 1) / BM - from), count = span * group;

  if (count == 0) {  // no query sees these keys
    if (blockIdx.y == 0) {
      clear_rows(dk + keyRows * D, first, BK, keys);
      clear_rows(dv + keyRows * D, first, BK, keys);
    }
    return;
  }
  int row = first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
  float accK[COLUMNS / 2], accV[COLUMNS / 2], s[BM / 2], dp[BM / 2];
  word p[BM / 4];
#pragma unroll
  for (int i = 0; i < COLUMNS / 2; ++i) accK[i] = accV[i] = 0.f;

  auto load = [&](int at) {
    int stage = at % 2, start = (from + at % span) * BM;
    long long queryRows = (long long)(head + at / span) * queries;
    load_tile<BM>(qTiles + stage * TILE_BYTES(BM), q + queryRows * D, start, sight.queries);
    load_tile<BM>(doutTiles + stage * TILE_BYTES(BM), dout + queryRows * D, start, sight.queries);
    for (int i = threadIdx.x; i < BM; i += THREADS) cp_async_8(rowTiles + (stage * BM + i) * 8, rows + queryRows + start + i, start + i < sight.queries);
    cp_async_commit();
  };
  load_tile<BK>(kTile, k + keyRows * D, first, sight.keys);
  load_tile<BK>(vTile, v + keyRows * D, first, sight.keys);
  load(0);
  for (int at = 0; at < count; ++at) {
    tiles_arrived();  // tile `at`; and every warp is done with the tile before
    if (at + 1 < count) load(at + 1);
    int stage = at % 2, start = (from + at % span) * BM;
    word qTile = qTiles + stage * TILE_BYTES(BM), doutTile = doutTiles + stage * TILE_BYTES(BM);
    const float4* pairs = (const float4*)(memory + (rowTiles - kTile)) + stage * (BM / 2);
    sight = sight_of_head(mask, strides, lengths, head + at / span, heads, queries, keys);

    // keys are the rows of s = k qᵀ and dp = v doutᵀ
    product_rows<BK, BM>(s, kTile, qTile);
    bool edge = sight.partial(start, start + BM - 1, first, first + BK - 1);
    unsigned int hidden = key_weights<BM>(s, scale * LOG2E, edge, row, start, sight, pairs);
    pack_operand<BM>(p, s);
    product_columns<BM, COLUMNS>(accV, p, doutTile, chunk);
    product_rows<BK, BM>(dp, vTile, doutTile);
    key_score_gradients<BM>(dp, s, edge, hidden, pairs);
    pack_operand<BM>(p, dp);
    product_columns<BM, COLUMNS>(accK, p, qTile, chunk);
  }
  __syncthreads();  // every warp is done with the keys and values
  float exists[2] = {row < sight.keys ? 1.f : 0.f, row + 8 < sight.keys ? 1.f : 0.f};
  long long to = keyRows * D + chunk * 8;
  store_tile<BK, COLUMNS>(accK, exists[0] * scale, exists[1] * scale, memory, dk + to, first, keys);
  store_tile<BK, COLUMNS>(accV, exists[0], exists[1], memory + TILE_BYTES(BK), dv + to, first, keys);
}
