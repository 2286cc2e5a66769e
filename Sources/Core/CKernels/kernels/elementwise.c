#include "internal.h"

// MARK: - Conversion

CK_CLONES static void widen(const uint16_t *x, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = ck_from_bfloat16(x[i]);
}

void ck_widen(const uint16_t *x, float *y, size_t n) { widen(x, y, n); }

CK_CLONES static void widen_float16(const uint16_t *x, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = ck_from_float16(x[i]);
}

void ck_widen_float16(const uint16_t *x, float *y, size_t n) { widen_float16(x, y, n); }

CK_CLONES static void narrow(const float *x, uint16_t *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = ck_to_bfloat16(x[i]);
}

void ck_narrow(const float *x, uint16_t *y, size_t n) { narrow(x, y, n); }

void ck_convert(ck_type xt, const void *x, ck_type yt, void *y, size_t n) {
  if (xt == yt) {
    memmove(y, x, n * ck_size(xt));
  } else if (xt == CK_BFLOAT16) {
    ck_widen(x, y, n);
  } else {
    ck_narrow(x, y, n);
  }
}

CK_CLONES static void convert_bytes(const uint8_t *x, float scale, float offset, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = scale * (float)x[i] + offset;
}

void ck_convert_bytes(const uint8_t *x, float scale, float offset, ck_type yt, void *y, size_t n) {
  alignas(64) float buffer[CK_BLOCK];
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    float *ys = ck_place(yt, y, i, buffer);
    convert_bytes(x + i, scale, offset, ys, m);
    ck_write(yt, y, i, m, ys);
  }
}

CK_CLONES static void fill_float32(float *y, float value, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = value;
}

CK_CLONES static void fill_bfloat16(uint16_t *y, uint16_t value, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = value;
}

void ck_fill(ck_type yt, void *y, float value, size_t n) {
  if (yt == CK_FLOAT32) {
    fill_float32(y, value, n);
  } else {
    fill_bfloat16(y, ck_to_bfloat16(value), n);
  }
}

// MARK: - Arithmetic

CK_CLONES static void scale(const float *a, float alpha, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = alpha * a[i];
}

CK_CLONES static void combine(const float *a, float alpha, const float *b, float beta, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = alpha * a[i] + beta * b[i];
}

void ck_combine(ck_type at, const void *a, float alpha, ck_type bt, const void *b, float beta, ck_type yt, void *y,
                size_t n) {
  alignas(64) float a_buffer[CK_BLOCK], b_buffer[CK_BLOCK], y_buffer[CK_BLOCK];
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    const float *as = ck_read(at, a, i, m, a_buffer);
    float *ys = ck_place(yt, y, i, y_buffer);
    if (b) {
      combine(as, alpha, ck_read(bt, b, i, m, b_buffer), beta, ys, m);
    } else {
      scale(as, alpha, ys, m);
    }
    ck_write(yt, y, i, m, ys);
  }
}

CK_CLONES static void multiply(const float *a, const float *b, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = a[i] * b[i];
}

CK_CLONES static void multiply_add(const float *a, const float *b, const float *c, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = c[i] + a[i] * b[i];
}

void ck_multiply(ck_type at, const void *a, ck_type bt, const void *b, ck_type yt, void *y, size_t n, bool accumulate) {
  alignas(64) float a_buffer[CK_BLOCK], b_buffer[CK_BLOCK], y_buffer[CK_BLOCK];
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    const float *as = ck_read(at, a, i, m, a_buffer), *bs = ck_read(bt, b, i, m, b_buffer);
    float *ys = ck_place(yt, y, i, y_buffer);
    if (accumulate) {
      multiply_add(as, bs, ck_read(yt, y, i, m, y_buffer), ys, m);
    } else {
      multiply(as, bs, ys, m);
    }
    ck_write(yt, y, i, m, ys);
  }
}

CK_CLONES static void divide(const float *a, const float *b, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = a[i] / b[i];
}

void ck_divide(ck_type at, const void *a, ck_type bt, const void *b, ck_type yt, void *y, size_t n) {
  alignas(64) float a_buffer[CK_BLOCK], b_buffer[CK_BLOCK], y_buffer[CK_BLOCK];
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    const float *as = ck_read(at, a, i, m, a_buffer), *bs = ck_read(bt, b, i, m, b_buffer);
    float *ys = ck_place(yt, y, i, y_buffer);
    divide(as, bs, ys, m);
    ck_write(yt, y, i, m, ys);
  }
}

/// The rows are those from `first` on: row r takes row (first + r) mod P.
CK_CLONES static void add_rows(const float *x, const float *row, size_t first, size_t P, float *y, size_t rows,
                               size_t C) {
  for (size_t r = 0; r < rows; r++) {
    const float *added = row + (first + r) % P * C;
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) y[r * C + c] = x[r * C + c] + added[c];
  }
}

