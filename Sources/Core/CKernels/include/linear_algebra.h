/// Linear algebra in float64, for the classical models: OpenBLAS and its LAPACK, whose Fortran names stay behind this
/// header. Matrices are row-major and dense. All functions run on the calling thread alone.
#ifndef CKERNELS_LINEAR_ALGEBRA_H
#define CKERNELS_LINEAR_ALGEBRA_H

#include "types.h"

/// C[M,N] = op(A)·op(B) + beta·C, op(A) is M×K, op(B) is K×N.
void ck_gemm_float64(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const double *A, const double *B,
                     double beta, double *C);

/// A = L·Lᵀ: the lower triangle of A [D,D] becomes L, the upper one 0. False where A is not positive definite.
bool ck_cholesky(double *A, size_t D);
/// A lower triangle L [D,D] becomes L⁻¹. False where a diagonal element is 0.
bool ck_invert_lower(double *L, size_t D);
/// The `count` largest eigenvalues of the symmetric A [D,D], falling, and their unit eigenvectors as rows of `vectors`
/// [count,D]. A is overwritten. False where the algorithm does not converge.
bool ck_largest_eigenpairs(double *A, size_t D, size_t count, double *values, double *vectors);

/// The lower triangle of S [D,D] += Σ w_n (x_n - mean)(x_n - mean)ᵀ over the rows of x [N,D]; row n's weight is
/// w[n·w_stride], or 1 where w is NULL. `scratch` has room for `ck_row_block(D)`·D.
void ck_weighted_scatter(const double *x, size_t N, size_t D, const double *mean, const double *w, size_t w_stride,
                         double *S, double *scratch);
/// s [D] += Σ w_n (x_n - mean)².
void ck_weighted_squares(const double *x, size_t N, size_t D, const double *mean, const double *w, size_t w_stride,
                         double *s);

/// out[n·stride] = constant - ‖L⁻¹(x_n - mean)‖²/2: a normal log-density, of which L is the covariance's Cholesky factor.
void ck_normal_log_density(const double *x, size_t N, size_t D, const double *mean, const double *inverse_factor,
                           double constant, double *out, size_t stride, double *scratch);
/// The same where the covariance is diagonal: out = constant - Σ precision·(x - mean)²/2.
void ck_diagonal_log_density(const double *x, size_t N, size_t D, const double *mean, const double *precision,
                             double constant, double *out, size_t stride);
/// Each row of x [N,K] becomes softmax(x); `log_sums` [N] takes the rows' log-sum-exps.
void ck_softmax_float64(double *x, size_t N, size_t K, double *log_sums);

/// Rows at a time that stay in the second-level cache.
size_t ck_row_block(size_t D);

#endif
