/// What the kernels share: dispatch by CPU level, bfloat16, blocks and rows of any type read as float32, scratch
/// memory, and elementary functions that the compiler can vectorise.
///
/// A kernel is a loop over float32 arrays, compiled once a CPU level (`CK_CLONES`), and around it a driver that takes
/// any `ck_type`: it brings a block or some rows at a time into a buffer that stays in the first-level cache, runs the
/// loop there, and stores the result. A float32 array needs no buffer and is worked on where it lies.
#ifndef CKERNELS_INTERNAL_H
#define CKERNELS_INTERNAL_H

#include <stdalign.h>
#include <string.h>

#include "kernels.h"

#ifdef __has_feature
#define CK_IS_SANITIZED (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
#else
#define CK_IS_SANITIZED 0
#endif

/// One copy of a function for each CPU level, chosen when the program is loaded: before a sanitizer's runtime is, which
/// then has none.
#if defined(__x86_64__) && defined(__linux__) && !CK_IS_SANITIZED
#define CK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CK_CLONES
#endif

/// A helper that becomes part of each clone that calls it, and is so compiled for the clone's CPU level.
#define CK_INLINE static inline __attribute__((always_inline))

/// Before a loop whose iterations do not depend on each other, even where its output is one of its inputs.
#define CK_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")

/// First in a block whose sums may be taken in any order, as vectorising them needs.
#define CK_ANY_ORDER _Pragma("clang fp reassociate(on) contract(fast)")

CK_INLINE size_t ck_min(size_t a, size_t b) { return a < b ? a : b; }
CK_INLINE size_t ck_max(size_t a, size_t b) { return a > b ? a : b; }

// MARK: - Bits and bfloat16

CK_INLINE uint32_t ck_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

CK_INLINE float ck_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

CK_INLINE float ck_from_bfloat16(uint16_t x) { return ck_float((uint32_t)x << 16); }

