/// Matrix products and convolutions by OpenBLAS, which multiplies in float32 only: bfloat16 operands are widened first,
/// bfloat16 results rounded last.

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine_shared.h"
#include "kernels.h"

static char name[256];
static pthread_once_t name_once = PTHREAD_ONCE_INIT;

static void make_name(void) {
  // The first word of OpenBLAS's own text is "OpenBLAS" already.
  snprintf(name, sizeof name, "%s", openblas_get_config());
}

const char *openblas_name(void) {
  pthread_once(&name_once, make_name);
  return name;
}

void openblas_prepare_thread(void) { openblas_set_num_threads(1); }

// MARK: - Matrix products

/// The rows of a matrix in float32: themselves, or widened into scratch memory, where their stride becomes `columns`.
static const float *widen(ck_scratch_purpose purpose, ck_type type, const void *x, size_t rows, size_t columns,
                          size_t *stride) {
  if (type == CK_FLOAT32) return x;
  float *wide = ck_engine_scratch(purpose, rows * columns * sizeof(float));
  ck_copy_rows(type, x, *stride, CK_FLOAT32, wide, columns, rows, columns);
  *stride = columns;
  return wide;
}

static void product(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const float *A, size_t lda,
                    const float *B, size_t ldb, float *C, size_t ldc, const float *bias, bool accumulate) {
  if (bias != NULL) {
    for (size_t m = 0; m < M; m++) {
      float *row = C + m * ldc;
      if (accumulate) {
        for (size_t n = 0; n < N; n++) row[n] += bias[n];
      } else {
        memcpy(row, bias, N * sizeof(float));
      }
    }
    accumulate = true;
  }
  if (K == 0) {
    if (!accumulate) {
      for (size_t m = 0; m < M; m++) memset(C + m * ldc, 0, N * sizeof(float));
    }
    return;
  }
  cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
              (blasint)M, (blasint)N, (blasint)K, 1, A, (blasint)lda, B, (blasint)ldb, accumulate ? 1 : 0,
              C, (blasint)ldc);
}

void openblas_gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K,
                   const void *A, size_t lda, const void *B, size_t ldb,
                   ck_type result, void *C, size_t ldc, const float *bias, bool accumulate) {
  if (M == 0 || N == 0) return;
  const float *a = widen(CK_SCRATCH_LEFT, operands, A, transpose_a ? K : M, transpose_a ? M : K, &lda);
  const float *b = widen(CK_SCRATCH_RIGHT, operands, B, transpose_b ? N : K, transpose_b ? K : N, &ldb);
  if (result == CK_FLOAT32) {
    product(transpose_a, transpose_b, M, N, K, a, lda, b, ldb, C, ldc, bias, accumulate);
    return;
  }
  float *c = ck_engine_scratch(CK_SCRATCH_RESULT, M * N * sizeof(float));
  if (accumulate) ck_copy_rows(result, C, ldc, CK_FLOAT32, c, N, M, N);
  product(transpose_a, transpose_b, M, N, K, a, lda, b, ldb, c, N, bias, accumulate);
  ck_copy_rows(CK_FLOAT32, c, N, result, C, ldc, M, N);
}

// MARK: - Convolutions

// A convolution is a product with the matrix of the input's windows, one row a window, laid out as the weight is:
// [KH,KW,C]. It is made for as many rows of the output, counted through the batch, as fit in the cache.
#define WINDOW_ELEMENTS ((size_t)1 << 20)

static size_t rows_at_once(const ck_convolution *s) {
  size_t count = WINDOW_ELEMENTS / (ck_output_width(s) * s->KH * s->KW * s->C);
  return count > 0 ? count : 1;
}

/// The part of row `kh` of a window that lies inside the input.
typedef struct {
  size_t input;   // where it starts in the input
  size_t window;  // where it starts in the window's row
  size_t length;
} stretch;

