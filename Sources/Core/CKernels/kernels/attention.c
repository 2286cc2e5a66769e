#include <math.h>

#include "engine.h"
#include "internal.h"

/// Rows of queries a block: their scores against some hundred keys stay in the second-level cache.
#define BLOCK_ROWS 96

/// The scratch memory, cut up. `narrow` arrays hold scores as the operands of bfloat16 products.
typedef struct {
  size_t stride;               // between rows of scores
  float *scores, *dscores;     // [BLOCK_ROWS, stride]
  uint16_t *narrow, *dnarrow;  // [BLOCK_ROWS, stride]
  float *dkeys, *dvalues;      // [T, D]
  float *y, *dy;               // [D]
} pieces;

static size_t cut(void *scratch, size_t T, size_t D, pieces *p) {
  size_t stride = ck_padded(T), rows = ck_min(T, BLOCK_ROWS), block = rows * stride;
  ck_scratch memory = ck_scratch_in(scratch);
  p->stride = stride;
  p->scores = ck_cut(&memory, block);
  p->dscores = ck_cut(&memory, block);
  p->narrow = (uint16_t *)ck_cut(&memory, block / 2);
  p->dnarrow = (uint16_t *)ck_cut(&memory, block / 2);
  p->dkeys = ck_cut(&memory, ck_padded(T * D));
  p->dvalues = ck_cut(&memory, ck_padded(T * D));
  p->y = ck_cut(&memory, ck_padded(D));
  p->dy = ck_cut(&memory, ck_padded(D));
  return ck_scratch_bytes(&memory);
}

size_t ck_attention_scratch(size_t T, size_t D) {
  pieces p;
  return cut(NULL, T, D, &p);
}

/// One row of scores to probabilities, of which those from `visible` on are 0; returns the log-sum-exp.
CK_CLONES static float probabilities(float *scores, float scale, size_t visible, size_t keys) {
  float largest, sum = ck_exponentials(scores, scale, scores, visible, &largest), factor = 1 / sum;
  for (size_t j = 0; j < visible; j++) scores[j] *= factor;
  for (size_t j = visible; j < keys; j++) scores[j] = 0;
  return scale * largest + ck_log(sum);
}

void ck_attention(ck_type t, const void *qkv, void *y, float *lse, size_t B, size_t T, size_t H, size_t D, bool causal,
                  void *scratch) {
  pieces p;
  cut(scratch, T, D, &p);
  const size_t width = 3 * H * D;
  const float scale = 1 / sqrtf((float)D);
  for (size_t b = 0; b < B; b++) {
    for (size_t h = 0; h < H; h++) {
      size_t head = b * T * width + h * D;
      const void *k = ck_at(t, qkv, head + H * D), *v = ck_at(t, qkv, head + 2 * H * D);
      float *head_lse = lse + (b * H + h) * T;
      for (size_t first = 0; first < T; first += BLOCK_ROWS) {
        size_t rows = ck_min(BLOCK_ROWS, T - first), keys = causal ? first + rows : T;
        const void *q = ck_at(t, qkv, head + first * width);
        ck_gemm(t, false, true, rows, keys, D, q, width, k, width, CK_FLOAT32, p.scores, p.stride, NULL, false);
        for (size_t r = 0; r < rows; r++) {
          float *row = p.scores + r * p.stride;
          head_lse[first + r] = probabilities(row, scale, causal ? first + r + 1 : T, keys);
          if (t == CK_BFLOAT16) ck_narrow(row, p.narrow + r * p.stride, keys);
        }
        const void *operand = t == CK_BFLOAT16 ? (const void *)p.narrow : p.scores;
        ck_gemm(t, false, false, rows, D, keys, operand, p.stride, v, width, t,
                ck_at_mutable(t, y, (b * T + first) * H * D + h * D), H * D, NULL, false);
      }
    }
  }
}

/// The probabilities of a row again, from its scores and its log-sum-exp.
CK_CLONES static void probabilities_again(float *scores, float scale, float lse, size_t visible, size_t keys) {
  CK_INDEPENDENT
  for (size_t j = 0; j < visible; j++) scores[j] = ck_exp(scale * scores[j] - lse);
  for (size_t j = visible; j < keys; j++) scores[j] = 0;
}

