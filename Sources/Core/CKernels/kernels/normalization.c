#include <math.h>

#include "internal.h"

/// Scratch of rows and of channels: arrays side by side, each `ck_padded` long.
typedef struct {
  size_t rows, row_stride, channel_stride;
  float *row_arrays, *channel_arrays;
} workspace;

static workspace make_workspace(size_t C, size_t row_arrays, size_t channel_arrays) {
  workspace w;
  w.rows = ck_rows_at_once(C);
  w.row_stride = ck_padded(w.rows * C);
  w.channel_stride = ck_padded(C);
  w.row_arrays = ck_buffer(row_arrays * w.row_stride + channel_arrays * w.channel_stride);
  w.channel_arrays = w.row_arrays + row_arrays * w.row_stride;
  return w;
}

static float *rows_of(const workspace *w, size_t i) { return w->row_arrays + i * w->row_stride; }
static float *channels_of(const workspace *w, size_t i) { return w->channel_arrays + i * w->channel_stride; }

/// `x`, or where it is NULL `buffer` filled with `value`.
static const float *or_constant(const float *x, float value, float *buffer, size_t n) {
  if (x) return x;
  ck_fill(CK_FLOAT32, buffer, value, n);
  return buffer;
}

CK_CLONES static void add(const float *x, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

/// Adds x to the elements i ..< i+n of y.
static void add_to(ck_type yt, void *y, size_t i, size_t n, const float *x, float *buffer) {
  if (yt == CK_FLOAT32) {
    add(x, (float *)y + i, n);
  } else {
    ck_widen((const uint16_t *)y + i, buffer, n);
    add(x, buffer, n);
    ck_narrow(buffer, (uint16_t *)y + i, n);
  }
}

// MARK: - Layer normalisation

/// The variance is taken about the mean, and the sum of the differences, which rounding has not left at 0, corrects
/// both (Chan, Golub & LeVeque 1983, eq. 1.7).
CK_CLONES static void layer_norm(const float *x, const float *gamma, const float *beta, float *y, float *mean,
                                 float *rstd, size_t rows, size_t C, float epsilon) {
  for (size_t r = 0; r < rows; r++, x += C, y += C) {
    float sum = 0, differences = 0, squares = 0;
    for (size_t c = 0; c < C; c++) {
      CK_ANY_ORDER
      sum += x[c];
    }
    float near = sum / (float)C;
    for (size_t c = 0; c < C; c++) {
      float d = x[c] - near;
      {
        CK_ANY_ORDER
        differences += d;
        squares += d * d;
      }
    }
    float correction = differences / (float)C;
    float variance = squares / (float)C - correction * correction;
    float m = near + correction;
    float s = 1 / __builtin_elementwise_sqrt((variance > 0 ? variance : 0) + epsilon);
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) y[c] = (x[c] - m) * s * gamma[c] + beta[c];
    mean[r] = m;
    rstd[r] = s;
  }
}

void ck_layer_norm(ck_type xt, const void *x, const float *gamma, const float *beta, ck_type yt, void *y, float *mean,
                   float *rstd, size_t N, size_t C, float epsilon) {
  workspace w = make_workspace(C, 2, 2);
  gamma = or_constant(gamma, 1, channels_of(&w, 0), C);
  beta = or_constant(beta, 0, channels_of(&w, 1), C);
  for (size_t n = 0; n < N; n += w.rows) {
    size_t rows = ck_min(w.rows, N - n);
    const float *xs = ck_read(xt, x, n * C, rows * C, rows_of(&w, 0));
    float *ys = ck_place(yt, y, n * C, rows_of(&w, 1));
    layer_norm(xs, gamma, beta, ys, mean + n, rstd + n, rows, C, epsilon);
    ck_write(yt, y, n * C, rows * C, ys);
  }
}