void ck_add_rows(ck_type xt, const void *x, const float *row, size_t P, ck_type yt, void *y, size_t N, size_t C) {
  size_t at_once = ck_rows_at_once(C);
  float *x_buffer = ck_buffer(2 * at_once * C), *y_buffer = x_buffer + at_once * C;
  for (size_t n = 0; n < N; n += at_once) {
    size_t rows = ck_min(at_once, N - n);
    const float *xs = ck_read(xt, x, n * C, rows * C, x_buffer);
    float *ys = ck_place(yt, y, n * C, y_buffer);
    add_rows(xs, row, n, P, ys, rows, C);
    ck_write(yt, y, n * C, rows * C, ys);
  }
}

/// sum[C] = Σ of the rows of x.
CK_CLONES static void sum_rows(const float *x, float *sum, size_t rows, size_t C) {
  memset(sum, 0, C * sizeof *sum);
  size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float *a = x + r * C, *b = a + C, *c = b + C, *d = c + C;
    CK_INDEPENDENT
    for (size_t i = 0; i < C; i++) sum[i] += (a[i] + b[i]) + (c[i] + d[i]);
  }
  for (; r < rows; r++) {
    const float *a = x + r * C;
    CK_INDEPENDENT
    for (size_t i = 0; i < C; i++) sum[i] += a[i];
  }
}

CK_CLONES static void add(const float *x, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

void ck_add_rows_backward(ck_type dyt, const void *dy, float *drow, size_t P, size_t N, size_t C, bool accumulate) {
  if (!accumulate) memset(drow, 0, P * C * sizeof *drow);
  size_t at_once = ck_rows_at_once(C);
  float *dy_buffer = ck_buffer((at_once + 1) * C), *partial = dy_buffer + at_once * C;
  for (size_t n = 0; n < N; n += at_once) {
    size_t rows = ck_min(at_once, N - n);
    const float *dys = ck_read(dyt, dy, n * C, rows * C, dy_buffer);
    if (P == 1) {
      // Sums of sums keep the rounding error small where N is large.
      sum_rows(dys, partial, rows, C);
      add(partial, drow, C);
    } else {
      for (size_t r = 0; r < rows; r++) add(dys + r * C, drow + (n + r) % P * C, C);
    }
  }
}

// MARK: - Functions

/// A loop over all elements that the compiler may vectorise whatever overlaps.
#define EACH(statement)              \
  {                                  \
    CK_INDEPENDENT                   \
    for (size_t i = 0; i < n; i++) { \
      statement;                     \
    }                                \
    break;                           \
  }

/// GELU (Hendrycks & Gimpel 2016) by tanh: x·½(1 + tanh u) = x·σ(2u); this is 2u = √(8/π)·(x + 0.044715·x³).
CK_INLINE float gelu_argument(float x) { return 1.59576912f * (x + 0.044715f * x * x * x); }

/// The slope of the leaky ReLU below zero.
static const float leak = 0.2f;

/// The standard normal distribution function.
CK_INLINE float normal_cdf(float x) { return 0.5f + 0.5f * ck_erf(0.707106781f * x); }
CK_INLINE float normal_density(float x) { return 0.398942280f * ck_exp(-0.5f * x * x); }

CK_CLONES static void apply(ck_function f, const float *x, float *y, size_t n) {
  switch (f) {
  case CK_RELU: EACH(y[i] = x[i] < 0 ? 0 : x[i])
  case CK_LEAKY_RELU: EACH(y[i] = (x[i] < 0 ? leak : 1) * x[i])
  case CK_SILU: EACH(y[i] = x[i] * ck_sigmoid(x[i]))
  case CK_GELU_TANH: EACH(y[i] = x[i] * ck_sigmoid(gelu_argument(x[i])))
  case CK_GELU_ERF: EACH(y[i] = x[i] * normal_cdf(x[i]))
  case CK_SIGMOID: EACH(y[i] = ck_sigmoid(x[i]))
  case CK_TANH: EACH(y[i] = ck_tanh(x[i]))
  case CK_EXP: EACH(y[i] = ck_exp(x[i]))
  case CK_LOG: EACH(y[i] = ck_log(x[i]))
  case CK_SQRT: EACH(y[i] = __builtin_elementwise_sqrt(x[i]))
  case CK_SQUARE: EACH(y[i] = x[i] * x[i])
  case CK_ABS: EACH(y[i] = __builtin_fabsf(x[i]))
  case CK_SOFTPLUS: EACH(y[i] = (x[i] < 0 ? 0 : x[i]) + ck_log1p(ck_exp(-__builtin_fabsf(x[i]))))
  }
}

void ck_apply(ck_function f, ck_type xt, const void *x, ck_type yt, void *y, size_t n) {
  alignas(64) float x_buffer[CK_BLOCK], y_buffer[CK_BLOCK];
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    const float *xs = ck_read(xt, x, i, m, x_buffer);
    float *ys = ck_place(yt, y, i, y_buffer);
    apply(f, xs, ys, m);
    ck_write(yt, y, i, m, ys);
  }
}

CK_INLINE float gelu_tanh_derivative(float x) {
  ck_sigmoid_pair s = ck_sigmoid_and_slope(gelu_argument(x));
  return s.value + x * s.slope * (1.59576912f + 3 * 1.59576912f * 0.044715f * x * x);
}

CK_INLINE float tanh_derivative(float x) {
  float t = ck_tanh(x);
  return 1 - t * t;
}