/// dS = P∘(dP - delta)·scale, in the place of dP; where P is 0 so is dS, whatever dP is.
CK_CLONES static void scores_backward(const float *p, float *dp, float delta, float scale, size_t visible,
                                      size_t keys) {
  CK_INDEPENDENT
  for (size_t j = 0; j < visible; j++) dp[j] = p[j] * (dp[j] - delta) * scale;
  for (size_t j = visible; j < keys; j++) dp[j] = 0;
}

CK_CLONES static float dot(const float *a, const float *b, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; i++) {
    CK_ANY_ORDER
    sum += a[i] * b[i];
  }
  return sum;
}

void ck_attention_backward(ck_type t, const void *qkv, const void *y, const float *lse, const void *dy, void *dqkv,
                           size_t B, size_t T, size_t H, size_t D, bool causal, void *scratch) {
  pieces p;
  cut(scratch, T, D, &p);
  const size_t width = 3 * H * D;
  const float scale = 1 / sqrtf((float)D);
  const void *operand = t == CK_BFLOAT16 ? (const void *)p.narrow : p.scores;
  const void *doperand = t == CK_BFLOAT16 ? (const void *)p.dnarrow : p.dscores;
  for (size_t b = 0; b < B; b++) {
    for (size_t h = 0; h < H; h++) {
      size_t head = b * T * width + h * D;
      const void *k = ck_at(t, qkv, head + H * D), *v = ck_at(t, qkv, head + 2 * H * D);
      const float *head_lse = lse + (b * H + h) * T;
      // From the last block to the first: the last one sees all keys, even where causal, so that it sets the sums over
      // blocks and the others add to them.
      bool add = false;
      for (size_t block = (T + BLOCK_ROWS - 1) / BLOCK_ROWS; block-- > 0; add = true) {
        size_t first = block * BLOCK_ROWS, rows = ck_min(BLOCK_ROWS, T - first), keys = causal ? first + rows : T;
        size_t out = (b * T + first) * H * D + h * D;
        const void *q = ck_at(t, qkv, head + first * width), *dout = ck_at(t, dy, out);
        ck_gemm(t, false, true, rows, keys, D, q, width, k, width, CK_FLOAT32, p.scores, p.stride, NULL, false);
        ck_gemm(t, false, true, rows, keys, D, dout, H * D, v, width, CK_FLOAT32, p.dscores, p.stride, NULL, false);
        for (size_t r = 0; r < rows; r++) {
          float *row = p.scores + r * p.stride, *drow = p.dscores + r * p.stride;
          size_t visible = causal ? first + r + 1 : T;
          // Σ P·dP over keys is y·dy (Dao et al. 2022, appendix B.2).
          float delta = dot(ck_read(t, y, out + r * H * D, D, p.y), ck_read(t, dy, out + r * H * D, D, p.dy), D);
          probabilities_again(row, scale, head_lse[first + r], visible, keys);
          scores_backward(row, drow, delta, scale, visible, keys);
          if (t == CK_BFLOAT16) {
            ck_narrow(row, p.narrow + r * p.stride, keys);
            ck_narrow(drow, p.dnarrow + r * p.stride, keys);
          }
        }
        ck_gemm(t, true, false, keys, D, rows, operand, p.stride, dout, H * D, CK_FLOAT32, p.dvalues, D, NULL, add);
        ck_gemm(t, true, false, keys, D, rows, doperand, p.stride, q, width, CK_FLOAT32, p.dkeys, D, NULL, add);
        ck_gemm(t, false, false, rows, D, keys, doperand, p.stride, k, width, t,
                ck_at_mutable(t, dqkv, head + first * width), width, NULL, false);
      }
      ck_copy_rows(CK_FLOAT32, p.dkeys, D, t, ck_at_mutable(t, dqkv, head + H * D), width, T, D);
      ck_copy_rows(CK_FLOAT32, p.dvalues, D, t, ck_at_mutable(t, dqkv, head + 2 * H * D), width, T, D);
    }
  }
}
