#include "internal.h"

/// Rows whose sums are kept in registers at once.
#define MOST_ROWS 8

CK_CLONES void ck_finish_panel(const ck_panel_product *product, size_t p, size_t r, size_t rows, float sums[][PANEL]) {
  static const float no_bias[PANEL];
  size_t first = p * PANEL, n = ck_min(PANEL, product->N - first);
  const float *bias = product->bias ? product->bias + first : no_bias;
  float *y = product->y + r * product->ldy + first;
  for (size_t i = 0; i < rows; i++, y += product->ldy) {
    if (product->accumulate) {
      CK_INDEPENDENT
      for (size_t j = 0; j < n; j++) y[j] += sums[i][j] + bias[j];
    } else {
      CK_INDEPENDENT
      for (size_t j = 0; j < n; j++) y[j] = sums[i][j] + bias[j];
    }
  }
}

// MARK: - Float32: [K][32] a panel

static size_t float_panel_size(size_t K) { return PANEL * K * sizeof(float); }

static void pack_floats(const float *weight, void *packed, size_t N, size_t K) {
  float *panels = (float *)packed;
  for (size_t n = 0; n < N; n++)
    for (size_t k = 0; k < K; k++) panels[(n / PANEL * K + k) * PANEL + n % PANEL] = weight[n * K + k];
}

CK_INLINE void float_rows(const float *panel, const float *x, size_t ldx, size_t K, float sums[][PANEL], size_t rows) {
  ck_floats low[MOST_ROWS], high[MOST_ROWS];
  for (size_t r = 0; r < rows; r++) low[r] = high[r] = (ck_floats){0};
  for (size_t k = 0; k < K; k++, panel += PANEL) {
    ck_floats w[2];
    memcpy(w, panel, sizeof w);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      low[r] += w[0] * x[r * ldx + k];
      high[r] += w[1] * x[r * ldx + k];
    }
  }
  for (size_t r = 0; r < rows; r++) {
    memcpy(sums[r], &low[r], sizeof low[r]);
    memcpy(sums[r] + CK_LANES, &high[r], sizeof high[r]);
  }
}

/// As many rows as can be taken at once, of which there are `left`: returns that number.
CK_CLONES static size_t some_float_rows(const float *panel, const float *x, size_t ldx, size_t K, float sums[][PANEL],
                                        size_t left) {
  if (left >= 8) return float_rows(panel, x, ldx, K, sums, 8), 8;
  if (left >= 4) return float_rows(panel, x, ldx, K, sums, 4), 4;
  if (left >= 2) return float_rows(panel, x, ldx, K, sums, 2), 2;
  return float_rows(panel, x, ldx, K, sums, 1), 1;
}

static void multiply_floats(const ck_panel_product *product) {
  alignas(64) float sums[MOST_ROWS][PANEL];
  for (size_t p = product->first; p < product->last; p++)
    for (size_t r = 0; r < product->R;) {
      const float *panel = (const float *)product->packed + p * PANEL * product->K;
      size_t rows =
        some_float_rows(panel, product->x + r * product->ldx, product->ldx, product->K, sums, product->R - r);
      ck_finish_panel(product, p, r, rows, sums);
      r += rows;
    }
}

static const ck_panel_kind float_panels = {float_panel_size, pack_floats, multiply_floats};

// MARK: - All formats

static const ck_panel_kind *kind_of(ck_panel_format format) {
  switch (format) {
  case CK_PANELS_FLOAT32: return &float_panels;
  case CK_PANELS_BFLOAT16: return &ck_bfloat16_panels;
  case CK_PANELS_INT8: return &ck_int8_panels;
  case CK_PANELS_INT4: return &ck_int4_panels;
  }
  return NULL;
}

size_t ck_packed_size(ck_panel_format format, size_t N, size_t K) {
  return (N + PANEL - 1) / PANEL * kind_of(format)->panel_size(K);
}

void ck_pack(ck_panel_format format, const float *weight, void *packed, size_t N, size_t K) {
  memset(packed, 0, ck_packed_size(format, N, K));
  kind_of(format)->pack(weight, packed, N, K);
}

void ck_packed_product(ck_panel_format format, const void *packed, const float *bias, const float *x, size_t ldx,
                       float *y, size_t ldy, size_t R, size_t N, size_t K, size_t first, size_t last, bool accumulate) {
  ck_panel_product product = {packed, bias, x, ldx, y, ldy, R, N, K, first, last, accumulate};
  kind_of(format)->multiply(&product);
}

CK_CLONES void ck_touch(const void *memory, size_t n, float *out) {
  typedef uint64_t line __attribute__((vector_size(64)));
  line sums[4] = {{0}};
  for (size_t i = 0; i < n / sizeof(line); i++) sums[i % 4] ^= ((const line *)memory)[i];
  line sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  *out = (float)(sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7]);
}
