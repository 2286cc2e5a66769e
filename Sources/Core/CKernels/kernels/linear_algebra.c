#include "linear_algebra.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "internal.h"

// LAPACK as Fortran exports it: everything by address, matrices column-major. A row-major symmetric or triangular matrix is
// the column-major transposed one, so "upper" here is the lower triangle of our matrices.
extern void dpotrf_(const char *triangle, const int *n, double *a, const int *lda, int *info);
extern void dtrtri_(const char *triangle, const char *diagonal, const int *n, double *a, const int *lda, int *info);
extern void dsyevr_(const char *job, const char *range, const char *triangle, const int *n, double *a, const int *lda,
                    const double *vl, const double *vu, const int *il, const int *iu, const double *tolerance, int *m,
                    double *w, double *z, const int *ldz, int *support, double *work, const int *work_size,
                    int *integer_work, const int *integer_work_size, int *info);

void ck_gemm_float64(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const double *A, const double *B,
                     double beta, double *C) {
  if (M == 0 || N == 0) return;
  cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
              (blasint)M, (blasint)N, (blasint)K, 1, A, (blasint)(transpose_a ? M : K), B,
              (blasint)(transpose_b ? K : N), beta, C, (blasint)N);
}

bool ck_cholesky(double *A, size_t D) {
  const int n = (int)D;
  int info = 0;
  dpotrf_("U", &n, A, &n, &info);
  for (size_t i = 0; i < D; i++) {
    for (size_t j = i + 1; j < D; j++) A[i * D + j] = 0;
  }
  return info == 0;
}

bool ck_invert_lower(double *L, size_t D) {
  const int n = (int)D;
  int info = 0;
  dtrtri_("U", "N", &n, L, &n, &info);
  return info == 0;
}

bool ck_largest_eigenpairs(double *A, size_t D, size_t count, double *values, double *vectors) {
  const int n = (int)D, first = n - (int)count + 1, work_size = 32 * n + 64, integer_size = 12 * n + 16;
  const double unused = 0, tolerance = 0;
  double *work = malloc((size_t)work_size * sizeof *work), *rising = malloc(D * sizeof *rising);
  int *integers = malloc((size_t)integer_size * sizeof *integers), *support = malloc(2 * D * sizeof *support);
  int found = 0, info = -1;
  if (work != NULL && rising != NULL && integers != NULL && support != NULL) {
    dsyevr_("V", "I", "U", &n, A, &n, &unused, &unused, &first, &n, &tolerance, &found, rising, vectors, &n, support,
            work, &work_size, integers, &integer_size, &info);
  }
  const bool converged = info == 0 && found == (int)count;
  if (converged) {
    for (size_t i = 0; i < count; i++) values[i] = rising[count - 1 - i];
    for (size_t i = 0; i < count / 2; i++) {
      double *low = vectors + i * D, *high = vectors + (count - 1 - i) * D;
      for (size_t j = 0; j < D; j++) {
        double keep = low[j];
        low[j] = high[j], high[j] = keep;
      }
    }
  }
  free(work), free(rising), free(integers), free(support);
  return converged;
}

// MARK: - Sums over rows

size_t ck_row_block(size_t D) { return ck_max(16, ck_min(512, ((size_t)1 << 16) / ck_max(D, 1))); }

/// y = (x - mean)·scale
CK_CLONES static void centre(const double *x, const double *mean, double scale, double *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = (x[i] - mean[i]) * scale;
}

CK_CLONES static double squared_norm(const double *x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    CK_ANY_ORDER
    sum += x[i] * x[i];
  }
  return sum;
}

void ck_weighted_scatter(const double *x, size_t N, size_t D, const double *mean, const double *w, size_t w_stride,
                         double *S, double *scratch) {
  const size_t block = ck_row_block(D);
  for (size_t first = 0; first < N; first += block) {
    const size_t rows = ck_min(block, N - first);
    for (size_t r = 0; r < rows; r++) {
      const double scale = w == NULL ? 1 : sqrt(w[(first + r) * w_stride]);
      centre(x + (first + r) * D, mean, scale, scratch + r * D, D);
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (blasint)D, (blasint)rows, 1, scratch, (blasint)D, 1, S,
                (blasint)D);
  }
}

CK_CLONES static void add_squares(const double *x, const double *mean, double w, double *s, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) s[i] += w * (x[i] - mean[i]) * (x[i] - mean[i]);
}

void ck_weighted_squares(const double *x, size_t N, size_t D, const double *mean, const double *w, size_t w_stride,
                         double *s) {
  for (size_t n = 0; n < N; n++) add_squares(x + n * D, mean, w == NULL ? 1 : w[n * w_stride], s, D);
}

// MARK: - Densities

void ck_normal_log_density(const double *x, size_t N, size_t D, const double *mean, const double *inverse_factor,
                           double constant, double *out, size_t stride, double *scratch) {
  const size_t block = ck_row_block(D);
  for (size_t first = 0; first < N; first += block) {
    const size_t rows = ck_min(block, N - first);
    for (size_t r = 0; r < rows; r++) centre(x + (first + r) * D, mean, 1, scratch + r * D, D);
    cblas_dtrmm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (blasint)rows, (blasint)D, 1,
                inverse_factor, (blasint)D, scratch, (blasint)D);
    for (size_t r = 0; r < rows; r++) {
      out[(first + r) * stride] = constant - squared_norm(scratch + r * D, D) / 2;
    }
  }
}

CK_CLONES static double scaled_distance(const double *x, const double *mean, const double *precision, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    CK_ANY_ORDER
    sum += precision[i] * ((x[i] - mean[i]) * (x[i] - mean[i]));
  }
  return sum;
}

void ck_diagonal_log_density(const double *x, size_t N, size_t D, const double *mean, const double *precision,
                             double constant, double *out, size_t stride) {
  for (size_t n = 0; n < N; n++) {
    out[n * stride] = constant - scaled_distance(x + n * D, mean, precision, D) / 2;
  }
}

void ck_softmax_float64(double *x, size_t N, size_t K, double *log_sums) {
  for (size_t n = 0; n < N; n++) {
    double *row = x + n * K, largest = -INFINITY, sum = 0;
    for (size_t k = 0; k < K; k++) largest = fmax(largest, row[k]);
    for (size_t k = 0; k < K; k++) sum += row[k] = exp(row[k] - largest);
    for (size_t k = 0; k < K; k++) row[k] /= sum;
    log_sums[n] = largest + log(sum);
  }
}
