#include "internal.h"

CK_CLONES static void adamw(float *w, const float *gradient, float *m, float *v, size_t n, float gradient_scale,
                            float learning_rate, float beta1, float beta2, float epsilon, float decay,
                            float correction1, float correction2) {
  float step = learning_rate / correction1, kept = 1 - learning_rate * decay;
  float root = 1 / __builtin_elementwise_sqrt(correction2);
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) {
    float g = gradient[i] * gradient_scale;
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    w[i] = kept * w[i] - step * m[i] / (root * __builtin_elementwise_sqrt(v[i]) + epsilon);
  }
}

CK_CLONES static void move_average(float *average, const float *w, float rate, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) average[i] += rate * (w[i] - average[i]);
}

void ck_adamw(float *w, const float *gradient, float *m, float *v, uint16_t *operand, float *average, size_t n,
              float gradient_scale, float learning_rate, float beta1, float beta2, float epsilon, float decay,
              float correction1, float correction2, float average_decay) {
  // Block by block, so that what follows the update finds the weights in the cache.
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t block = ck_min(CK_BLOCK, n - i);
    adamw(w + i, gradient + i, m + i, v + i, block, gradient_scale, learning_rate, beta1, beta2, epsilon, decay,
          correction1, correction2);
    if (operand) ck_narrow(w + i, operand + i, block);
    if (average) move_average(average + i, w + i, 1 - average_decay, block);
  }
}

CK_CLONES static void outer_step(float *w, const float *start, float *velocity, const float *gradient, size_t n,
                                 float scale, float learning_rate, float momentum) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) {
    float g = gradient[i] * scale;
    velocity[i] = momentum * velocity[i] + g;
    w[i] = start[i] - learning_rate * (g + momentum * velocity[i]);
  }
}

void ck_outer_step(float *w, const float *start, float *velocity, const float *gradient, size_t n, float scale,
                   float learning_rate, float momentum) {
  outer_step(w, start, velocity, gradient, n, scale, learning_rate, momentum);
}

CK_CLONES static void round_with_feedback(const float *x, float *error, uint16_t *rounded, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) {
    float whole = x[i] + error[i];
    rounded[i] = ck_to_bfloat16(whole);
    float left = whole - ck_from_bfloat16(rounded[i]);
    // A number that is not finite would stay for good.
    error[i] = left - left == 0 ? left : 0;
  }
}

void ck_round_with_feedback(const float *x, float *error, uint16_t *rounded, size_t n) {
  round_with_feedback(x, error, rounded, n);
}

CK_CLONES static void add(const float *x, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

void ck_sum_arrays(const float *const *xs, size_t count, float *y, size_t n) {
  if (count == 0) {
    memset(y, 0, n * sizeof *y);
    return;
  }
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t block = ck_min(CK_BLOCK, n - i);
    if (y != xs[0]) memcpy(y + i, xs[0] + i, block * sizeof *y);
    for (size_t j = 1; j < count; j++) add(xs[j] + i, y + i, block);
  }
}
