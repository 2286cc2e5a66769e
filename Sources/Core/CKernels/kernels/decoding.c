#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "internal.h"

#define MOST_ROWS 8
/// Sums of sixteen that are kept at once, twice each.
#define MOST_VECTORS 4
/// Numbers of bfloat16 a cache line.
#define CACHE_LINE 32
/// Positions whose scores are summed at once.
#define CHUNK CK_CACHE_MULTIPLE

typedef uint32_t words __attribute__((vector_size(64)));

/// What is summed over goes two by two, as the CPU's dot products take it; an odd last number is paired with zero.
CK_INLINE size_t pair_count(size_t K) { return (K + 1) / 2; }

/// x[n] as words of two, the first one in the lower half: as they lie, on little-endian CPUs.
CK_INLINE void pack_pairs(const float *x, uint16_t *pairs, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) pairs[i] = ck_to_bfloat16(x[i]);
  if (n % 2) pairs[n] = 0;
}

/// Positions of the cache, two by two.
typedef struct {
  size_t first, count;
} pair_run;

/// The weights of the runs' positions as words, one run after the other; a position that is no run's but shares a word with
/// one has no weight.
CK_INLINE void pack_weights(const ck_run *runs, size_t run_count, const float *weights, uint16_t *packed,
                            pair_run *pairs) {
  for (size_t i = 0; i < run_count; weights += runs[i++].count) {
    size_t first = runs[i].first, end = first + runs[i].count;
    pairs[i] = (pair_run){first / 2, pair_count(end) - first / 2};
    if (first % 2) packed[0] = 0;
    pack_pairs(weights, packed + first % 2, end - first);
    if (end % 2) packed[2 * pairs[i].count - 1] = 0;
    packed += 2 * pairs[i].count;
  }
}

// MARK: - By fused multiply-adds, on every CPU

/// Each number is widened for itself: two products, the odd one first.
CK_INLINE void add_products(ck_floats *sum, const uint16_t *x, const uint16_t *y) {
  words pairs;
  uint32_t factor;
  memcpy(&pairs, x, sizeof pairs);
  memcpy(&factor, y, sizeof factor);
  *sum += (ck_floats)(pairs & 0xffff0000) * ck_float(factor & 0xffff0000);
  *sum += (ck_floats)(pairs << 16) * ck_float(factor << 16);
}

#define NAMED(name) name
#define ENTRY CK_CLONES
#define PART CK_INLINE
#include "decoding_products.h"
#undef NAMED
#undef ENTRY
#undef PART

// MARK: - By dot products of bfloat16 pairs, where the CPU has them

#if defined(__x86_64__)
#define NAMED(name) name##_by_dot_products
#define ENTRY __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#define PART ENTRY CK_INLINE

PART void add_products_by_dot_products(ck_floats *sum, const uint16_t *x, const uint16_t *y) {
  int factor;
  memcpy(&factor, y, sizeof factor);
  __m512bh pairs = (__m512bh)_mm512_loadu_si512(x);
  *sum = (ck_floats)_mm512_dpbf16_ps((__m512)*sum, pairs, (__m512bh)_mm512_set1_epi32(factor));
}

#include "decoding_products.h"
#endif

/// What this CPU does best.
static const struct {
  __typeof__(some_rows) *rows;
  __typeof__(decode_attention) *attention;
} ways[] = {
  {some_rows, decode_attention},
#if defined(__x86_64__)
  {some_rows_by_dot_products, decode_attention_by_dot_products},
#endif
};

static size_t best_way(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl")) return 1;
#endif
  return 0;
}

// MARK: - Products

static size_t panel_size(size_t K) { return PANEL * pair_count(K) * 2 * sizeof(uint16_t); }

/// [(K+1)/2][32] pairs of inputs a panel.
static void pack(const float *weight, void *packed, size_t N, size_t K) {
  for (size_t n = 0; n < N; n++) {
    uint16_t *column = (uint16_t *)packed + n / PANEL * PANEL * pair_count(K) * 2 + n % PANEL * 2;
    for (size_t k = 0; k < K; k++) column[k / 2 * PANEL * 2 + k % 2] = ck_to_bfloat16(weight[n * K + k]);
  }
}

/// The rows of x as words.
CK_CLONES static void pack_rows(const float *x, size_t ldx, uint16_t *pairs, size_t R, size_t K) {
  for (size_t r = 0; r < R; r++) pack_pairs(x + r * ldx, pairs + 2 * r * pair_count(K), K);
}

