#include <math.h>
#include <stdatomic.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "internal.h"

/// Inputs of an output that lie side by side: what a dot product of the CPU takes.
#define QUAD 4
/// Rows whose sums are kept in registers at once.
#define MOST_ROWS 4
/// How far before they are needed weights are fetched, in bytes.
#define AHEAD 4096

/// A group of a panel: each output's scale, then its inputs as unsigned numbers, the offset being zero.
typedef struct {
  /// Inputs a group.
  size_t inputs;
  /// Bits a weight.
  size_t bits;
  int offset, least, greatest;
  /// What the largest of a row's inputs in a group becomes. Sixteen bits go with eight of the weights, and cost nothing while
  /// weights come from memory; beside weights of four bits, eight are not what is felt.
  int largest_input;
} format;

typedef enum { INT8, INT4 } quantization;

static const format formats[] = {
  [INT8] = {128, 8, 128, -127, 127, 127 * 256},
  [INT4] = {32, 4, 8, -8, 7, 127},
};

CK_INLINE size_t group_count(const format *f, size_t K) { return (K + f->inputs - 1) / f->inputs; }
CK_INLINE size_t group_bytes(const format *f) { return PANEL * (sizeof(uint16_t) + f->inputs * f->bits / 8); }

// MARK: - Weights

/// w[n] = scale·q[n] rounded, and how far that is off, squared and in steps.
CK_INLINE float round_to(const format *f, const float *w, float scale, int *q, size_t n) {
  CK_ANY_ORDER
  float inverse = scale != 0 ? 1 / scale : 0, error = 0;
  for (size_t i = 0; i < n; i++) {
    float rounded = rintf(w[i] * inverse);
    rounded = rounded < (float)f->least ? (float)f->least : rounded;
    rounded = rounded > (float)f->greatest ? (float)f->greatest : rounded;
    q[i] = (int)rounded;
    error += (w[i] * inverse - rounded) * (w[i] * inverse - rounded);
  }
  return error;
}

/// The best of some scales of a group, as bfloat16. With few steps it pays to have the largest weights rounded further
/// than the others; the largest has the sign of which there is one step more.
CK_CLONES static uint16_t quantize_group(const format *f, const float *w, int *q, size_t n) {
  float extreme = 0;
  for (size_t i = 0; i < n; i++) extreme = fabsf(w[i]) > fabsf(extreme) ? w[i] : extreme;
  int candidates = f->bits == 4 ? 12 : 1;
  float best_error = INFINITY;
  uint16_t best = 0;
  for (int c = 0; c < candidates; c++) {
    float steps = (float)f->least + 0.15f * (float)c;
    uint16_t scale = ck_to_bfloat16(extreme / steps);
    float error = round_to(f, w, ck_from_bfloat16(scale), q, n) / (steps * steps);
    if (error < best_error) best_error = error, best = scale;
  }
  round_to(f, w, ck_from_bfloat16(best), q, n);
  return best;
}

static void quantize(quantization type, const float *weight, void *packed, size_t N, size_t K) {
  const format *f = &formats[type];
  size_t groups = group_count(f, K), bytes = group_bytes(f);
  for (size_t n = 0; n < N; n++)
    for (size_t g = 0; g < groups; g++) {
      uint8_t *group = (uint8_t *)packed + (n / PANEL * groups + g) * bytes;
      float w[128];
      int q[128];
      size_t first = g * f->inputs, there = ck_min(f->inputs, K - first);
      memset(w, 0, sizeof w);
      memcpy(w, weight + n * K + first, there * sizeof(float));
      ((uint16_t *)group)[n % PANEL] = quantize_group(f, w, q, f->inputs);
      uint8_t *values = group + PANEL * sizeof(uint16_t);
      for (size_t k = 0; k < f->inputs; k++) {
        size_t quad = k / QUAD;
        uint8_t value = (uint8_t)(q[k] + f->offset);
        if (f->bits == 8) values[(quad * PANEL + n % PANEL) * QUAD + k % QUAD] = value;
        else values[(quad / 2 * PANEL + n % PANEL) * QUAD + k % QUAD] |= (uint8_t)(value << quad % 2 * 4);
      }
    }
}