static inline stretch inside(const ck_convolution *s, size_t b, size_t oh, size_t ow, size_t kh) {
  const ptrdiff_t h = (ptrdiff_t)(oh * s->stride + kh) - (ptrdiff_t)s->padding;
  const ptrdiff_t left = (ptrdiff_t)(ow * s->stride) - (ptrdiff_t)s->padding;
  const ptrdiff_t right = left + (ptrdiff_t)s->KW;
  const ptrdiff_t from = left > 0 ? left : 0;
  const ptrdiff_t to = right < (ptrdiff_t)s->W ? right : (ptrdiff_t)s->W;
  if (h < 0 || h >= (ptrdiff_t)s->H || from >= to) return (stretch){0, 0, 0};
  return (stretch){((b * s->H + (size_t)h) * s->W + (size_t)from) * s->C, (size_t)(from - left) * s->C,
                   (size_t)(to - from) * s->C};
}

static void windows_from_input(const ck_convolution *s, size_t first, size_t last, const float *x, float *windows) {
  const size_t OH = ck_output_height(s), OW = ck_output_width(s), width = s->KW * s->C;
  for (size_t row = first; row < last; row++) {
    for (size_t ow = 0; ow < OW; ow++) {
      for (size_t kh = 0; kh < s->KH; kh++, windows += width) {
        const stretch in = inside(s, row / OH, row % OH, ow, kh);
        if (in.length < width) memset(windows, 0, width * sizeof(float));
        if (in.length > 0) memcpy(windows + in.window, x + in.input, in.length * sizeof(float));
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

static const float *widen_all(ck_scratch_purpose purpose, ck_type type, const void *x, size_t n) {
  if (type == CK_FLOAT32) return x;
  float *wide = ck_engine_scratch(purpose, n * sizeof(float));
  ck_convert(type, x, CK_FLOAT32, wide, n);
  return wide;
}

void openblas_convolution_forward(const ck_convolution *s, ck_type operands, const void *x, const void *w,
                                  const float *bias, ck_type result, void *y, bool accumulate) {
  const size_t OW = ck_output_width(s), all = s->B * ck_output_height(s), K = s->KH * s->KW * s->C, N = s->O;
  if (ck_is_pointwise(s)) {
    openblas_gemm(operands, false, true, all * OW, N, K, x, K, w, K, result, y, N, bias, accumulate);
    return;
  }
  const float *input = widen_all(CK_SCRATCH_INPUT, operands, x, s->B * s->H * s->W * s->C);
  const float *weight = widen_all(CK_SCRATCH_WEIGHT, operands, w, N * K);
  const size_t step = rows_at_once(s);
  float *windows = ck_engine_scratch(CK_SCRATCH_WINDOWS, step * OW * K * sizeof(float));
  float *rounded = result == CK_FLOAT32 ? NULL : ck_engine_scratch(CK_SCRATCH_RESULT, step * OW * N * sizeof(float));
  for (size_t first = 0; first < all; first += step) {
    const size_t last = first + step < all ? first + step : all, M = (last - first) * OW;
    uint8_t *block = (uint8_t *)y + first * OW * N * ck_size(result);
    float *sum = rounded != NULL ? rounded : (float *)block;
    windows_from_input(s, first, last, input, windows);
    if (rounded != NULL && accumulate) ck_convert(result, block, CK_FLOAT32, sum, M * N);
    product(false, true, M, N, K, windows, K, weight, K, sum, N, bias, accumulate);
    if (rounded != NULL) ck_convert(CK_FLOAT32, sum, result, block, M * N);
  }
}

void openblas_convolution_backward_data(const ck_convolution *s, ck_type operands, const void *dy, const void *w,
                                        const float *bias, ck_type result, void *dx, bool accumulate) {
  const size_t OW = ck_output_width(s), all = s->B * ck_output_height(s), K = s->KH * s->KW * s->C, N = s->O;
  if (ck_is_pointwise(s)) {
    openblas_gemm(operands, false, false, all * OW, K, N, dy, N, w, K, result, dx, K, bias, accumulate);
    return;
  }
  const size_t n = s->B * s->H * s->W * s->C;
  const float *output = widen_all(CK_SCRATCH_OUTPUT, operands, dy, all * OW * N);
  const float *weight = widen_all(CK_SCRATCH_WEIGHT, operands, w, N * K);
  const size_t step = rows_at_once(s);
  float *windows = ck_engine_scratch(CK_SCRATCH_WINDOWS, step * OW * K * sizeof(float));
  // The windows overlap, so rounding has to wait for the last of them.
  float *input = result == CK_FLOAT32 ? dx : ck_engine_scratch(CK_SCRATCH_INPUT, n * sizeof(float));
  if (!accumulate) memset(input, 0, n * sizeof(float));
  if (accumulate && result != CK_FLOAT32) ck_convert(result, dx, CK_FLOAT32, input, n);
  for (size_t first = 0; first < all; first += step) {
    const size_t last = first + step < all ? first + step : all;
    product(false, false, (last - first) * OW, K, N, output + first * OW * N, N, weight, K, windows, K, NULL, false);
    add_windows_to_input(s, first, last, windows, input);
  }
  if (bias != NULL) ck_add_rows(CK_FLOAT32, input, bias, 1, result, dx, s->B * s->H * s->W, s->C);
  else if (result != CK_FLOAT32) ck_convert(CK_FLOAT32, input, result, dx, n);
}

void openblas_convolution_backward_weight(const ck_convolution *s, ck_type operands, const void *x, const void *dy,
                                          float *dw, bool accumulate) {
  const size_t OW = ck_output_width(s), all = s->B * ck_output_height(s), K = s->KH * s->KW * s->C, N = s->O;
  if (ck_is_pointwise(s)) {
    openblas_gemm(operands, true, false, N, K, all * OW, dy, N, x, K, CK_FLOAT32, dw, K, NULL, accumulate);
    return;
  }
  const float *input = widen_all(CK_SCRATCH_INPUT, operands, x, s->B * s->H * s->W * s->C);
  const float *output = widen_all(CK_SCRATCH_OUTPUT, operands, dy, all * OW * N);
  const size_t step = rows_at_once(s);
  float *windows = ck_engine_scratch(CK_SCRATCH_WINDOWS, step * OW * K * sizeof(float));
  if (all == 0 && !accumulate) memset(dw, 0, N * K * sizeof(float));
  for (size_t first = 0; first < all; first += step) {
    const size_t last = first + step < all ? first + step : all;
    windows_from_input(s, first, last, input, windows);
    product(true, false, N, K, (last - first) * OW, output + first * OW * N, N, windows, K, dw, K, NULL,
            accumulate || first > 0);
  }
}

// MARK: - The engine, where it is this one

#ifndef DALLE_ONEDNN

const char *ck_engine_name(void) { return openblas_name(); }

bool ck_engine_has_fast_bfloat16(void) { return false; }

void ck_engine_prepare_thread(void) { openblas_prepare_thread(); }

void ck_gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K,
             const void *A, size_t lda, const void *B, size_t ldb,
             ck_type result, void *C, size_t ldc, const float *bias, bool accumulate) {
  openblas_gemm(operands, transpose_a, transpose_b, M, N, K, A, lda, B, ldb, result, C, ldc, bias, accumulate);
}

void ck_convolution_forward(const ck_convolution *shape, ck_type operands, const void *x, const void *w,
                            const float *bias, ck_type result, void *y, bool accumulate) {
  openblas_convolution_forward(shape, operands, x, w, bias, result, y, accumulate);
}

void ck_convolution_backward_data(const ck_convolution *shape, ck_type operands, const void *dy, const void *w,
                                  const float *bias, ck_type result, void *dx, bool accumulate) {
  openblas_convolution_backward_data(shape, operands, dy, w, bias, result, dx, accumulate);
}

void ck_convolution_backward_weight(const ck_convolution *shape, ck_type operands, const void *x, const void *dy,
                                    float *dw, bool accumulate) {
  openblas_convolution_backward_weight(shape, operands, x, dy, dw, accumulate);
}

#endif
