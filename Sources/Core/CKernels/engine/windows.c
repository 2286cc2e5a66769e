/// Convolutions by matrix products with the input's windows: what there is without oneDNN, and what is faster than
/// oneDNN where there are few channels.

#include <string.h>

#include "engine/shared.h"
#include "kernels.h"

// Each row of the window matrix is a window, laid out as the weight is: [KH,KW,C]. The matrix is made for as many rows
// of the output, counted through the batch, as fit in the cache.
#define WINDOW_BYTES ((size_t)1 << 20)

static size_t rows_at_once(const ck_convolution *s, ck_type type) {
  size_t count = WINDOW_BYTES / (ck_output_width(s) * s->KH * s->KW * s->C * ck_size(type));
  return count > 0 ? count : 1;
}

/// The part of row `kh` of a window that lies inside the input, counted in elements.
typedef struct {
  size_t input;   // where it starts in the input
  size_t window;  // where it starts in the window's row
  size_t length;
} stretch;

static inline stretch inside(const ck_convolution *s, size_t b, size_t oh, size_t ow, size_t kh) {
  const ptrdiff_t h = (ptrdiff_t)(oh * s->stride + kh) - (ptrdiff_t)s->top;
  const ptrdiff_t left = (ptrdiff_t)(ow * s->stride) - (ptrdiff_t)s->left;
  const ptrdiff_t right = left + (ptrdiff_t)s->KW;
  const ptrdiff_t from = left > 0 ? left : 0;
  const ptrdiff_t to = right < (ptrdiff_t)s->W ? right : (ptrdiff_t)s->W;
  if (h < 0 || h >= (ptrdiff_t)s->H || from >= to) return (stretch){0, 0, 0};
  return (stretch){((b * s->H + (size_t)h) * s->W + (size_t)from) * s->C, (size_t)(from - left) * s->C,
                   (size_t)(to - from) * s->C};
}

static void windows_from_input(const ck_convolution *s, size_t first, size_t last, ck_type type, const void *x,
                               void *windows) {
  const size_t OH = ck_output_height(s), OW = ck_output_width(s), width = s->KW * s->C, size = ck_size(type);
  uint8_t *to = windows;
  for (size_t row = first; row < last; row++) {
    for (size_t ow = 0; ow < OW; ow++) {
      for (size_t kh = 0; kh < s->KH; kh++, to += width * size) {
        const stretch in = inside(s, row / OH, row % OH, ow, kh);
        if (in.length < width) memset(to, 0, width * size);
        memcpy(to + in.window * size, (const uint8_t *)x + in.input * size, in.length * size);
      }
    }
  }
}

static void add_windows_to_input(const ck_convolution *s, size_t first, size_t last, const float *windows, float *dx) {
  const size_t OH = ck_output_height(s), OW = ck_output_width(s), width = s->KW * s->C;
  for (size_t row = first; row < last; row++) {
    for (size_t ow = 0; ow < OW; ow++) {
      for (size_t kh = 0; kh < s->KH; kh++, windows += width) {
        const stretch in = inside(s, row / OH, row % OH, ow, kh);
        float *restrict to = dx + in.input;
        const float *restrict from = windows + in.window;
        for (size_t i = 0; i < in.length; i++) to[i] += from[i];
      }
    }
  }
}

// MARK: - Few outputs

// A product with a handful of columns leaves most of a vector idle. A convolution of stride 1 with few outputs is
// therefore turned around: it is the gradient, to its input, of a convolution from its outputs to its inputs, whose
// weight is the same with the two exchanged and the windows reversed. There the few channels stand beside the window's
// size, KH·KW·O.

static ck_convolution turned(const ck_convolution *s) {
  return (ck_convolution){.B = s->B,
                          .H = ck_output_height(s),
                          .W = ck_output_width(s),
                          .C = s->O,
                          .O = s->C,
                          .KH = s->KH,
                          .KW = s->KW,
                          .stride = 1,
                          .top = s->KH - 1 - s->top,
                          .bottom = s->KH - 1 - s->bottom,
                          .left = s->KW - 1 - s->left,
                          .right = s->KW - 1 - s->right};
}

/// Where element [c,k,o] of the turned weight lies in the weight, k = kh·KW + kw.
static inline size_t before_turning(const ck_convolution *s, size_t c, size_t k, size_t o) {
  const size_t K = s->KH * s->KW;
  return (o * K + (K - 1 - k)) * s->C + c;
}

static void forward_turned(const ck_convolution *s, ck_type operands, const void *x, const void *w, const float *bias,
                           ck_type result, void *y, bool accumulate) {
  const ck_convolution t = turned(s);
  const size_t K = s->KH * s->KW;
  void *weight = ck_engine_scratch(CK_SCRATCH_WEIGHT, s->C * K * s->O * ck_size(operands));
  size_t i = 0;
  for (size_t c = 0; c < s->C; c++) {
    for (size_t k = 0; k < K; k++) {
      for (size_t o = 0; o < s->O; o++, i++) {
        const size_t j = before_turning(s, c, k, o);
        if (operands == CK_FLOAT32) ((float *)weight)[i] = ((const float *)w)[j];
        else ((uint16_t *)weight)[i] = ((const uint16_t *)w)[j];
      }
    }
  }
  windows_convolution_backward_data(&t, operands, x, weight, bias, result, y, accumulate);
}