// MARK: - Rows

/// A row's inputs as whole numbers, a group at a time with a scale of its own: lower, or upper·256 + lower.
typedef struct {
  int8_t *lower, *upper;
  /// Of each group.
  float *scales;
  /// offset·Σ of each group's numbers: what the weights' offset adds to every output.
  int32_t *offsets;
} quantized_row;

CK_CLONES static void quantize_row(const format *f, const float *x, size_t K, quantized_row row) {
  for (size_t g = 0; g < group_count(f, K); g++) {
    size_t first = g * f->inputs, n = ck_min(f->inputs, K - first);
    float largest = 0, zero = 0;
    for (size_t i = 0; i < n; i++) zero += x[first + i] * 0;
    for (size_t i = 0; i < n; i++) largest = fabsf(x[first + i]) > largest ? fabsf(x[first + i]) : largest;
    // What is not finite makes all outputs NaN, as it does beside weights of other formats.
    bool is_finite = zero == 0;
    float factor = is_finite && largest > 0x1p-100f ? (float)f->largest_input / largest : 0;
    int32_t sum = 0;
    int8_t *upper = row.upper + first, *lower = row.lower + first;
    for (size_t i = 0; i < n; i++) {
      int value = is_finite ? (int)rintf(x[first + i] * factor) : 0;
      int high = (value + 128) >> 8;
      upper[i] = (int8_t)high;
      lower[i] = (int8_t)(value - high * 256);
      sum += value;
    }
    for (size_t i = n; i < f->inputs; i++) upper[i] = lower[i] = 0;
    row.scales[g] = !is_finite ? NAN : factor > 0 ? largest / (float)f->largest_input : 0;
    row.offsets[g] = f->offset * sum;
  }
}

// MARK: - On every CPU

/// sums[r][n] = Σ over the groups of a panel, in their order. What is summed within a group are whole numbers, exactly.
CK_INLINE void panel_product(const format *f, const uint8_t *panel, const quantized_row *rows, size_t R, size_t groups,
                             float sums[][PANEL]) {
  for (size_t r = 0; r < R; r++) memset(sums[r], 0, sizeof sums[r]);
  for (size_t g = 0; g < groups; g++, panel += group_bytes(f)) {
    const uint8_t *values = panel + PANEL * sizeof(uint16_t);
    for (size_t r = 0; r < R; r++) {
      int32_t total[PANEL];
      for (size_t n = 0; n < PANEL; n++) total[n] = -rows[r].offsets[g];
      for (size_t k = 0; k < f->inputs; k++) {
        size_t quad = k / QUAD, i = g * f->inputs + k;
        int32_t x = rows[r].upper[i] * 256 + rows[r].lower[i];
        const uint8_t *line = values + (f->bits == 8 ? quad : quad / 2) * PANEL * QUAD + k % QUAD;
        if (f->bits == 8)
          for (size_t n = 0; n < PANEL; n++) total[n] += line[n * QUAD] * x;
        else
          for (size_t n = 0; n < PANEL; n++) total[n] += (line[n * QUAD] >> quad % 2 * 4 & 15) * x;
      }
      for (size_t n = 0; n < PANEL; n++) {
        uint16_t scale;
        memcpy(&scale, panel + n * sizeof scale, sizeof scale);
        sums[r][n] = fmaf((float)total[n], ck_from_bfloat16(scale) * rows[r].scales[g], sums[r][n]);
      }
    }
  }
}

CK_CLONES static void int8_product(const uint8_t *panel, const quantized_row *rows, size_t R, size_t groups,
                                   float sums[][PANEL]) {
  panel_product(&formats[INT8], panel, rows, R, groups, sums);
}

CK_CLONES static void int4_product(const uint8_t *panel, const quantized_row *rows, size_t R, size_t groups,
                                   float sums[][PANEL]) {
  panel_product(&formats[INT4], panel, rows, R, groups, sums);
}

// MARK: - By dot products of bytes (VNNI), where the CPU has them

#if defined(__x86_64__)
#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))

