#include "internal.h"

CK_CLONES static void recolor(const float *x, float *y, size_t P, float own, float pixel, float added) {
  CK_INDEPENDENT
  for (size_t p = 0; p < P; p++) {
    float r = x[3 * p], g = x[3 * p + 1], b = x[3 * p + 2];
    float shared = pixel * (r + g + b) + added;
    y[3 * p] = own * r + shared;
    y[3 * p + 1] = own * g + shared;
    y[3 * p + 2] = own * b + shared;
  }
}

void ck_recolor(const float *x, float *y, size_t P, float own, float pixel, float picture, float offset) {
  float mean = (float)(ck_sum(CK_FLOAT32, x, 3 * P) / (double)(3 * P));
  recolor(x, y, P, own, pixel / 3, picture * mean + offset);
}

void ck_shift_picture(const float *x, float *y, size_t H, size_t W, size_t C, ptrdiff_t down, ptrdiff_t right) {
  for (size_t i = 0; i < H; i++) {
    ptrdiff_t row = (ptrdiff_t)i - down;
    float *to = y + i * W * C;
    if (row < 0 || row >= (ptrdiff_t)H) {
      memset(to, 0, W * C * sizeof *y);
      continue;
    }
    size_t gap = ck_min((size_t)(right < 0 ? -right : right), W), kept = W - gap;
    const float *from = x + (size_t)row * W * C;
    if (right >= 0) {
      memset(to, 0, gap * C * sizeof *y);
      memcpy(to + gap * C, from, kept * C * sizeof *y);
    } else {
      memcpy(to, from + gap * C, kept * C * sizeof *y);
      memset(to + kept * C, 0, gap * C * sizeof *y);
    }
  }
}

void ck_cut_out(float *y, size_t W, size_t C, size_t top, size_t left, size_t height, size_t width) {
  for (size_t i = top; i < top + height; i++) memset(y + (i * W + left) * C, 0, width * C * sizeof *y);
}
