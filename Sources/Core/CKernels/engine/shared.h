/// What the engines share: a thread's scratch memory, matrix products by OpenBLAS and convolutions by matrix products,
/// which stand in wherever oneDNN has nothing to offer.
#ifndef CKERNELS_ENGINE_SHARED_H
#define CKERNELS_ENGINE_SHARED_H

#include "engine.h"

/// The purposes that scratch memory is needed for at the same time.
typedef enum {
  CK_SCRATCH_LEFT,     // the left operand of a product, in another type or order
  CK_SCRATCH_RIGHT,    // the right operand
  CK_SCRATCH_RESULT,   // a product before it is rounded
  CK_SCRATCH_WEIGHT,   // a convolution's weight or its gradient, in another order
  CK_SCRATCH_WINDOWS,  // windows of a convolution's input, laid out as a matrix
  CK_SCRATCH_SUM,      // a convolution's result before it is rounded or added
  CK_SCRATCH_BAND,     // some rows of a convolution's result before they are laid out
  CK_SCRATCH_COUNT
} ck_scratch_purpose;

/// At least `bytes` bytes, aligned for any vector, that belong to the calling thread and are freed when it ends.
/// The contents are lost with the next call for the same purpose. Memory is taken from the system only to grow.
void *ck_engine_scratch(ck_scratch_purpose purpose, size_t bytes);

/// Calls `destroy(value)` when the calling thread ends.
void ck_at_thread_end(void (*destroy)(void *value), void *value);

static inline size_t ck_size(ck_type type) { return type == CK_FLOAT32 ? sizeof(float) : sizeof(uint16_t); }

static inline size_t ck_output_height(const ck_convolution *shape) {
  return (shape->H + shape->top + shape->bottom - shape->KH) / shape->stride + 1;
}

static inline size_t ck_output_width(const ck_convolution *shape) {
  return (shape->W + shape->left + shape->right - shape->KW) / shape->stride + 1;
}

/// A 1×1 convolution that looks at every position is a matrix product as it stands.
static inline bool ck_is_pointwise(const ck_convolution *shape) {
  return shape->KH == 1 && shape->KW == 1 && shape->stride == 1 && shape->top + shape->bottom == 0
    && shape->left + shape->right == 0;
}

/// The engine's `ck_convolution_forward`. `again` as in `engine.h`.
void engine_convolution_forward(const ck_convolution *shape, ck_type operands, const void *x, const void *w,
                                const float *bias, ck_type result, void *y, bool accumulate, bool again);

const char *openblas_name(void);
void openblas_prepare_thread(void);
void openblas_gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A,
                   size_t lda, const void *B, size_t ldb, ck_type result, void *C, size_t ldc, const float *bias,
                   bool accumulate);

/// Below this number of channels a convolution to them leaves most of a vector idle.
#define CK_FEW_CHANNELS 12

static inline bool ck_has_few_inputs(const ck_convolution *shape) {
  return shape->C < CK_FEW_CHANNELS && shape->C < shape->O;
}

/// Whether a convolution has few outputs and a shape that lets `windows_convolution_…` turn it around.
static inline bool ck_is_turned(const ck_convolution *shape) {
  return shape->O < CK_FEW_CHANNELS && shape->O < shape->C && shape->stride == 1 && shape->top < shape->KH
    && shape->bottom < shape->KH && shape->left < shape->KW && shape->right < shape->KW;
}

// Convolutions of any shape by `ck_gemm`. They take what `engine.h` says.
void windows_convolution_forward(const ck_convolution *shape, ck_type operands, const void *x, const void *w,
                                 const float *bias, ck_type result, void *y, bool accumulate);
void windows_convolution_backward_data(const ck_convolution *shape, ck_type operands, const void *dy, const void *w,
                                       const float *bias, ck_type result, void *dx, bool accumulate);
void windows_convolution_backward_weight(const ck_convolution *shape, ck_type operands, const void *x, const void *dy,
                                         float *dw, bool accumulate);

#endif