/// Adds one quad of 32 outputs to the sums of R rows, a constant where this is called. `upper` may be NULL.
VNNI CK_INLINE void add_quad(__m512i low, __m512i high, const quantized_row *rows, size_t R, size_t first,
                             __m512i upper[][2], __m512i lower[][2]) {
#pragma clang loop unroll(full)
  for (size_t r = 0; r < R; r++) {
    int factor;
    memcpy(&factor, rows[r].lower + first, sizeof factor);
    __m512i x = _mm512_set1_epi32(factor);
    lower[r][0] = _mm512_dpbusd_epi32(lower[r][0], low, x);
    lower[r][1] = _mm512_dpbusd_epi32(lower[r][1], high, x);
    if (!upper) continue;
    memcpy(&factor, rows[r].upper + first, sizeof factor);
    x = _mm512_set1_epi32(factor);
    upper[r][0] = _mm512_dpbusd_epi32(upper[r][0], low, x);
    upper[r][1] = _mm512_dpbusd_epi32(upper[r][1], high, x);
  }
}

/// The same sums as ``panel_product``, bit for bit: whole numbers, and then float32 in the same order.
VNNI CK_INLINE void rows_product_vnni(quantization type, const uint8_t *panel, const quantized_row *rows, size_t R,
                                      size_t groups, float sums[][PANEL]) {
  const format *f = &formats[type];
  ck_floats total[MOST_ROWS][2];
  for (size_t r = 0; r < R; r++) total[r][0] = total[r][1] = (ck_floats){0};
  const __m512i nibbles = _mm512_set1_epi8(15);
  size_t inputs = type == INT8 ? 128 : 32;
  for (size_t g = 0; g < groups; g++, panel += group_bytes(f)) {
    __m512i upper[MOST_ROWS][2], lower[MOST_ROWS][2];
    for (size_t r = 0; r < R; r++)
      for (size_t half = 0; half < 2; half++) {
        upper[r][half] = _mm512_setzero_si512();
        lower[r][half] = _mm512_set1_epi32(-rows[r].offsets[g]);
      }
    const uint8_t *values = panel + PANEL * sizeof(uint16_t);
    size_t first = g * inputs;
    if (type == INT8) {
      for (size_t k = 0; k < inputs; k += QUAD, values += 128) {
        _mm_prefetch((const char *)values + AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)values + AHEAD + 64, _MM_HINT_T0);
        add_quad(_mm512_loadu_si512(values), _mm512_loadu_si512(values + 64), rows, R, first + k, upper, lower);
      }
    } else {
#pragma clang loop unroll(full)
      for (size_t k = 0; k < 32; k += 2 * QUAD, values += 128) {
        _mm_prefetch((const char *)values + AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)values + AHEAD + 64, _MM_HINT_T0);
        __m512i low = _mm512_loadu_si512(values), high = _mm512_loadu_si512(values + 64);
        add_quad(_mm512_and_si512(low, nibbles), _mm512_and_si512(high, nibbles), rows, R, first + k, NULL, lower);
        low = _mm512_and_si512(_mm512_srli_epi16(low, 4), nibbles);
        high = _mm512_and_si512(_mm512_srli_epi16(high, 4), nibbles);
        add_quad(low, high, rows, R, first + k + QUAD, NULL, lower);
      }
    }
    __m512i scales = _mm512_loadu_si512(panel);
    __m512i scale[2] = {_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(scales)), 16),
                        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(scales, 1)), 16)};
    for (size_t r = 0; r < R; r++)
      for (size_t half = 0; half < 2; half++) {
        __m512i whole = lower[r][half];
        if (type == INT8) whole = _mm512_add_epi32(_mm512_slli_epi32(upper[r][half], 8), whole);
        __m512 product = _mm512_mul_ps((__m512)scale[half], _mm512_set1_ps(rows[r].scales[g]));
        total[r][half] = (ck_floats)_mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), product, (__m512)total[r][half]);
      }
  }
  for (size_t r = 0; r < R; r++) memcpy(sums[r], total[r], sizeof sums[r]);
}

