/// Matrix products by OpenBLAS, which multiplies in float32 only: bfloat16 operands are widened first,
/// bfloat16 results rounded last.

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/shared.h"
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
              (blasint)M, (blasint)N, (blasint)K, 1, A, (blasint)lda, B, (blasint)ldb, accumulate ? 1 : 0, C,
              (blasint)ldc);
}

void openblas_gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A,
                   size_t lda, const void *B, size_t ldb, ck_type result, void *C, size_t ldc, const float *bias,
                   bool accumulate) {
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

// MARK: - The engine, where it is this one

#ifndef DALLE_ONEDNN

const char *ck_engine_name(void) { return openblas_name(); }

bool ck_engine_has_fast_bfloat16(void) { return false; }

void ck_engine_prepare_thread(void) { openblas_prepare_thread(); }

void ck_gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A,
             size_t lda, const void *B, size_t ldb, ck_type result, void *C, size_t ldc, const float *bias,
             bool accumulate) {
  openblas_gemm(operands, transpose_a, transpose_b, M, N, K, A, lda, B, ldb, result, C, ldc, bias, accumulate);
}

void engine_convolution_forward(const ck_convolution *shape, ck_type operands, const void *x, const void *w,
                                const float *bias, ck_type result, void *y, bool accumulate, bool again) {
  (void)again;
  windows_convolution_forward(shape, operands, x, w, bias, result, y, accumulate);
}

void ck_convolution_backward_data(const ck_convolution *shape, ck_type operands, const void *dy, const void *w,
                                  const float *bias, ck_type result, void *dx, bool accumulate) {
  windows_convolution_backward_data(shape, operands, dy, w, bias, result, dx, accumulate);
}

void ck_convolution_backward_weight(const ck_convolution *shape, ck_type operands, const void *x, const void *dy,
                                    float *dw, bool accumulate) {
  windows_convolution_backward_weight(shape, operands, x, dy, dw, accumulate);
}

#endif