/// Rounds to nearest, ties to even. The rounding could carry a NaN over into infinity, so NaN is set apart.
CK_INLINE uint16_t ck_to_bfloat16(float x) {
  uint32_t bits = ck_bits(x);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  uint32_t nan = bits >> 16 | 0x40;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

/// y = x
void ck_widen(const uint16_t *x, float *y, size_t n);
void ck_narrow(const float *x, uint16_t *y, size_t n);

/// Sixteen floats, for the few loops whose sums have to stay in registers. They are a register of the widest CPUs and
/// several of the others.
typedef float ck_floats __attribute__((vector_size(64)));
#define CK_LANES 16

// MARK: - Blocks and rows

/// Elements a block: four buffers fit in the first-level cache, it is a multiple of the 64 elements that sixteen Philox
/// blocks give, and buffers side by side are not a multiple of 4 KiB apart, where loads would wait for stores.
#define CK_BLOCK 960

/// Memory of the calling thread, 64-byte aligned, good until its next call; freed when the thread ends.
float *ck_buffer(size_t floats);

/// The distance, in floats, at which to lay arrays of n floats side by side in scratch memory: whole cache lines, and
/// one more against distances of 4 KiB.
CK_INLINE size_t ck_padded(size_t n) { return (n + 15) / 16 * 16 + 16; }

/// Memory that is cut up from its beginning. Where there is none, what is cut off it is NULL and only counted.
typedef struct {
  float *start;
  size_t floats;
} ck_scratch;

/// Scratch memory from the first cache line on that begins in `memory`.
CK_INLINE ck_scratch ck_scratch_in(void *memory) {
  return (ck_scratch){(float *)(((uintptr_t)memory + 63) & ~(uintptr_t)63), 0};
}

CK_INLINE float *ck_cut(ck_scratch *s, size_t floats) {
  float *part = s->start ? s->start + s->floats : NULL;
  s->floats += floats;
  return part;
}

/// How many bytes of memory, aligned or not, hold all that has been cut off.
CK_INLINE size_t ck_scratch_bytes(const ck_scratch *s) { return s->floats * sizeof(float) + 64; }

CK_INLINE size_t ck_size(ck_type t) { return t == CK_FLOAT32 ? 4 : 2; }
CK_INLINE const void *ck_at(ck_type t, const void *x, size_t i) { return (const char *)x + i * ck_size(t); }
CK_INLINE void *ck_at_mutable(ck_type t, void *x, size_t i) { return (char *)x + i * ck_size(t); }

/// Elements i ..< i+n of x as float32: where they lie, or converted into `buffer`.
CK_INLINE const float *ck_read(ck_type t, const void *x, size_t i, size_t n, float *buffer) {
  if (t == CK_FLOAT32) return (const float *)x + i;
  ck_widen((const uint16_t *)x + i, buffer, n);
  return buffer;
}

/// Where to compute elements i … of y: in place, or in `buffer`, to be brought home by `ck_write`.
CK_INLINE float *ck_place(ck_type t, void *y, size_t i, float *buffer) {
  return t == CK_FLOAT32 ? (float *)y + i : buffer;
}

CK_INLINE void ck_write(ck_type t, void *y, size_t i, size_t n, const float *buffer) {
  if (t == CK_BFLOAT16) ck_narrow(buffer, (uint16_t *)y + i, n);
}

/// How many rows of C elements to take at a time.
CK_INLINE size_t ck_rows_at_once(size_t C) { return ck_max(1, 2 * CK_BLOCK / ck_max(C, 1)); }

// MARK: - Elementary functions

/// eˣ to 1 ulp or so: x = n·ln 2 + r, |r| ≤ ln 2 / 2, and a polynomial in r. Below e^-86.9 the result is 0.
CK_INLINE float ck_exp(float x) {
  const float magic = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
  float bounded = x > 89.0f ? 89.0f : x;
  float shifted = bounded * 1.44269504f + magic;
  float n = shifted - magic;
  // ln 2 in two parts, the first so short that its product with n is exact.
  float r = bounded - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float q = 0.00139506022f;
  q = q * r + 0.00836895313f;
  q = q * r + 0.041666206f;
  q = q * r + 0.166665182f;
  q = q * r + 0.5f;
  float p = 1.0f + (r + r * r * q);
  // 2ⁿ = 2·2ⁿ⁻¹, as 2¹²⁸ is no float but 2¹²⁸·p may be one.
  float power = ck_float((ck_bits(shifted) - ck_bits(magic) + 126) << 23);
  float y = 2 * p * power;
  return x < -86.9f ? 0.0f : y;
}

/// ln x: x = 2ᵏ·m with √½ ≤ m < √2, s = f / (2 + f) with f = m - 1, and ln m = 2·artanh s.
CK_INLINE float ck_log(float x) {
  bool subnormal = x < 0x1p-126f;
  float scaled = subnormal ? x * 0x1p23f : x;
  uint32_t offset = ck_bits(scaled) - 0x3f3504f3;  // the bits of √½
  int32_t exponent = (int32_t)offset >> 23;
  float f = ck_float(ck_bits(scaled) - ((uint32_t)exponent << 23)) - 1;
  float k = (float)(exponent - (subnormal ? 23 : 0));
  float s = f / (2 + f), z = s * s, h = 0.5f * f * f;
  float q = 0.235835701f;
  q = q * z + 0.285372376f;
  q = q * z + 0.400003374f;
  q = q * z + 0.666666627f;
  float y = k * 0.693359375f + (f - (h - (s * (h + z * q) - k * 2.12194440e-4f)));
  y = x == 0 ? -__builtin_inff() : y;
  y = x < 0 ? __builtin_nanf("") : y;
  return x < __builtin_inff() ? y : x;
}

/// ln(1 + x) for x ≥ 0, with what rounding took from 1 + x given back.
CK_INLINE float ck_log1p(float x) {
  float w = 1 + x;
  float lost = x - (w - 1);
  return ck_log(w) + lost / w;
}

/// σ(x) = 1 / (1 + e⁻ˣ)
CK_INLINE float ck_sigmoid(float x) { return 1 / (1 + ck_exp(-x)); }

/// σ and σ′ = σ·(1 - σ), from e^-|x|, which neither overflows nor cancels.
typedef struct {
  float value, slope;
} ck_sigmoid_pair;

CK_INLINE ck_sigmoid_pair ck_sigmoid_and_slope(float x) {
  float e = ck_exp(-__builtin_fabsf(x)), r = 1 / (1 + e);
  ck_sigmoid_pair pair = {x < 0 ? e * r : r, e * r * r};
  return pair;
}

/// The derivative of SiLU, x·σ(x).
CK_INLINE float ck_silu_slope(float x) {
  ck_sigmoid_pair s = ck_sigmoid_and_slope(x);
  return s.value + x * s.slope;
}

/// tanh x: near 0 a polynomial, as 1 - 2 / (e²ˣ + 1) would lose all its digits there.
CK_INLINE float ck_tanh(float x) {
  float a = __builtin_fabsf(x), z = x * x;
  float q = -0.00571704376f;
  q = q * z + 0.0206505861f;
  q = q * z - 0.0537434965f;
  q = q * z + 0.133314908f;
  q = q * z - 0.333332837f;
  float near = x + x * z * q;
  float far = __builtin_copysignf(1 - 2 / (ck_exp(2 * a) + 1), x);
  return a < 0.625f ? near : far;
}

/// erf x: below 1 a polynomial in x², above it 1 - e^-g(x) with g = -ln erfc, which is smooth.
CK_INLINE float ck_erf(float x) {
  float a = __builtin_fabsf(x), z = x * x;
  float q = 7.85386146e-05f;
  q = q * z - 0.000801019371f;
  q = q * z + 0.00518832775f;
  q = q * z - 0.0268538129f;
  q = q * z + 0.112835854f;
  q = q * z - 0.37612626f;
  q = q * z + 0.128379167f;
  float near = x + x * q;
  float b = a > 4 ? 4 : a;
  float g = -0.000185574114f;
  g = g * b + 0.00293960841f;
  g = g * b - 0.0218053218f;
  g = g * b + 0.10303738f;
  g = g * b + 0.638225675f;
  g = g * b + 1.12704003f;
  g = g * b + 0.000353717682f;
  float far = __builtin_copysignf(1 - ck_exp(-g), x);
  return a < 1 ? near : far;
}

/// An integer that is ordered as x is (NaN beyond the infinity of its sign), so that a maximum of floats vectorises as one of integers.
CK_INLINE int32_t ck_ordered(float x) {
  int32_t bits = (int32_t)ck_bits(x);
  return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}

/// The float of which `ck_ordered` made this integer.
CK_INLINE float ck_from_ordered(int32_t order) {
  return ck_float((uint32_t)(order ^ (int32_t)((uint32_t)(order >> 31) >> 1)));
}

/// The largest of n > 0 floats.
CK_INLINE float ck_largest(const float *x, size_t n) {
  int32_t largest = INT32_MIN;
  for (size_t i = 0; i < n; i++) {
    int32_t order = ck_ordered(x[i]);
    largest = order > largest ? order : largest;
  }
  return ck_from_ordered(largest);
}

/// e = exp(scale·(x - largest)) for scale > 0; returns Σ e and, by `largest`, the largest of the n > 0 numbers x.
CK_INLINE float ck_exponentials(const float *x, float scale, float *e, size_t n, float *largest) {
  float top = ck_largest(x, n), sum = 0;
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) {
    float y = ck_exp(scale * (x[i] - top));
    e[i] = y;
    {
      CK_ANY_ORDER
      sum += y;
    }
  }
  *largest = top;
  return sum;
}