VNNI CK_INLINE void product_vnni(quantization type, const uint8_t *panel, const quantized_row *rows, size_t R,
                                 size_t groups, float sums[][PANEL]) {
  for (; R >= 4; R -= 4, rows += 4, sums += 4) rows_product_vnni(type, panel, rows, 4, groups, sums);
  if (R & 2) rows_product_vnni(type, panel, rows, 2, groups, sums), rows += 2, sums += 2;
  if (R & 1) rows_product_vnni(type, panel, rows, 1, groups, sums);
}

VNNI static void int8_product_vnni(const uint8_t *panel, const quantized_row *rows, size_t R, size_t groups,
                                   float sums[][PANEL]) {
  product_vnni(INT8, panel, rows, R, groups, sums);
}

VNNI static void int4_product_vnni(const uint8_t *panel, const quantized_row *rows, size_t R, size_t groups,
                                   float sums[][PANEL]) {
  product_vnni(INT4, panel, rows, R, groups, sums);
}
#endif

/// What this CPU does best, for each type.
static const struct {
  __typeof__(int8_product) *products[2];
} ways[] = {
  {{[INT8] = int8_product, [INT4] = int4_product}},
#if defined(__x86_64__)
  {{[INT8] = int8_product_vnni, [INT4] = int4_product_vnni}},
#endif
};

static atomic_bool is_vnni_avoided;

void ck_avoid_vnni(bool is_avoided) { atomic_store(&is_vnni_avoided, is_avoided); }

static size_t best_way(void) {
#if defined(__x86_64__)
  if (!atomic_load(&is_vnni_avoided) && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"))
    return 1;
#endif
  return 0;
}

// MARK: - Products

/// The row r of those in `memory`.
static quantized_row row_in(uint8_t *memory, size_t r, size_t inputs, size_t groups, size_t bytes) {
  int8_t *start = (int8_t *)(memory + r * bytes);
  float *scales = (float *)(start + 2 * inputs);
  return (quantized_row){start, start + inputs, scales, (int32_t *)(scales + groups)};
}

static void multiply(quantization type, const ck_panel_product *product) {
  enum { AT_ONCE = 8 };
  const format *f = &formats[type];
  size_t R = product->R, groups = group_count(f, product->K), inputs = groups * f->inputs;
  size_t bytes = (2 * inputs + groups * (sizeof(float) + sizeof(int32_t)) + 63) / 64 * 64;
  uint8_t *memory = (uint8_t *)ck_buffer(R * bytes / sizeof(float));
  __typeof__(int8_product) *sum = ways[best_way()].products[type];
  alignas(64) float sums[AT_ONCE][PANEL];
  quantized_row rows[AT_ONCE];
  for (size_t r = 0; r < R; r++)
    quantize_row(f, product->x + r * product->ldx, product->K, row_in(memory, r, inputs, groups, bytes));
  for (size_t p = product->first; p < product->last; p++) {
    const uint8_t *panel = (const uint8_t *)product->packed + p * groups * group_bytes(f);
    for (size_t r = 0; r < R; r += AT_ONCE) {
      size_t count = ck_min(AT_ONCE, R - r);
      for (size_t i = 0; i < count; i++) rows[i] = row_in(memory, r + i, inputs, groups, bytes);
      sum(panel, rows, count, groups, sums);
      ck_finish_panel(product, p, r, count, sums);
    }
  }
}

static size_t int8_panel_size(size_t K) { return group_count(&formats[INT8], K) * group_bytes(&formats[INT8]); }
static size_t int4_panel_size(size_t K) { return group_count(&formats[INT4], K) * group_bytes(&formats[INT4]); }
static void pack_int8(const float *weight, void *packed, size_t N, size_t K) { quantize(INT8, weight, packed, N, K); }
static void pack_int4(const float *weight, void *packed, size_t N, size_t K) { quantize(INT4, weight, packed, N, K); }
static void multiply_int8(const ck_panel_product *product) { multiply(INT8, product); }
static void multiply_int4(const ck_panel_product *product) { multiply(INT4, product); }

const ck_panel_kind ck_int8_panels = {int8_panel_size, pack_int8, multiply_int8};
const ck_panel_kind ck_int4_panels = {int4_panel_size, pack_int4, multiply_int4};
