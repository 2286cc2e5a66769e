/// Packed weights in each of their formats; see `ck_packed_product`.
#ifndef CKERNELS_PANELS_H
#define CKERNELS_PANELS_H

#include "internal.h"

/// Outputs a panel: two 16-wide vectors, of which eight rows' sums fill sixteen registers.
#define PANEL (2 * CK_LANES)

/// The panels `first` ..< `last` of a product, by which all formats are asked.
typedef struct {
  const void *packed;
  const float *bias, *x;
  size_t ldx;
  float *y;
  size_t ldy, R, N, K, first, last;
  bool accumulate;
} ck_panel_product;

/// The bytes of a panel; packing a weight; its product.
typedef struct {
  size_t (*panel_size)(size_t K);
  void (*pack)(const float *weight, void *packed, size_t N, size_t K);
  void (*multiply)(const ck_panel_product *product);
} ck_panel_kind;

extern const ck_panel_kind ck_bfloat16_panels, ck_int8_panels, ck_int4_panels;

/// y[rows, n] (+)= sums + bias for the panel p and the rows from r on.
void ck_finish_panel(const ck_panel_product *product, size_t p, size_t r, size_t rows, float sums[][PANEL]);

#endif