/// With x̂ = (x - mean)·rstd and g = dy·gamma: dx = rstd·(g - mean(g) - x̂·mean(g·x̂)), dgamma += dy·x̂, dbeta += dy.
CK_CLONES static void layer_norm_backward(const float *x, const float *gamma, const float *mean, const float *rstd,
                                          const float *dy, float *dx, float *dgamma, float *dbeta, size_t rows,
                                          size_t C) {
  for (size_t r = 0; r < rows; r++, x += C, dy += C, dx += C) {
    float m = mean[r], s = rstd[r], sum = 0, projection = 0;
    for (size_t c = 0; c < C; c++) {
      float normal = (x[c] - m) * s, g = dy[c] * gamma[c];
      {
        CK_ANY_ORDER
        sum += g;
        projection += g * normal;
      }
    }
    float a = s * (sum / (float)C), b = s * (projection / (float)C);
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) {
      float normal = (x[c] - m) * s, d = dy[c];
      dgamma[c] += d * normal;
      dbeta[c] += d;
      dx[c] = s * gamma[c] * d - a - b * normal;
    }
  }
}

void ck_layer_norm_backward(ck_type xt, const void *x, const float *gamma, const float *mean, const float *rstd,
                            ck_type dyt, const void *dy, ck_type dxt, void *dx, bool accumulate_input, float *dgamma,
                            float *dbeta, bool accumulate, size_t N, size_t C) {
  workspace w = make_workspace(C, 4, 3);
  gamma = or_constant(gamma, 1, channels_of(&w, 0), C);
  if (dgamma && !accumulate) {
    memset(dgamma, 0, C * sizeof *dgamma);
    memset(dbeta, 0, C * sizeof *dbeta);
  }
  // The parameters' gradients are sums of sums of some rows each, which keeps their rounding error small.
  float *gamma_sum = channels_of(&w, 1), *beta_sum = channels_of(&w, 2);
  for (size_t n = 0; n < N; n += w.rows) {
    size_t rows = ck_min(w.rows, N - n);
    const float *xs = ck_read(xt, x, n * C, rows * C, rows_of(&w, 0));
    const float *dys = ck_read(dyt, dy, n * C, rows * C, rows_of(&w, 1));
    float *dxs = accumulate_input ? rows_of(&w, 2) : ck_place(dxt, dx, n * C, rows_of(&w, 2));
    memset(gamma_sum, 0, C * sizeof *gamma_sum);
    memset(beta_sum, 0, C * sizeof *beta_sum);
    layer_norm_backward(xs, gamma, mean + n, rstd + n, dys, dxs, gamma_sum, beta_sum, rows, C);
    if (accumulate_input) {
      add_to(dxt, dx, n * C, rows * C, dxs, rows_of(&w, 3));
    } else {
      ck_write(dxt, dx, n * C, rows * C, dxs);
    }
    if (dgamma) {
      add(gamma_sum, dgamma, C);
      add(beta_sum, dbeta, C);
    }
  }
}

// MARK: - Root-mean-square normalisation

CK_CLONES void ck_rms_norm(const float *x, const float *gamma, float *y, size_t N, size_t C, float epsilon) {
  for (size_t r = 0; r < N; r++, x += C, y += C) {
    float squares = 0;
    for (size_t c = 0; c < C; c++) {
      CK_ANY_ORDER
      squares += x[c] * x[c];
    }
    float factor = 1 / sqrtf(squares / (float)C + epsilon);
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) y[c] = x[c] * factor * gamma[c];
  }
}

// MARK: - Group normalisation

/// As many rows as are summed before their sum is added to the sum of all, which keeps rounding errors small.
#define ROWS_A_SUM 128

/// The moments of `vectors` times sixteen channels, a constant where this is called, held in registers over the rows.
CK_INLINE void add_moments_of(size_t vectors, const float *x, const float *shift, float *sums, float *squares,
                              size_t rows, size_t C) {
  ck_floats origin[4], sum[4], square[4];
  size_t size = vectors * sizeof(ck_floats);
  memcpy(origin, shift, size);
  memcpy(sum, sums, size);
  memcpy(square, squares, size);
  for (size_t r = 0; r < rows; r++) {
    ck_floats row[4];
    memcpy(row, x + r * C, size);
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
      ck_floats d = row[v] - origin[v];
      sum[v] += d;
      square[v] += d * d;
    }
  }
  memcpy(sums, sum, size);
  memcpy(squares, square, size);
}

