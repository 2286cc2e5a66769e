/// Convolutions of whole pictures, and of some rows of one for threads that share it out.

#include <stddef.h>

#include "engine/shared.h"
#include "kernels.h"

void ck_convolution_forward(const ck_convolution *shape, ck_type operands, const void *x, const void *w,
                            const float *bias, ck_type result, void *y, bool accumulate) {
  engine_convolution_forward(shape, operands, x, w, bias, result, y, accumulate, false);
}

/// The convolution that gives the rows `first` ..< `last` alone, of the input's rows from `from` on.
static ck_convolution part(const ck_convolution *s, size_t first, size_t last, size_t *from) {
  const ptrdiff_t above = (ptrdiff_t)(first * s->stride) - (ptrdiff_t)s->top;
  const ptrdiff_t below = above + (ptrdiff_t)((last - first - 1) * s->stride + s->KH) - (ptrdiff_t)s->H;
  *from = above > 0 ? (size_t)above : 0;
  ck_convolution p = *s;
  p.B = 1;
  p.top = above < 0 ? (size_t)-above : 0;
  p.bottom = below > 0 ? (size_t)below : 0;
  p.H = (last - first - 1) * s->stride + s->KH - p.top - p.bottom;
  return p;
}

void ck_convolution_forward_rows(const ck_convolution *shape, size_t first, size_t last, ck_type operands,
                                 const void *x, const void *w, const float *bias, ck_type result, void *y,
                                 size_t row_stride, size_t column_stride, bool accumulate, bool again) {
  size_t from;
  const ck_convolution p = part(shape, first, last, &from);
  const size_t OW = ck_output_width(shape), size = ck_size(result);
  const void *input = (const uint8_t *)x + from * shape->W * shape->C * ck_size(operands);
  uint8_t *rows = (uint8_t *)y + first * row_stride * size;
  if (column_stride == shape->O && row_stride == OW * shape->O) {
    engine_convolution_forward(&p, operands, input, w, bias, result, rows, accumulate, again);
    return;
  }
  uint8_t *dense = ck_engine_scratch(CK_SCRATCH_BAND, (last - first) * OW * shape->O * size);
  engine_convolution_forward(&p, operands, input, w, bias, result, dense, false, again);
  for (size_t row = 0; row < last - first; row++, dense += OW * shape->O * size, rows += row_stride * size) {
    ck_copy_rows(result, dense, shape->O, result, rows, column_stride, OW, shape->O);
  }
}
