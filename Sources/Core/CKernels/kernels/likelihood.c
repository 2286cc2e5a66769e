#include "internal.h"

/// What a discretised logistic of centre m and logarithm of the scale s gives a byte, and the derivatives of that.
///
/// With u and l the standardised upper and lower edges of the byte's bin and δ = u - l,
/// σ(u) - σ(l) = σ(u)·σ(-l)·(1 - e^-δ), each factor of which has an exact logarithm.
typedef struct {
  float value, centre_slope, scale_slope;
} bin;

#define LEAST_LOG_SCALE -7.0f
#define LARGEST_LOG_SCALE 7.0f

CK_INLINE float softplus(float x) { return (x > 0 ? x : 0) + ck_log1p(ck_exp(-__builtin_fabsf(x))); }

CK_INLINE float byte_of(float x) {
  float scaled = x * 256;
  scaled = scaled > 0 ? scaled : 0;
  return (float)(int32_t)(scaled < 255 ? scaled : 255);
}

CK_INLINE bin log_bin(float byte, float m, float s) {
  bool is_first = byte < 0.5f;
  bool is_last = byte > 254.5f;
  bool is_bounded = s < LEAST_LOG_SCALE || s > LARGEST_LOG_SCALE;
  float log_scale = s < LEAST_LOG_SCALE ? LEAST_LOG_SCALE : s > LARGEST_LOG_SCALE ? LARGEST_LOG_SCALE : s;
  float inverse = ck_exp(-log_scale), delta = inverse * 0x1p-7f;
  float lower = (byte * 0x1p-7f - 1 - m) * inverse, upper = lower + delta;
  float e = ck_exp(-delta);
  // 1 - e^-δ cancels for small δ.
  float series = delta * (1 - delta * (0.5f - delta * (0.166666667f - delta * 0.0416666667f)));
  float width = delta < 0.1f ? series : 1 - e;
  float above = is_last ? 0 : softplus(-upper), below = is_first ? 0 : softplus(lower);
  float inside = is_first || is_last ? 0 : ck_log(width);
  float above_slope = is_last ? 0 : ck_sigmoid_and_slope(-upper).value;
  float below_slope = is_first ? 0 : ck_sigmoid_and_slope(lower).value;
  float inside_slope = is_first || is_last ? 0 : delta * e / width;
  bin result = {inside - above - below, inverse * (below_slope - above_slope),
                is_bounded ? 0 : lower * below_slope - upper * above_slope - inside_slope};
  return result;
}

CK_CLONES static void log_bins(const float *bytes, const float *m, const float *s, float *value, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) value[i] = log_bin(bytes[i], m[i], s[i]).value;
}

CK_CLONES static void log_bins_backward(const float *bytes, const float *m, const float *s, float *value, float *dm,
                                        float *ds, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) {
    bin b = log_bin(bytes[i], m[i], s[i]);
    value[i] = b.value;
    dm[i] = b.centre_slope;
    ds[i] = b.scale_slope;
  }
}

/// log Σ eˣ
CK_INLINE float log_sum(const float *x, size_t K) {
  float largest = x[0], sum = 0;
  for (size_t k = 1; k < K; k++) largest = x[k] > largest ? x[k] : largest;
  for (size_t k = 0; k < K; k++) sum += ck_exp(x[k] - largest);
  return largest + ck_log(sum);
}

/// Brings the parts of `rows` elements side by side: bytes, centres and scales, [rows, K] each.
static void gather(const float *x, const float *p, float *bytes, float *m, float *s, size_t rows, size_t K) {
  for (size_t r = 0; r < rows; r++, p += 3 * K) {
    float byte = byte_of(x[r]);
    for (size_t k = 0; k < K; k++) {
      bytes[r * K + k] = byte;
      m[r * K + k] = p[K + k];
      s[r * K + k] = p[2 * K + k];
    }
  }
}

CK_CLONES static void mix(const float *p, float *value, float *y, size_t rows, size_t K) {
  for (size_t r = 0; r < rows; r++, p += 3 * K, value += K) {
    float normalizer = log_sum(p, K);
    for (size_t k = 0; k < K; k++) value[k] += p[k] - normalizer;
    y[r] = log_sum(value, K);
  }
}

void ck_discretized_logistic(const float *x, const float *parameters, float *y, size_t N, size_t K) {
  size_t at_once = ck_rows_at_once(K), stride = ck_padded(at_once * K);
  float *bytes = ck_buffer(4 * stride), *m = bytes + stride, *s = m + stride, *value = s + stride;
  for (size_t n = 0; n < N; n += at_once) {
    size_t rows = ck_min(at_once, N - n);
    gather(x + n, parameters + n * 3 * K, bytes, m, s, rows, K);
    log_bins(bytes, m, s, value, rows * K);
    mix(parameters + n * 3 * K, value, y + n, rows, K);
  }
}

CK_CLONES static void mix_backward(const float *p, float *value, const float *m, const float *s, const float *dy,
                                   float *dp, size_t rows, size_t K) {
  for (size_t r = 0; r < rows; r++, p += 3 * K, dp += 3 * K, value += K, m += K, s += K) {
    float normalizer = log_sum(p, K);
    for (size_t k = 0; k < K; k++) value[k] += p[k] - normalizer;
    float total = log_sum(value, K);
    for (size_t k = 0; k < K; k++) {
      float responsibility = ck_exp(value[k] - total), weight = ck_exp(p[k] - normalizer);
      dp[k] = dy[r] * (responsibility - weight);
      dp[K + k] = dy[r] * responsibility * m[k];
      dp[2 * K + k] = dy[r] * responsibility * s[k];
    }
  }
}

void ck_discretized_logistic_backward(const float *x, const float *parameters, const float *dy, float *dparameters,
                                      size_t N, size_t K) {
  size_t at_once = ck_rows_at_once(K), stride = ck_padded(at_once * K);
  float *bytes = ck_buffer(6 * stride), *m = bytes + stride, *s = m + stride, *value = s + stride;
  float *dm = value + stride, *ds = dm + stride;
  for (size_t n = 0; n < N; n += at_once) {
    size_t rows = ck_min(at_once, N - n);
    gather(x + n, parameters + n * 3 * K, bytes, m, s, rows, K);
    log_bins_backward(bytes, m, s, value, dm, ds, rows * K);
    mix_backward(parameters + n * 3 * K, value, dm, ds, dy + n, dparameters + n * 3 * K, rows, K);
  }
}