/// sums += Σ over rows of (x - shift), squares likewise of (x - shift)², channel by channel.
CK_CLONES static void add_moments(const float *x, const float *shift, float *sums, float *squares, size_t rows,
                                  size_t C) {
  size_t c = 0;
  for (; c + 4 * CK_LANES <= C; c += 4 * CK_LANES) add_moments_of(4, x + c, shift + c, sums + c, squares + c, rows, C);
  for (; c + CK_LANES <= C; c += CK_LANES) add_moments_of(1, x + c, shift + c, sums + c, squares + c, rows, C);
  for (size_t r = 0; r < rows; r++) {
    for (size_t i = c; i < C; i++) {
      float d = x[r * C + i] - shift[i];
      sums[i] += d;
      squares[i] += d * d;
    }
  }
}

/// totals += sums, which are cleared.
static void drain(float *sums, float *totals, size_t C) {
  add(sums, totals, C);
  memset(sums, 0, C * sizeof *sums);
}

/// The sum over a group's channels.
static double sum_over(const float *sums, size_t g, size_t width) {
  double sum = 0;
  for (size_t c = g * width; c < (g + 1) * width; c++) sum += (double)sums[c];
  return sum;
}

/// One value for all of a group's channels.
static void spread(float value, float *y, size_t g, size_t width) {
  for (size_t c = g * width; c < (g + 1) * width; c++) y[c] = value;
}

/// y = (x - mean)·scale + beta, all by channel, and SiLU of that where said.
CK_CLONES static void group_norm(const float *x, const float *mean, const float *scale, const float *beta, bool silu,
                                 float *y, size_t rows, size_t C) {
  for (size_t r = 0; r < rows; r++, x += C, y += C) {
    if (silu) {
      CK_INDEPENDENT
      for (size_t c = 0; c < C; c++) {
        float z = (x[c] - mean[c]) * scale[c] + beta[c];
        y[c] = z * ck_sigmoid(z);
      }
    } else {
      CK_INDEPENDENT
      for (size_t c = 0; c < C; c++) y[c] = (x[c] - mean[c]) * scale[c] + beta[c];
    }
  }
}

void ck_group_shift(ck_type xt, const void *x, float *shift, size_t P, size_t C, size_t G) {
  size_t width = C / G;
  workspace w = make_workspace(C, 1, 3);
  float *zeros = channels_of(&w, 0), *sums = channels_of(&w, 1), *squares = channels_of(&w, 2);
  memset(zeros, 0, 3 * w.channel_stride * sizeof *zeros);  // and sums, squares behind them
  size_t rows = ck_min(ck_min(w.rows, 8), P);
  add_moments(ck_read(xt, x, 0, rows * C, rows_of(&w, 0)), zeros, sums, squares, rows, C);
  for (size_t g = 0; g < G; g++) shift[g] = (float)(sum_over(sums, g, width) / (double)(rows * width));
}

/// Leaves Σ (x - shift) and Σ (x - shift)², channel by channel, in the channel arrays 3 and 4.
static workspace sum_moments(ck_type xt, const void *x, const float *shift, size_t P, size_t C, size_t G) {
  workspace w = make_workspace(C, 1, 5);
  float *origin = channels_of(&w, 0), *sums = channels_of(&w, 1), *squares = channels_of(&w, 2);
  float *sum = channels_of(&w, 3), *square = channels_of(&w, 4);
  for (size_t g = 0; g < G; g++) spread(shift[g], origin, g, C / G);
  memset(sums, 0, 4 * w.channel_stride * sizeof *sums);  // and squares, sum, square behind them
  size_t summed = 0, rows;
  for (size_t p = 0; p < P; p += rows) {
    rows = ck_min(w.rows, P - p);
    add_moments(ck_read(xt, x, p * C, rows * C, rows_of(&w, 0)), origin, sums, squares, rows, C);
    summed += rows;
    if (summed >= ROWS_A_SUM || p + rows == P) {
      drain(sums, sum, C);
      drain(squares, square, C);
      summed = 0;
    }
  }
  return w;
}

