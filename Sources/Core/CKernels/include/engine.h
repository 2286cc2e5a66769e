/// Matrix products and convolutions: oneDNN where it is compiled in (`DALLE_ONEDNN`), OpenBLAS otherwise.
///
/// All functions run on the calling thread alone; primitives are made once a shape and thread and kept. Without
/// oneDNN, bfloat16 operands are widened into scratch memory and multiplied by OpenBLAS in float32.
#ifndef CKERNELS_ENGINE_H
#define CKERNELS_ENGINE_H

#include "types.h"

/// "oneDNN 2.6.3" or "OpenBLAS 0.3.21 …", for reports. The text is static.
const char *ck_engine_name(void);
/// Whether bfloat16 products are faster than float32 ones on this CPU with this build.
bool ck_engine_has_fast_bfloat16(void);
/// Makes library calls from the calling thread single-threaded. To be called once by every thread.
void ck_engine_prepare_thread(void);

/// C[M,N] (+)= op(A)·op(B) (+ bias[N], broadcast over rows; may be NULL), op(A) is M×K, op(B) is K×N.
/// `transpose_a` says that A is stored K×M, `transpose_b` that B is stored N×K. `lda`, `ldb`, `ldc` are the row strides
/// of what is stored. A and B have type `operands`, C has type `result` (bfloat16 results need bfloat16 operands).
void ck_gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A,
             size_t lda, const void *B, size_t ldb, ck_type result, void *C, size_t ldc, const float *bias,
             bool accumulate);

/// A two-dimensional convolution: input [B,H,W,C] with so many rows and columns of zeros around it, weight [O,KH,KW,C],
/// output [B,OH,OW,O] with OH = (H + top + bottom - KH) / stride + 1 and OW = (W + left + right - KW) / stride + 1.
typedef struct {
  size_t B, H, W, C, O, KH, KW, stride, top, bottom, left, right;
} ck_convolution;

/// y (+)= conv(x, w) + bias. `bias` [O] may be NULL. x and w have type `operands`, y has type `result`.
void ck_convolution_forward(const ck_convolution *shape, ck_type operands, const void *x, const void *w,
                            const float *bias, ck_type result, void *y, bool accumulate);
/// Rows `first` ..< `last` of the output of one picture (B = 1), for threads that share it out. x and y are those of the
/// whole picture, and y's rows and columns are so many elements apart: OW·O and O where they are dense, more where
/// others' results lie between, with no `accumulate`. `again` says that the calling thread's last call was this one with the same weight, which
/// is then not brought into the engine's order once more.
void ck_convolution_forward_rows(const ck_convolution *shape, size_t first, size_t last, ck_type operands,
                                 const void *x, const void *w, const float *bias, ck_type result, void *y,
                                 size_t row_stride, size_t column_stride, bool accumulate, bool again);
/// dx (+)= convᵀ(dy, w): the gradient to the input, which is also the forward pass of a transposed convolution.
/// dy and w have type `operands`, dx has type `result`. `bias` [C], which may be NULL, is added to dx.
void ck_convolution_backward_data(const ck_convolution *shape, ck_type operands, const void *dy, const void *w,
                                  const float *bias, ck_type result, void *dx, bool accumulate);
/// dw (+)= the gradient to the weight, in float32.  x and dy have type `operands`.
void ck_convolution_backward_weight(const ck_convolution *shape, ck_type operands, const void *x, const void *dy,
                                    float *dw, bool accumulate);

#endif
