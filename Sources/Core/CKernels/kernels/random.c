#include "internal.h"

/// As many elements as one call of `ck_philox` has words.
#define WORDS 64

CK_CLONES static void dropout(const float *x, float *y, size_t n, uint32_t threshold, float scale, uint64_t seed,
                              uint64_t stream, uint64_t counter) {
  alignas(64) uint32_t words[WORDS];
  for (size_t i = 0; i < n; i += WORDS, counter += WORDS / 4) {
    ck_philox(seed, stream, counter, words);
    size_t m = ck_min(WORDS, n - i);
    CK_INDEPENDENT
    for (size_t j = 0; j < m; j++) y[i + j] = words[j] < threshold ? 0 : scale * x[i + j];
  }
}

void ck_dropout(ck_type xt, const void *x, ck_type yt, void *y, size_t n, float p, uint64_t seed, uint64_t stream) {
  if (p <= 0) {
    ck_convert(xt, x, yt, y, n);
    return;
  }
  if (p >= 1) {
    ck_fill(yt, y, 0, n);
    return;
  }
  // A whole word is below p·2³² where it is below the next whole number.
  uint32_t threshold = (uint32_t)__builtin_ceil((double)p * 0x1p32);
  float scale = (float)(1 / (1 - (double)p));
  alignas(64) float x_buffer[CK_BLOCK], y_buffer[CK_BLOCK];
  for (size_t i = 0; i < n; i += CK_BLOCK) {
    size_t m = ck_min(CK_BLOCK, n - i);
    const float *xs = ck_read(xt, x, i, m, x_buffer);
    float *ys = ck_place(yt, y, i, y_buffer);
    dropout(xs, ys, m, threshold, scale, seed, stream, i / 4);
    ck_write(yt, y, i, m, ys);
  }
}

CK_INLINE float unit(uint32_t word) { return (float)(int32_t)(word >> 8) * 0x1p-24f; }

CK_CLONES void ck_uniform(float *y, size_t n, uint64_t seed, uint64_t stream) {
  alignas(64) uint32_t words[WORDS];
  for (size_t i = 0; i < n; i += WORDS) {
    ck_philox(seed, stream, i / 4, words);
    size_t m = ck_min(WORDS, n - i);
    CK_INDEPENDENT
    for (size_t j = 0; j < m; j++) y[i + j] = unit(words[j]);
  }
}

/// Box & Muller 1958: √(-2 ln(1 - u))·(cos θ, sin θ), u from the first word of a pair and θ = 2π·word / 2³² from the
/// second. The word's upper bits, rounded, are the quarter turns in θ; what remains is at most an eighth.
CK_INLINE void box_muller(uint32_t first, uint32_t second, float *a, float *b) {
  float radius = __builtin_elementwise_sqrt(-2 * ck_log(1 - unit(first)));
  uint32_t quarter = (second + 0x20000000) >> 30;
  float angle = (float)(int32_t)(second - (quarter << 30)) * 1.46291808e-9f;
  float z = angle * angle;
  float sine = angle + angle * z * (-0.166666552f + z * (0.008332178f - z * 0.000195172994f));
  float cosine = 1 - 0.5f * z + z * z * (0.0416666456f + z * (-0.00138873677f + z * 2.44384519e-05f));
  float c = quarter & 1 ? sine : cosine, s = quarter & 1 ? cosine : sine;
  *a = radius * ck_float(ck_bits(c) ^ ((quarter + 1) & 2) << 30);
  *b = radius * ck_float(ck_bits(s) ^ (quarter & 2) << 30);
}

CK_CLONES void ck_normal(float *y, size_t n, uint64_t seed, uint64_t stream) {
  alignas(64) uint32_t words[WORDS];
  alignas(64) float normals[WORDS];
  for (size_t i = 0; i < n; i += WORDS) {
    ck_philox(seed, stream, i / 4, words);
    for (size_t j = 0; j < WORDS; j += 2) box_muller(words[j], words[j + 1], normals + j, normals + j + 1);
    memcpy(y + i, normals, ck_min(WORDS, n - i) * sizeof *y);
  }
}
