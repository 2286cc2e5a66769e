#include <math.h>

#include "internal.h"

/// Outputs a panel: two 16-wide vectors, of which eight rows' sums fill sixteen registers.
#define PANEL (2 * CK_LANES)
#define MOST_ROWS 8

typedef uint32_t words __attribute__((vector_size(64)));
typedef uint16_t halves __attribute__((vector_size(32)));

size_t ck_packed_size(size_t N, size_t K) { return (N + PANEL - 1) / PANEL * PANEL * K * sizeof(uint16_t); }

void ck_pack(const float *weight, uint16_t *packed, size_t N, size_t K) {
  for (size_t first = 0; first < N; first += PANEL, packed += PANEL * K) {
    size_t outputs = ck_min(PANEL, N - first);
    for (size_t k = 0; k < K; k++) {
      uint16_t *line = packed + k * PANEL;
      for (size_t j = 0; j < outputs; j++) line[j] = ck_to_bfloat16(weight[(first + j) * K + k]);
      for (size_t j = outputs; j < PANEL; j++) line[j] = 0;
    }
  }
}

/// sums[r][j] = Σ over k, in the order of k, of x[r,k]·panel[k,j]. The number of rows is a constant where this is
/// called.
CK_INLINE void panel_product(const uint16_t *panel, const float *x, size_t ldx, size_t K, float sums[][PANEL],
                             size_t rows) {
  ck_floats low[MOST_ROWS], high[MOST_ROWS];
  for (size_t r = 0; r < rows; r++) low[r] = high[r] = (ck_floats){0};
  for (size_t k = 0; k < K; k++) {
    halves packed[2];
    memcpy(packed, panel + k * PANEL, sizeof packed);
    ck_floats w0 = (ck_floats)(__builtin_convertvector(packed[0], words) << 16);
    ck_floats w1 = (ck_floats)(__builtin_convertvector(packed[1], words) << 16);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      float factor = x[r * ldx + k];
      low[r] += factor * w0;
      high[r] += factor * w1;
    }
  }
  for (size_t r = 0; r < rows; r++) {
    memcpy(sums[r], &low[r], sizeof low[r]);
    memcpy(sums[r] + PANEL / 2, &high[r], sizeof high[r]);
  }
}

/// As many rows as can be taken at once, of which there are `left`: returns that number.
CK_CLONES static size_t some_rows(const uint16_t *panel, const float *x, size_t ldx, size_t K, float sums[][PANEL],
                                  size_t left) {
  if (left >= 8) return panel_product(panel, x, ldx, K, sums, 8), 8;
  if (left >= 4) return panel_product(panel, x, ldx, K, sums, 4), 4;
  if (left >= 2) return panel_product(panel, x, ldx, K, sums, 2), 2;
  return panel_product(panel, x, ldx, K, sums, 1), 1;
}

/// y (+)= sum + bias
CK_CLONES static void finish(const float *sum, const float *bias, float *y, size_t n, bool accumulate) {
  if (accumulate) {
    CK_INDEPENDENT
    for (size_t i = 0; i < n; i++) y[i] += sum[i] + bias[i];
  } else {
    CK_INDEPENDENT
    for (size_t i = 0; i < n; i++) y[i] = sum[i] + bias[i];
  }
}

void ck_packed_product(const uint16_t *packed, const float *bias, const float *x, size_t ldx, float *y, size_t ldy,
                       size_t R, size_t N, size_t K, size_t first, size_t last, bool accumulate) {
  static const float no_bias[PANEL];
  alignas(64) float sums[MOST_ROWS][PANEL];
  for (size_t p = first; p < last; p++) {
    size_t n = p * PANEL, outputs = ck_min(PANEL, N - n);
    for (size_t r = 0; r < R;) {
      size_t rows = some_rows(packed + p * PANEL * K, x + r * ldx, ldx, K, sums, R - r);
      for (size_t i = 0; i < rows; i++)
        finish(sums[i], bias ? bias + n : no_bias, y + (r + i) * ldy + n, outputs, accumulate);
      r += rows;
    }
  }
}

// MARK: - Attention

void ck_cache_keys(const float *k, uint16_t *keys, size_t T, size_t slot, size_t channels) {
  for (size_t c = 0; c < channels; c++) keys[c * T + slot] = ck_to_bfloat16(k[c]);
}

void ck_cache_values(const float *v, uint16_t *values, size_t channels) { ck_narrow(v, values, channels); }

/// sums += factor·x for sixteen bfloat16 numbers.
CK_INLINE void add_product(ck_floats *sums, float factor, const uint16_t *x) {
  halves packed;
  memcpy(&packed, x, sizeof packed);
  *sums += factor * (ck_floats)(__builtin_convertvector(packed, words) << 16);
}

/// scores[j] = q·keys[:, j] for the first `count` of `keys`, and for those up to the next multiple of 32, whose scores
/// mean nothing.
CK_INLINE void attention_scores(const float *q, const uint16_t *keys, size_t T, size_t count, size_t D, float *scores) {
  for (size_t j = 0; j < count; j += 2 * CK_LANES) {
    ck_floats low = {0}, high = {0};
    for (size_t d = 0; d < D; d++) {
      add_product(&low, q[d], keys + d * T + j);
      add_product(&high, q[d], keys + d * T + j + CK_LANES);
    }
    memcpy(scores + j, &low, sizeof low);
    memcpy(scores + j + CK_LANES, &high, sizeof high);
  }
}

CK_CLONES static void decode_attention(const float *q, const uint16_t *keys, const uint16_t *values, size_t T, size_t C,
                                       const ck_run *runs, size_t run_count, size_t D, float scale, float *scores,
                                       float *out) {
  // The scores of all runs side by side: what one run leaves beyond its end the next one overwrites.
  size_t seen = 0;
  for (size_t i = 0; i < run_count; seen += runs[i++].count)
    attention_scores(q, keys + runs[i].first, T, runs[i].count, D, scores + seen);
  float largest, factor = 1 / ck_exponentials(scores, scale, scores, seen, &largest);
  size_t d = 0;
  for (; d + 2 * CK_LANES <= D; d += 2 * CK_LANES) {
    ck_floats low = {0}, high = {0};
    const float *score = scores;
    for (size_t i = 0; i < run_count; i++) {
      const uint16_t *line = values + runs[i].first * C + d;
      for (size_t j = 0; j < runs[i].count; j++, line += C, score++) {
        add_product(&low, *score, line);
        add_product(&high, *score, line + CK_LANES);
      }
    }
    low *= factor;
    high *= factor;
    memcpy(out + d, &low, sizeof low);
    memcpy(out + d + CK_LANES, &high, sizeof high);
  }
  for (; d < D; d++) {
    float sum = 0;
    const float *score = scores;
    for (size_t i = 0; i < run_count; i++) {
      const uint16_t *line = values + runs[i].first * C + d;
      for (size_t j = 0; j < runs[i].count; j++) sum += *score++ * ck_from_bfloat16(line[j * C]);
    }
    out[d] = sum * factor;
  }
}

void ck_decode_attention(const float *q, const uint16_t *keys, const uint16_t *values, size_t T, size_t C,
                         const ck_attention_mask *mask, size_t position, size_t D, float *scores, float *out) {
  ck_run runs[CK_MOST_RUNS];
  size_t run_count = ck_attention_runs(mask, position, runs);
  decode_attention(q, keys, values, T, C, runs, run_count, D, 1 / sqrtf((float)D), scores, out);
}