CK_INLINE float sign(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; }

CK_CLONES static void apply_backward(ck_function f, const float *x, const float *dy, float *dx, size_t n) {
  switch (f) {
  case CK_RELU: EACH(dx[i] = x[i] > 0 ? dy[i] : 0)
  case CK_LEAKY_RELU: EACH(dx[i] = (x[i] > 0 ? 1 : leak) * dy[i])
  case CK_SILU: EACH(dx[i] = dy[i] * ck_silu_slope(x[i]))
  case CK_GELU_TANH: EACH(dx[i] = dy[i] * gelu_tanh_derivative(x[i]))
  case CK_GELU_ERF: EACH(dx[i] = dy[i] * (normal_cdf(x[i]) + x[i] * normal_density(x[i])))
  case CK_SIGMOID: EACH(dx[i] = dy[i] * ck_sigmoid_and_slope(x[i]).slope)
  case CK_TANH: EACH(dx[i] = dy[i] * tanh_derivative(x[i]))
  case CK_EXP: EACH(dx[i] = dy[i] * ck_exp(x[i]))
  case CK_LOG: EACH(dx[i] = dy[i] / x[i])
  case CK_SQRT: EACH(dx[i] = 0.5f * dy[i] / __builtin_elementwise_sqrt(x[i]))
  case CK_SQUARE: EACH(dx[i] = 2 * x[i] * dy[i])
  case CK_ABS: EACH(dx[i] = dy[i] * sign(x[i]))
  case CK_SOFTPLUS: EACH(dx[i] = dy[i] * ck_sigmoid(x[i]))
  }
}

void ck_apply_backward(ck_function f, ck_type xt, const void *x, ck_type dyt, const void *dy, ck_type dxt, void *dx,
                       size_t n) {
  alignas(64) float x_buffer[CK_BLOCK], dy_buffer[CK_BLOCK], dx_buffer[CK_BLOCK];
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    const float *xs = ck_read(xt, x, i, m, x_buffer), *dys = ck_read(dyt, dy, i, m, dy_buffer);
    float *dxs = ck_place(dxt, dx, i, dx_buffer);
    apply_backward(f, xs, dys, dxs, m);
    ck_write(dxt, dx, i, m, dxs);
  }
}

// MARK: - Sums

/// Lane j sums the elements i ≡ j (mod 16), so that the order is the same for every vector width.
#define LANES 16

CK_INLINE double sum_of_lanes(const double *lanes) {
  double sum = 0;
  for (size_t j = 0; j < LANES; j++) sum += lanes[j];
  return sum;
}

CK_CLONES static void add_to_lanes(const float *x, size_t n, double *lanes) {
  double sums[LANES];
  memcpy(sums, lanes, sizeof sums);
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t j = 0; j < LANES; j++) sums[j] += (double)x[i + j];
  for (size_t j = 0; i + j < n; j++) sums[j] += (double)x[i + j];
  memcpy(lanes, sums, sizeof sums);
}

double ck_sum(ck_type xt, const void *x, size_t n) {
  alignas(64) float buffer[CK_BLOCK];
  alignas(64) double lanes[LANES] = {0};
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    add_to_lanes(ck_read(xt, x, i, m, buffer), m, lanes);
  }
  return sum_of_lanes(lanes);
}

CK_CLONES static void add_products_to_lanes(const float *a, const float *b, size_t n, double *lanes) {
  double sums[LANES];
  memcpy(sums, lanes, sizeof sums);
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t j = 0; j < LANES; j++) sums[j] += (double)a[i + j] * (double)b[i + j];
  for (size_t j = 0; i + j < n; j++) sums[j] += (double)a[i + j] * (double)b[i + j];
  memcpy(lanes, sums, sizeof sums);
}

double ck_sum_of_squares(ck_type xt, const void *x, size_t n) {
  alignas(64) float buffer[CK_BLOCK];
  alignas(64) double lanes[LANES] = {0};
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    const float *xs = ck_read(xt, x, i, m, buffer);
    add_products_to_lanes(xs, xs, m, lanes);
  }
  return sum_of_lanes(lanes);
}

CK_CLONES static void add_squared_differences_to_lanes(const float *a, const float *b, size_t n, double *lanes) {
  double sums[LANES];
  memcpy(sums, lanes, sizeof sums);
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    for (size_t j = 0; j < LANES; j++) {
      double d = (double)a[i + j] - (double)b[i + j];
      sums[j] += d * d;
    }
  }
  for (size_t j = 0; i + j < n; j++) {
    double d = (double)a[i + j] - (double)b[i + j];
    sums[j] += d * d;
  }
  memcpy(lanes, sums, sizeof sums);
}

double ck_squared_distance(ck_type at, const void *a, ck_type bt, const void *b, size_t n) {
  alignas(64) float a_buffer[CK_BLOCK], b_buffer[CK_BLOCK];
  alignas(64) double lanes[LANES] = {0};
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    add_squared_differences_to_lanes(ck_read(at, a, i, m, a_buffer), ck_read(bt, b, i, m, b_buffer), m, lanes);
  }
  return sum_of_lanes(lanes);
}