// MARK: - Philox

/// Words of sixteen blocks of Philox 4×32-10 (Salmon et al. 2011), block after block: block j has the counter
/// (counter + j, stream) and the key `seed`. A word lies in the lower half of 64 bits, as its products want it, and
/// what comes into the upper half is not looked at.
CK_INLINE void ck_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t words[64]) {
  const uint64_t low = 0xffffffff;
  for (size_t j = 0; j < 16; j++) {
    uint64_t c0 = counter + j, c1 = (counter + j) >> 32, c2 = stream, c3 = stream >> 32;
    uint64_t k0 = seed, k1 = seed >> 32;
#pragma clang loop unroll(full)
    for (size_t round = 0; round < 10; round++) {
      uint64_t p0 = (c0 & low) * 0xD2511F53, p1 = (c2 & low) * 0xCD9E8D57;
      c0 = p1 >> 32 ^ c1 ^ (k0 & low);
      c1 = p1;
      c2 = p0 >> 32 ^ c3 ^ (k1 & low);
      c3 = p0;
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    words[4 * j] = (uint32_t)c0;
    words[4 * j + 1] = (uint32_t)c1;
    words[4 * j + 2] = (uint32_t)c2;
    words[4 * j + 3] = (uint32_t)c3;
  }
}

// MARK: - Panels of packed weights

/// Outputs a panel: two 16-wide vectors, of which eight rows' sums fill sixteen registers.
#define PANEL (2 * CK_LANES)

/// The panels `first` ..< `last` of a product, by which all formats are asked.
typedef struct {
  const void *packed;
  const float *bias, *x;
  size_t ldx;
  float *y;
  size_t ldy, R, N, K, first, last;
  bool accumulate;
} ck_panel_product;

/// The bytes of a panel; packing a weight; its product.
typedef struct {
  size_t (*panel_size)(size_t K);
  void (*pack)(const float *weight, void *packed, size_t N, size_t K);
  void (*multiply)(const ck_panel_product *product);
} ck_panel_kind;

extern const ck_panel_kind ck_bfloat16_panels, ck_int8_panels, ck_int4_panels;

/// y[rows, n] (+)= sums + bias for the panel p and the rows from r on.
void ck_finish_panel(const ck_panel_product *product, size_t p, size_t r, size_t rows, float sums[][PANEL]);

#endif