static void moments_of_group(const workspace *w, size_t g, size_t width, double moments[2]) {
  moments[0] = sum_over(channels_of(w, 3), g, width);
  moments[1] = sum_over(channels_of(w, 4), g, width);
}

void ck_group_moments(ck_type xt, const void *x, const float *shift, double *moments, size_t P, size_t C, size_t G) {
  workspace w = sum_moments(xt, x, shift, P, C, G);
  for (size_t g = 0; g < G; g++) moments_of_group(&w, g, C / G, moments + 2 * g);
}

void ck_group_statistics(const float *shift, const double *moments, size_t count, float *mean, float *rstd, size_t G,
                         float epsilon) {
  for (size_t g = 0; g < G; g++) {
    double offset = moments[2 * g] / (double)count;
    double variance = moments[2 * g + 1] / (double)count - offset * offset;
    mean[g] = (float)((double)shift[g] + offset);
    rstd[g] = (float)(1 / __builtin_sqrt((variance > 0 ? variance : 0) + (double)epsilon));
  }
}

void ck_group_norm_apply(ck_type xt, const void *x, const float *gamma, const float *beta, const float *mean,
                         const float *rstd, bool silu, ck_type yt, void *y, size_t P, size_t C, size_t G) {
  size_t width = C / G, rows;
  workspace w = make_workspace(C, 2, 4);
  gamma = or_constant(gamma, 1, channels_of(&w, 0), C);
  beta = or_constant(beta, 0, channels_of(&w, 1), C);
  float *means = channels_of(&w, 2), *scale = channels_of(&w, 3);
  for (size_t g = 0; g < G; g++) {
    spread(mean[g], means, g, width);
    for (size_t c = g * width; c < (g + 1) * width; c++) scale[c] = rstd[g] * gamma[c];
  }
  for (size_t p = 0; p < P; p += rows) {
    rows = ck_min(w.rows, P - p);
    const float *xs = ck_read(xt, x, p * C, rows * C, rows_of(&w, 0));
    float *ys = ck_place(yt, y, p * C, rows_of(&w, 1));
    group_norm(xs, means, scale, beta, silu, ys, rows, C);
    ck_write(yt, y, p * C, rows * C, ys);
  }
}

void ck_group_norm(ck_type xt, const void *x, const float *gamma, const float *beta, bool silu, ck_type yt, void *y,
                   float *mean, float *rstd, size_t B, size_t P, size_t C, size_t G, float epsilon) {
  for (size_t b = 0; b < B; b++, mean += G, rstd += G) {
    const void *picture = ck_at(xt, x, b * P * C);
    ck_group_shift(xt, picture, mean, P, C, G);
    workspace w = sum_moments(xt, picture, mean, P, C, G);
    for (size_t g = 0; g < G; g++) {
      double moments[2];
      moments_of_group(&w, g, C / G, moments);
      ck_group_statistics(mean + g, moments, P * (C / G), mean + g, rstd + g, 1, epsilon);
    }
    ck_group_norm_apply(xt, picture, gamma, beta, mean, rstd, silu, yt, ck_at_mutable(yt, y, b * P * C), P, C, G);
  }
}

/// Per channel: what a group's statistics make of it.
typedef struct {
  const float *mean, *rstd, *gamma, *beta;
} channels;

/// The gradient to z = x̂·gamma + beta, from that to z or to SiLU(z).
CK_INLINE float before_silu(float dy, float normal, float gamma, float beta, bool silu) {
  return silu ? dy * ck_silu_slope(normal * gamma + beta) : dy;
}

CK_INLINE void add_gradients_either(const float *x, const float *dy, channels k, float *dgamma, float *dbeta,
                                    size_t rows, size_t C, bool silu) {
  for (size_t r = 0; r < rows; r++, x += C, dy += C) {
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) {
      float normal = (x[c] - k.mean[c]) * k.rstd[c];
      float d = before_silu(dy[c], normal, k.gamma[c], k.beta[c], silu);
      dgamma[c] += d * normal;
      dbeta[c] += d;
    }
  }
}