static void multiply(const ck_panel_product *product) {
  alignas(64) float sums[MOST_ROWS][PANEL];
  size_t R = product->R, row = 2 * pair_count(product->K), way = best_way();
  uint16_t *pairs = (uint16_t *)ck_buffer(R * pair_count(product->K));
  pack_rows(product->x, product->ldx, pairs, R, product->K);
  for (size_t p = product->first; p < product->last; p++) {
    const uint16_t *panel = (const uint16_t *)product->packed + p * PANEL * row;
    for (size_t r = 0; r < R;) {
      // The panel after the next one comes from memory, and slowly: the rows share it out evenly. Beyond the last one
      // there may be nothing: a fetch cannot fail.
      const uint16_t *coming = panel + 2 * PANEL * row + PANEL * row * r / R;
      size_t stride = 2 * PANEL * ck_min(MOST_ROWS, R - r) / R;
      size_t rows = ways[way].rows(panel, pairs + r * row, row / 2, sums, R - r, coming, stride);
      ck_finish_panel(product, p, r, rows, sums);
      r += rows;
    }
  }
}

const ck_panel_kind ck_bfloat16_panels = {panel_size, pack, multiply};

// MARK: - Attention

CK_CLONES void ck_cache_keys(const float *k, uint16_t *keys, size_t T, size_t slot, size_t D, size_t first,
                             size_t channels) {
  size_t P = pair_count(D), end = first + channels;
  for (size_t c = first; c < end;) {
    size_t head = c / D, d = c % D, count = ck_min(D - d, end - c);
    uint16_t *column = keys + 2 * (head * T * P + slot / CHUNK * CHUNK * P + slot % CHUNK);
    for (size_t i = d; i < d + count; i++) column[i / 2 * 2 * CHUNK + i % 2] = ck_to_bfloat16(k[head * D + i]);
    c += count;
  }
}

CK_CLONES void ck_cache_values(const float *v, uint16_t *values, size_t T, size_t slot, size_t D, size_t first,
                               size_t channels) {
  for (size_t c = first, end = first + channels; c < end;) {
    size_t head = c / D, d = c % D, count = ck_min(D - d, end - c);
    uint16_t *line = values + head * T * D + slot / 2 * 2 * D + slot % 2;
    for (size_t i = d; i < d + count; i++) line[2 * i] = ck_to_bfloat16(v[head * D + i]);
    c += count;
  }
}

void ck_decode_attention(const float *q, const uint16_t *keys, const uint16_t *values, size_t T,
                         const ck_attention_mask *mask, size_t position, size_t D, float *scores, float *out) {
  ck_run runs[CK_MOST_RUNS];
  size_t run_count = ck_attention_runs(mask, position, runs);
  uint16_t *packed = (uint16_t *)ck_buffer(pair_count(D) + T / 2 + CK_MOST_RUNS);
  ways[best_way()].attention(q, keys, values, runs, run_count, D, 1 / sqrtf((float)D), scores, packed, out);
}

CK_CLONES void ck_decode_float_attention(const float *q, const float *keys, const float *values, size_t seen, size_t D,
                                         float *scores, float *out) {
  for (size_t j = 0; j < seen; j++) {
    float sum = 0;
    for (size_t d = 0; d < D; d++) {
      CK_ANY_ORDER
      sum += q[d] * keys[j * D + d];
    }
    scores[j] = sum;
  }
  float largest, factor = 1 / ck_exponentials(scores, 1 / sqrtf((float)D), scores, seen, &largest);
  memset(out, 0, D * sizeof *out);
  for (size_t j = 0; j < seen; j++) {
    CK_INDEPENDENT
    for (size_t d = 0; d < D; d++) out[d] += scores[j] * factor * values[j * D + d];
  }
}

// MARK: - Parts of a Llama's layer

CK_CLONES void ck_rotate_halves(float *x, const float *cosines, const float *sines, size_t D) {
  float *y = x + D / 2;
  CK_INDEPENDENT
  for (size_t i = 0; i < D / 2; i++) {
    float a = x[i], b = y[i];
    x[i] = a * cosines[i] - b * sines[i];
    y[i] = b * cosines[i] + a * sines[i];
  }
}

CK_CLONES void ck_swiglu(const float *gate, const float *up, float *y, size_t n) {
  CK_INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = gate[i] * ck_sigmoid(gate[i]) * up[i];
}
