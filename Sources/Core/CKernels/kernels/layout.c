#include "internal.h"

/// For each of the B·(H/s)·(W/s) blocks, s runs of s·C elements that lie together on both sides. `deep` has the blocks
/// whole, `wide` has them spread over s rows of pixels.
static void rearrange(char *deep, char *wide, bool to_deep, size_t B, size_t H, size_t W, size_t C, size_t s,
                      size_t element) {
  size_t run = s * C * element, rows = B * (H / s), columns = W / s;
  for (size_t row = 0; row < rows; row++) {
    for (size_t r = 0; r < s; r++) {
      char *line = wide + (row * s + r) * W * C * element;
      for (size_t column = 0; column < columns; column++) {
        char *inner = deep + ((row * columns + column) * s + r) * run, *outer = line + column * run;
        if (to_deep) {
          memcpy(inner, outer, run);
        } else {
          memcpy(outer, inner, run);
        }
      }
    }
  }
}

void ck_space_to_depth(ck_type t, const void *x, void *y, size_t B, size_t H, size_t W, size_t C, size_t s) {
  rearrange(y, (char *)x, true, B, H, W, C, s, ck_size(t));
}

void ck_depth_to_space(ck_type t, const void *x, void *y, size_t B, size_t H, size_t W, size_t C, size_t s) {
  rearrange((char *)x, y, false, B, H, W, C, s, ck_size(t));
}

void ck_copy_rows(ck_type xt, const void *x, size_t ldx, ck_type yt, void *y, size_t ldy, size_t N, size_t C) {
  if (ldx == C && ldy == C) {
    ck_convert(xt, x, yt, y, N * C);
    return;
  }
  for (size_t n = 0; n < N; n++) ck_convert(xt, ck_at(xt, x, n * ldx), yt, ck_at_mutable(yt, y, n * ldy), C);
}

// MARK: - Embedding

void ck_embedding(const float *table, const int32_t *tokens, ck_type yt, void *y, size_t N, size_t C) {
  for (size_t n = 0; n < N; n++)
    ck_convert(CK_FLOAT32, table + (size_t)tokens[n] * C, yt, ck_at_mutable(yt, y, n * C), C);
}

CK_CLONES static void add(const float *x, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

void ck_embedding_backward(ck_type dyt, const void *dy, const int32_t *tokens, float *dtable, size_t N, size_t C) {
  float *buffer = ck_buffer(C);
  for (size_t n = 0; n < N; n++) add(ck_read(dyt, dy, n * C, C, buffer), dtable + (size_t)tokens[n] * C, C);
}

// MARK: - Vector quantisation

/// The first of the largest of scores + bias. Adding zero makes -0 into 0, which would else be ordered below it.
CK_CLONES static int32_t argmax(const float *scores, const float *bias, size_t K) {
  int32_t largest = INT32_MIN;
  for (size_t k = 0; k < K; k++) {
    int32_t order = ck_ordered(scores[k] + bias[k] + 0.0f);
    largest = order > largest ? order : largest;
  }
  int32_t index = INT32_MAX;
  for (size_t k = 0; k < K; k++) {
    int32_t candidate = ck_ordered(scores[k] + bias[k] + 0.0f) == largest ? (int32_t)k : INT32_MAX;
    index = candidate < index ? candidate : index;
  }
  return index;
}

void ck_argmax(const float *scores, const float *bias, int32_t *index, size_t N, size_t K) {
  if (!bias) {
    float *zeros = ck_buffer(K);
    memset(zeros, 0, K * sizeof *zeros);
    bias = zeros;
  }
  for (size_t n = 0; n < N; n++) index[n] = argmax(scores + n * K, bias, K);
}

void ck_scatter_sum(ck_type xt, const void *x, const int32_t *index, float *counts, float *sums, size_t N, size_t E) {
  float *buffer = ck_buffer(E);
  for (size_t n = 0; n < N; n++) {
    size_t k = (size_t)index[n];
    counts[k] += 1;
    add(ck_read(xt, x, n * E, E, buffer), sums + k * E, E);
  }
}