static void backward_weight_turned(const ck_convolution *s, ck_type operands, const void *x, const void *dy, float *dw,
                                   bool accumulate) {
  const ck_convolution t = turned(s);
  const size_t K = s->KH * s->KW;
  float *weight = ck_engine_scratch(CK_SCRATCH_WEIGHT, s->C * K * s->O * sizeof(float));
  windows_convolution_backward_weight(&t, operands, dy, x, weight, false);
  size_t i = 0;
  for (size_t c = 0; c < s->C; c++) {
    for (size_t k = 0; k < K; k++) {
      for (size_t o = 0; o < s->O; o++, i++) {
        const size_t j = before_turning(s, c, k, o);
        dw[j] = accumulate ? dw[j] + weight[i] : weight[i];
      }
    }
  }
}

// MARK: - All shapes

void windows_convolution_forward(const ck_convolution *s, ck_type operands, const void *x, const void *w,
                                 const float *bias, ck_type result, void *y, bool accumulate) {
  if (ck_is_turned(s)) {
    forward_turned(s, operands, x, w, bias, result, y, accumulate);
    return;
  }
  const size_t OW = ck_output_width(s), all = s->B * ck_output_height(s), K = s->KH * s->KW * s->C, N = s->O;
  const size_t step = rows_at_once(s, operands);
  void *windows = ck_engine_scratch(CK_SCRATCH_WINDOWS, step * OW * K * ck_size(operands));
  for (size_t first = 0; first < all; first += step) {
    const size_t last = first + step < all ? first + step : all;
    windows_from_input(s, first, last, operands, x, windows);
    ck_gemm(operands, false, true, (last - first) * OW, N, K, windows, K, w, K, result,
            (uint8_t *)y + first * OW * N * ck_size(result), N, bias, accumulate);
  }
}

void windows_convolution_backward_data(const ck_convolution *s, ck_type operands, const void *dy, const void *w,
                                       const float *bias, ck_type result, void *dx, bool accumulate) {
  const size_t OW = ck_output_width(s), all = s->B * ck_output_height(s), K = s->KH * s->KW * s->C, N = s->O;
  const size_t n = s->B * s->H * s->W * s->C, step = rows_at_once(s, CK_FLOAT32);
  float *windows = ck_engine_scratch(CK_SCRATCH_WINDOWS, step * OW * K * sizeof(float));
  // The windows overlap, so rounding has to wait for the last of them.
  float *sum = result == CK_FLOAT32 ? dx : ck_engine_scratch(CK_SCRATCH_SUM, n * sizeof(float));
  if (!accumulate) memset(sum, 0, n * sizeof(float));
  else if (result != CK_FLOAT32) ck_convert(result, dx, CK_FLOAT32, sum, n);
  for (size_t first = 0; first < all; first += step) {
    const size_t last = first + step < all ? first + step : all;
    ck_gemm(operands, false, false, (last - first) * OW, K, N, (const uint8_t *)dy + first * OW * N * ck_size(operands),
            N, w, K, CK_FLOAT32, windows, K, NULL, false);
    add_windows_to_input(s, first, last, windows, sum);
  }
  if (bias != NULL) ck_add_rows(CK_FLOAT32, sum, bias, 1, result, dx, s->B * s->H * s->W, s->C);
  else if (result != CK_FLOAT32) ck_convert(CK_FLOAT32, sum, result, dx, n);
}

void windows_convolution_backward_weight(const ck_convolution *s, ck_type operands, const void *x, const void *dy,
                                         float *dw, bool accumulate) {
  if (ck_is_turned(s)) {
    backward_weight_turned(s, operands, x, dy, dw, accumulate);
    return;
  }
  const size_t OW = ck_output_width(s), all = s->B * ck_output_height(s), K = s->KH * s->KW * s->C, N = s->O;
  const size_t step = rows_at_once(s, operands);
  void *windows = ck_engine_scratch(CK_SCRATCH_WINDOWS, step * OW * K * ck_size(operands));
  if (all == 0 && !accumulate) memset(dw, 0, N * K * sizeof(float));
  for (size_t first = 0; first < all; first += step) {
    const size_t last = first + step < all ? first + step : all;
    windows_from_input(s, first, last, operands, x, windows);
    ck_gemm(operands, true, false, N, K, (last - first) * OW, (const uint8_t *)dy + first * OW * N * ck_size(operands),
            N, windows, K, CK_FLOAT32, dw, K, NULL, accumulate || first > 0);
  }
}