/// dgamma += Σ over rows of dz·x̂, dbeta += Σ dz.
CK_CLONES static void add_gradients(const float *x, const float *dy, channels k, float *dgamma, float *dbeta,
                                    size_t rows, size_t C, bool silu) {
  if (silu) {
    add_gradients_either(x, dy, k, dgamma, dbeta, rows, C, true);
  } else {
    add_gradients_either(x, dy, k, dgamma, dbeta, rows, C, false);
  }
}

CK_INLINE void group_norm_backward_either(const float *x, const float *dy, channels k, const float *a, const float *b,
                                          float *dx, size_t rows, size_t C, bool silu) {
  for (size_t r = 0; r < rows; r++, x += C, dy += C, dx += C) {
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) {
      float normal = (x[c] - k.mean[c]) * k.rstd[c];
      float d = before_silu(dy[c], normal, k.gamma[c], k.beta[c], silu);
      dx[c] = k.rstd[c] * k.gamma[c] * d - a[c] - normal * b[c];
    }
  }
}

/// dx = rstd·(gamma·dz - mean(gamma·dz) - x̂·mean(gamma·dz·x̂)) with the means over the group; a and b are those means
/// times rstd.
CK_CLONES static void group_norm_backward(const float *x, const float *dy, channels k, const float *a, const float *b,
                                          float *dx, size_t rows, size_t C, bool silu) {
  if (silu) {
    group_norm_backward_either(x, dy, k, a, b, dx, rows, C, true);
  } else {
    group_norm_backward_either(x, dy, k, a, b, dx, rows, C, false);
  }
}

void ck_group_norm_backward(ck_type xt, const void *x, const float *gamma, const float *beta, bool silu,
                            const float *mean, const float *rstd, ck_type dyt, const void *dy, ck_type dxt, void *dx,
                            bool accumulate_input, float *dgamma, float *dbeta, bool accumulate, size_t B, size_t P,
                            size_t C, size_t G) {
  size_t width = C / G;
  double count = (double)(P * width);
  workspace w = make_workspace(C, 4, 10);
  gamma = or_constant(gamma, 1, channels_of(&w, 0), C);
  beta = or_constant(beta, 0, channels_of(&w, 1), C);
  float *mean_of = channels_of(&w, 2), *rstd_of = channels_of(&w, 3);
  float *gamma_sum = channels_of(&w, 4), *beta_sum = channels_of(&w, 5);
  float *gamma_total = channels_of(&w, 6), *beta_total = channels_of(&w, 7);
  float *a_of = channels_of(&w, 8), *b_of = channels_of(&w, 9);
  channels k = {mean_of, rstd_of, gamma, beta};
  if (dgamma && !accumulate) {
    memset(dgamma, 0, C * sizeof *dgamma);
    memset(dbeta, 0, C * sizeof *dbeta);
  }
  for (size_t b = 0; b < B; b++) {
    size_t first = b * P * C;
    for (size_t g = 0; g < G; g++) {
      spread(mean[b * G + g], mean_of, g, width);
      spread(rstd[b * G + g], rstd_of, g, width);
    }

    memset(gamma_sum, 0, 4 * w.channel_stride * sizeof *gamma_sum);  // and the three behind it
    size_t rows, summed = 0;
    for (size_t p = 0; p < P; p += rows) {
      rows = ck_min(w.rows, P - p);
      size_t at = first + p * C;
      const float *xs = ck_read(xt, x, at, rows * C, rows_of(&w, 0));
      const float *dys = ck_read(dyt, dy, at, rows * C, rows_of(&w, 1));
      add_gradients(xs, dys, k, gamma_sum, beta_sum, rows, C, silu);
      summed += rows;
      if (summed >= ROWS_A_SUM || p + rows == P) {
        drain(gamma_sum, gamma_total, C);
        drain(beta_sum, beta_total, C);
        summed = 0;
      }
    }
    if (dgamma) {
      add(gamma_total, dgamma, C);
      add(beta_total, dbeta, C);
    }
    for (size_t g = 0; g < G; g++) {
      double sum = 0, projection = 0;
      for (size_t c = g * width; c < (g + 1) * width; c++) {
        sum += (double)gamma[c] * (double)beta_total[c];
        projection += (double)gamma[c] * (double)gamma_total[c];
      }
      double s = (double)rstd[b * G + g];
      spread((float)(s * sum / count), a_of, g, width);
      spread((float)(s * projection / count), b_of, g, width);
    }

    for (size_t p = 0; p < P; p += rows) {
      rows = ck_min(w.rows, P - p);
      size_t at = first + p * C;
      const float *xs = ck_read(xt, x, at, rows * C, rows_of(&w, 0));
      const float *dys = ck_read(dyt, dy, at, rows * C, rows_of(&w, 1));
      float *dxs = accumulate_input ? rows_of(&w, 2) : ck_place(dxt, dx, at, rows_of(&w, 2));
      group_norm_backward(xs, dys, k, a_of, b_of, dxs, rows, C, silu);
      if (accumulate_input) {
        add_to(dxt, dx, at, rows * C, dxs, rows_of(&w, 3));
      } else {
        ck_write(dxt, dx, at, rows * C, dxs);
      }
    }
  }
}

