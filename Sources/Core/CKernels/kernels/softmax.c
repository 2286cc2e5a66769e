#include <math.h>

#include "internal.h"

CK_CLONES static void softmax(const float *x, float *y, size_t rows, size_t C) {
  for (size_t r = 0; r < rows; r++, x += C, y += C) {
    float largest, scale = 1 / ck_exponentials(x, 1, y, C, &largest);
    for (size_t c = 0; c < C; c++) y[c] *= scale;
  }
}

void ck_softmax(ck_type xt, const void *x, ck_type yt, void *y, size_t N, size_t C) {
  if (C == 0) return;
  size_t at_once = ck_rows_at_once(C), stride = ck_padded(at_once * C);
  float *x_buffer = ck_buffer(2 * stride), *y_buffer = x_buffer + stride;
  for (size_t n = 0; n < N; n += at_once) {
    size_t rows = ck_min(at_once, N - n);
    const float *xs = ck_read(xt, x, n * C, rows * C, x_buffer);
    float *ys = ck_place(yt, y, n * C, y_buffer);
    softmax(xs, ys, rows, C);
    ck_write(yt, y, n * C, rows * C, ys);
  }
}

CK_CLONES static void softmax_backward(const float *y, const float *dy, float *dx, size_t rows, size_t C) {
  for (size_t r = 0; r < rows; r++, y += C, dy += C, dx += C) {
    float projection = 0;
    for (size_t c = 0; c < C; c++) {
      CK_ANY_ORDER
      projection += y[c] * dy[c];
    }
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) dx[c] = y[c] * (dy[c] - projection);
  }
}

void ck_softmax_backward(ck_type yt, const void *y, ck_type dyt, const void *dy, ck_type dxt, void *dx, size_t N,
                         size_t C) {
  size_t at_once = ck_rows_at_once(C), stride = ck_padded(at_once * C);
  float *y_buffer = ck_buffer(3 * stride), *dy_buffer = y_buffer + stride, *dx_buffer = dy_buffer + stride;
  for (size_t n = 0; n < N; n += at_once) {
    size_t rows = ck_min(at_once, N - n);
    const float *ys = ck_read(yt, y, n * C, rows * C, y_buffer), *dys = ck_read(dyt, dy, n * C, rows * C, dy_buffer);
    float *dxs = ck_place(dxt, dx, n * C, dx_buffer);
    softmax_backward(ys, dys, dxs, rows, C);
    ck_write(dxt, dx, n * C, rows * C, dxs);
  }
}

// MARK: - Cross entropy

CK_CLONES static float exponentials(const float *x, float *e, size_t C, float *largest) {
  return ck_exponentials(x, 1, e, C, largest);
}

CK_CLONES static void multiply(const float *x, float factor, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = factor * x[i];
}

double ck_cross_entropy(ck_type xt, const void *logits, const int32_t *targets, ck_type dt, void *dlogits, float scale,
                        size_t N, size_t C) {
  size_t stride = ck_padded(C);
  float *x_buffer = ck_buffer(2 * stride), *e = x_buffer + stride;
  double total = 0;
  for (size_t n = 0; n < N; n++) {
    int32_t target = targets[n];
    if (target < 0) {
      if (dlogits) ck_fill(dt, ck_at_mutable(dt, dlogits, n * C), 0, C);
      continue;
    }
    const float *x = ck_read(xt, logits, n * C, C, x_buffer);
    float largest, sum = exponentials(x, e, C, &largest);
    total += log((double)sum) + ((double)largest - (double)x[target]);
    if (dlogits) {
      float *d = ck_place(dt, dlogits, n * C, e);
      multiply(e, scale / sum, d, C);
      d[target] -= scale;
      ck_write(dt, dlogits, n * C, C, d);
    }
  }
  return total;
}