// MARK: - Unit length

CK_CLONES static void l2_normalize(const float *x, float *y, float *rnorm, size_t rows, size_t C, float epsilon) {
  for (size_t r = 0; r < rows; r++, x += C, y += C) {
    float squares = 0;
    for (size_t c = 0; c < C; c++) {
      CK_ANY_ORDER
      squares += x[c] * x[c];
    }
    float norm = __builtin_elementwise_sqrt(squares);
    float s = 1 / (norm < epsilon ? epsilon : norm);
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) y[c] = x[c] * s;
    rnorm[r] = s;
  }
}

void ck_l2_normalize(ck_type xt, const void *x, ck_type yt, void *y, float *rnorm, size_t N, size_t C, float epsilon) {
  workspace w = make_workspace(C, 2, 0);
  for (size_t n = 0; n < N; n += w.rows) {
    size_t rows = ck_min(w.rows, N - n);
    const float *xs = ck_read(xt, x, n * C, rows * C, rows_of(&w, 0));
    float *ys = ck_place(yt, y, n * C, rows_of(&w, 1));
    l2_normalize(xs, ys, rnorm + n, rows, C, epsilon);
    ck_write(yt, y, n * C, rows * C, ys);
  }
}

/// dx = (dy - y·(y·dy)) / ‖x‖, and dy / ε where ‖x‖ is below ε
CK_CLONES static void l2_normalize_backward(const float *y, const float *rnorm, const float *dy, float *dx, size_t rows,
                                            size_t C, float epsilon) {
  for (size_t r = 0; r < rows; r++, y += C, dy += C, dx += C) {
    float projection = 0, s = rnorm[r];
    for (size_t c = 0; c < C; c++) {
      CK_ANY_ORDER
      projection += y[c] * dy[c];
    }
    if (s == 1 / epsilon) projection = 0;
    CK_INDEPENDENT
    for (size_t c = 0; c < C; c++) dx[c] = s * (dy[c] - projection * y[c]);
  }
}

void ck_l2_normalize_backward(ck_type yt, const void *y, const float *rnorm, ck_type dyt, const void *dy, ck_type dxt,
                              void *dx, size_t N, size_t C, float epsilon) {
  workspace w = make_workspace(C, 3, 0);
  for (size_t n = 0; n < N; n += w.rows) {
    size_t rows = ck_min(w.rows, N - n);
    const float *ys = ck_read(yt, y, n * C, rows * C, rows_of(&w, 0));
    const float *dys = ck_read(dyt, dy, n * C, rows * C, rows_of(&w, 1));
    float *dxs = ck_place(dxt, dx, n * C, rows_of(&w, 2));
    l2_normalize_backward(ys, rnorm + n, dys, dxs, rows, C, epsilon);
    ck_write(dxt, dx, n * C, rows * C, dxs);
  }
}
