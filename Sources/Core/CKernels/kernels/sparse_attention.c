/// Attention of a caption's and a picture's tokens, of which each image token sees the caption and some of the image
/// tokens before it.
///
/// Queries are taken in blocks, in an order in which what they see lies together: image tokens in raster order, or
/// column by column where they see columns. The keys of a block are the text and one band of image tokens, copied side
/// by side, so that all products are dense and small. Inside the band a table says by distance what is seen.
#include <math.h>

#include "engine.h"
#include "internal.h"

/// Queries a block: more would multiply more of what is masked, fewer would be slow products.
#define QUERIES 32

// MARK: - What a token sees

/// How many tokens back in its order an image token sees.
static size_t reach_of(const ck_attention_mask *mask) {
  switch (mask->kind) {
  case CK_ROW: return mask->side;
  case CK_COLUMN: return mask->side - 1;
  case CK_CONVOLUTION: return mask->kernel / 2 * (mask->side + 1);
  case CK_FULL: break;
  }
  return mask->side * mask->side;
}

/// Whether an image token sees the one `distance` tokens back in its order.
static bool sees_back(const ck_attention_mask *mask, size_t distance) {
  if (mask->kind != CK_CONVOLUTION) return distance <= reach_of(mask);
  size_t half = mask->kernel / 2, row = (distance + half) / mask->side;
  return row <= half && distance + half - row * mask->side <= 2 * half;
}

size_t ck_attention_slot(const ck_attention_mask *mask, size_t position) {
  if (mask->kind != CK_COLUMN || position < mask->text) return position;
  size_t i = position - mask->text;
  return mask->text + i % mask->side * mask->side + i / mask->side;
}

_Static_assert(CK_MOST_RUNS == 1 + CK_LARGEST_KERNEL / 2 + 1, "the text and the rows of the largest window");

size_t ck_attention_runs(const ck_attention_mask *mask, size_t position, ck_run runs[CK_MOST_RUNS]) {
  size_t count = 0, text = mask->text, side = mask->side;
  if (mask->kind == CK_FULL || position < text) {
    runs[count++] = (ck_run){0, position + 1};
    return count;
  }
  if (text > 0) runs[count++] = (ck_run){0, text};
  size_t i = position - text;
  if (mask->kind == CK_COLUMN) {
    runs[count++] = (ck_run){text + i % side * side, i / side + 1};
  } else if (mask->kind == CK_ROW) {
    size_t first = i - ck_min(i, side);
    runs[count++] = (ck_run){text + first, i + 1 - first};
  } else {
    size_t half = mask->kernel / 2;
    for (size_t row = half + 1; row-- > 0;) {
      size_t back = row * side, end = i + 1 + (row > 0 ? half : 0);
      if (end <= back) continue;
      size_t first = i - ck_min(i, back + half);
      runs[count++] = (ck_run){text + first, end - back - first};
    }
  }
  return count;
}

// MARK: - Blocks

/// A place in the order of work: the position in the sequence of its token, and the first place that it may see, but
/// for the text.
typedef struct {
  uint32_t position, start;
} place;

/// The queries at `queries` places from `first` on. Their keys are the first `text` places, which all of them see, and
/// the places from `band` on up to the last query.
typedef struct {
  size_t first, queries, text, band, keys;
  bool is_text;  // whether the queries are the text's
} query_block;

/// The scratch memory, cut up. What has the activations' type is given room for float32.
typedef struct {
  size_t stride;               // between rows of scores
  float *scores, *dscores;     // [QUERIES, stride]
  uint16_t *narrow, *dnarrow;  // the same as the operands of bfloat16 products
  void *q, *dq, *y;            // [QUERIES, D]; `y` also for its gradient
  void *k, *v;                 // [keys, D]
  float *dk, *dv;              // [T, D], in the order of work
  uint16_t *narrow_gradient;   // [T, D]
  place *places;               // [T]
  // Not 0 where a token is seen, by the distance of its key from the query's: below 0 before it.
  int32_t *text_sees, *image_sees;
} pieces;

static size_t most_keys(const ck_attention_mask *mask, size_t T) {
  return mask->text + ck_min(T - mask->text, reach_of(mask) + QUERIES);
}

static size_t cut(void *scratch, const ck_attention_mask *mask, size_t T, size_t D, pieces *p) {
  size_t keys = most_keys(mask, T), stride = ck_padded(keys), scores = QUERIES * stride;
  size_t rows = ck_padded(QUERIES * D), table = ck_padded(2 * keys + CK_LANES);
  ck_scratch memory = ck_scratch_in(scratch);
  p->stride = stride;
  p->scores = ck_cut(&memory, scores);
  p->dscores = ck_cut(&memory, scores);
  p->narrow = (uint16_t *)ck_cut(&memory, scores / 2);
  p->dnarrow = (uint16_t *)ck_cut(&memory, scores / 2);
  p->q = ck_cut(&memory, rows);
  p->dq = ck_cut(&memory, rows);
  p->y = ck_cut(&memory, rows);
  p->k = ck_cut(&memory, ck_padded(keys * D));
  p->v = ck_cut(&memory, ck_padded(keys * D));
  p->dk = ck_cut(&memory, ck_padded(T * D));
  p->dv = ck_cut(&memory, ck_padded(T * D));
  p->narrow_gradient = (uint16_t *)ck_cut(&memory, ck_padded(T * D));
  p->places = (place *)ck_cut(&memory, ck_padded(2 * T));
  int32_t *text_sees = (int32_t *)ck_cut(&memory, table), *image_sees = (int32_t *)ck_cut(&memory, table);
  p->text_sees = text_sees ? text_sees + keys : NULL;
  p->image_sees = image_sees ? image_sees + keys : NULL;
  return ck_scratch_bytes(&memory);
}

size_t ck_sparse_attention_scratch(const ck_attention_mask *mask, size_t T, size_t D) {
  pieces p;
  return cut(NULL, mask, T, D, &p);
}

static void prepare(const ck_attention_mask *mask, size_t T, pieces *p) {
  size_t text = mask->text, i = 0;
  for (; i < text; i++) p->places[i] = (place){(uint32_t)i, 0};
  // All of the picture is one line, or each column is one.
  size_t lines = mask->kind == CK_COLUMN ? mask->side : 1;
  for (size_t line = 0; line < lines; line++) {
    uint32_t start = (uint32_t)i;
    for (size_t t = text + line; t < T; t += lines) p->places[i++] = (place){(uint32_t)t, start};
  }
  ptrdiff_t keys = (ptrdiff_t)most_keys(mask, T);
  for (ptrdiff_t d = -keys; d < keys + CK_LANES; d++) {
    p->text_sees[d] = -(d <= 0);
    p->image_sees[d] = -(d <= 0 && sees_back(mask, (size_t)-d));
  }
}

static query_block block_at(const ck_attention_mask *mask, size_t T, const place *places, size_t first) {
  query_block b = {.first = first, .is_text = first < mask->text};
  if (b.is_text) {
    b.queries = ck_min(QUERIES, mask->text - first);
  } else {
    b.queries = ck_min(QUERIES, T - first);
    b.text = mask->text;
    b.band = ck_max(places[first].start, first - ck_min(first, reach_of(mask)));
  }
  b.keys = b.text + first + b.queries - b.band;
  return b;
}

/// Copies rows of `bytes` bytes between row strides, those of x where `from` says and those of y where `to` says; NULL
/// says that they lie one after another.
CK_CLONES static void copy_rows(const char *x, size_t ldx, const place *from, char *y, size_t ldy, const place *to,
                                size_t rows, size_t bytes) {
  for (size_t r = 0; r < rows; r++) {
    const char *source = x + (from ? from[r].position : r) * ldx;
    char *target = y + (to ? to[r].position : r) * ldy;
    size_t i = 0;
    for (; i + 64 <= bytes; i += 64) memcpy(target + i, source + i, 64);
    if (i < bytes) memcpy(target + i, source + i, bytes - i);
  }
}

static void gather(ck_type t, const void *x, size_t ldx, const place *places, size_t rows, size_t D, void *y,
                   size_t at) {
  size_t bytes = D * ck_size(t);
  copy_rows(x, ldx * ck_size(t), places, ck_at_mutable(t, y, at * D), bytes, NULL, rows, bytes);
}

static void scatter(ck_type t, const void *x, const place *places, size_t rows, size_t D, void *y, size_t ldy) {
  size_t bytes = D * ck_size(t);
  copy_rows(x, bytes, NULL, y, ldy * ck_size(t), places, rows, bytes);
}

/// The keys and values of the text, which all blocks share, at the beginning of p->k and p->v.
static void gather_text(ck_type t, const void *k, const void *v, size_t width, size_t text, size_t D, pieces *p) {
  gather(t, k, width, p->places, text, D, p->k, 0);
  gather(t, v, width, p->places, text, D, p->v, 0);
}

/// The keys and values of a block's band after those of the text; those of the text's own blocks are there already.
static void gather_band(ck_type t, const void *k, const void *v, size_t width, const query_block *b, size_t D,
                        pieces *p) {
  if (b->is_text) return;
  gather(t, k, width, p->places + b->band, b->keys - b->text, D, p->k, b->text);
  gather(t, v, width, p->places + b->band, b->keys - b->text, D, p->v, b->text);
}

// MARK: - Rows of scores

// Rows are worked on in whole vectors: what lies beyond the keys is masked as well.
#define WHOLE_VECTORS _Pragma("clang loop vectorize(assume_safety) vectorize_width(16) interleave_count(1)")

/// Where a query's row is seen: at keys below `text`, and at those from `from` on where `sees` is not 0.
typedef struct {
  uint32_t text, from, whole;
  const int32_t *sees;
} sight;

CK_INLINE sight sight_of(const query_block *b, const pieces *p, size_t r) {
  size_t self = b->text + b->first + r - b->band;
  sight s = {.text = (uint32_t)b->text,
             .from = (uint32_t)(b->text + ck_max(p->places[b->first + r].start, b->band) - b->band),
             .whole = (uint32_t)((b->keys + CK_LANES - 1) / CK_LANES * CK_LANES),
             .sees = (b->is_text ? p->text_sees : p->image_sees) - self};
  return s;
}

CK_INLINE bool is_seen(const sight *s, uint32_t j) { return (j < s->text) | ((j >= s->from) & (s->sees[j] != 0)); }

/// The scores of a block to probabilities, 0 where a key is not seen, in the place of the scores or, where `narrow` is
/// given, there; `lse` takes the rows' log-sum-exps.
CK_CLONES static void probabilities(const query_block *b, const pieces *p, float scale, float *lse, uint16_t *narrow) {
  for (size_t r = 0; r < b->queries; r++) {
    sight s = sight_of(b, p, r);
    float *row = p->scores + r * p->stride;
    int32_t order = INT32_MIN;
    WHOLE_VECTORS
    for (uint32_t j = 0; j < s.whole; j++) {
      float x = is_seen(&s, j) ? row[j] : -__builtin_inff();
      int32_t mine = ck_ordered(x);
      order = mine > order ? mine : order;
      row[j] = x;
    }
    float largest = ck_from_ordered(order), sum = 0;
    WHOLE_VECTORS
    for (uint32_t j = 0; j < s.whole; j++) {
      float e = ck_exp(scale * (row[j] - largest));
      row[j] = e;
      {
        CK_ANY_ORDER
        sum += e;
      }
    }
    float factor = 1 / sum;
    if (narrow) {
      uint16_t *narrow_row = narrow + r * p->stride;
      WHOLE_VECTORS
      for (uint32_t j = 0; j < s.whole; j++) narrow_row[j] = ck_to_bfloat16(row[j] * factor);
    } else {
      WHOLE_VECTORS
      for (uint32_t j = 0; j < s.whole; j++) row[j] *= factor;
    }
    lse[r] = scale * largest + ck_log(sum);
  }
}

/// The probabilities P again, from the scores and their log-sum-exps, and dS = P∘(dP - Σ P·dP)·scale in the place of dP;
/// or both where `narrow` and `dnarrow` are.
CK_CLONES static void scores_backward(const query_block *b, const pieces *p, float scale, const float *lse,
                                      uint16_t *narrow, uint16_t *dnarrow) {
  for (size_t r = 0; r < b->queries; r++) {
    sight s = sight_of(b, p, r);
    float *row = p->scores + r * p->stride, *drow = p->dscores + r * p->stride, delta = 0;
    WHOLE_VECTORS
    for (uint32_t j = 0; j < s.whole; j++) {
      bool seen = is_seen(&s, j);
      float probability = seen ? ck_exp(scale * row[j] - lse[r]) : 0;
      // What is not seen may be any number, or none.
      float d = seen ? drow[j] : 0;
      row[j] = probability;
      drow[j] = d;
      {
        CK_ANY_ORDER
        delta += probability * d;
      }
    }
    if (narrow) {
      uint16_t *narrow_row = narrow + r * p->stride, *dnarrow_row = dnarrow + r * p->stride;
      WHOLE_VECTORS
      for (uint32_t j = 0; j < s.whole; j++) {
        narrow_row[j] = ck_to_bfloat16(row[j]);
        dnarrow_row[j] = ck_to_bfloat16(row[j] * (drow[j] - delta) * scale);
      }
    } else {
      WHOLE_VECTORS
      for (uint32_t j = 0; j < s.whole; j++) drow[j] = row[j] * (drow[j] - delta) * scale;
    }
  }
}

// MARK: - Attention

void ck_sparse_attention(ck_type t, const void *qkv, void *y, float *lse, size_t B, size_t T, size_t H, size_t D,
                         const ck_attention_mask *mask, void *scratch) {
  pieces p;
  cut(scratch, mask, T, D, &p);
  prepare(mask, T, &p);
  const size_t width = 3 * H * D;
  const float scale = 1 / sqrtf((float)D);
  uint16_t *narrow = t == CK_BFLOAT16 ? p.narrow : NULL;
  const void *operand = narrow ? (const void *)narrow : p.scores;
  for (size_t b = 0; b < B; b++) {
    for (size_t h = 0; h < H; h++) {
      const void *q = ck_at(t, qkv, b * T * width + h * D), *k = ck_at(t, q, H * D), *v = ck_at(t, k, H * D);
      void *out = ck_at_mutable(t, y, b * T * H * D + h * D);
      float *head_lse = lse + (b * H + h) * T;
      gather_text(t, k, v, width, mask->text, D, &p);
      for (size_t first = 0; first < T;) {
        query_block block = block_at(mask, T, p.places, first);
        const place *places = p.places + first;
        gather(t, q, width, places, block.queries, D, p.q, 0);
        gather_band(t, k, v, width, &block, D, &p);
        ck_gemm(t, false, true, block.queries, block.keys, D, p.q, D, p.k, D, CK_FLOAT32, p.scores, p.stride, NULL,
                false);
        probabilities(&block, &p, scale, head_lse + first, narrow);
        ck_gemm(t, false, false, block.queries, D, block.keys, operand, p.stride, p.v, D, t, p.y, D, NULL, false);
        scatter(t, p.y, places, block.queries, D, out, H * D);
        first += block.queries;
      }
    }
  }
}

/// dx[keys of a block, D] += sᵀ·x over its queries, where s are its probabilities or their gradient.
static void add_to_keys(ck_type t, const query_block *b, const void *s, size_t stride, const void *x, size_t D,
                        float *dx) {
  ck_gemm(t, true, false, b->text, D, b->queries, s, stride, x, D, CK_FLOAT32, dx, D, NULL, true);
  ck_gemm(t, true, false, b->keys - b->text, D, b->queries, ck_at(t, s, b->text), stride, x, D, CK_FLOAT32,
          dx + b->band * D, D, NULL, true);
}

/// Brings a gradient from the order of work to its place, in the activations' type.
static void scatter_gradient(ck_type t, const float *dx, const pieces *p, size_t T, size_t D, void *y, size_t width) {
  if (t == CK_BFLOAT16) ck_narrow(dx, p->narrow_gradient, T * D);
  scatter(t, t == CK_BFLOAT16 ? (const void *)p->narrow_gradient : dx, p->places, T, D, y, width);
}

void ck_sparse_attention_backward(ck_type t, const void *qkv, const float *lse, const void *dy, void *dqkv, size_t B,
                                  size_t T, size_t H, size_t D, const ck_attention_mask *mask, void *scratch) {
  pieces p;
  cut(scratch, mask, T, D, &p);
  prepare(mask, T, &p);
  const size_t width = 3 * H * D;
  const float scale = 1 / sqrtf((float)D);
  const bool is_narrow = t == CK_BFLOAT16;
  const void *operand = is_narrow ? (const void *)p.narrow : p.scores;
  const void *doperand = is_narrow ? (const void *)p.dnarrow : p.dscores;
  for (size_t b = 0; b < B; b++) {
    for (size_t h = 0; h < H; h++) {
      size_t head = b * T * width + h * D;
      const void *q = ck_at(t, qkv, head), *k = ck_at(t, q, H * D), *v = ck_at(t, k, H * D);
      const void *dout = ck_at(t, dy, b * T * H * D + h * D);
      const float *head_lse = lse + (b * H + h) * T;
      memset(p.dk, 0, T * D * sizeof *p.dk);
      memset(p.dv, 0, T * D * sizeof *p.dv);
      gather_text(t, k, v, width, mask->text, D, &p);
      for (size_t first = 0; first < T;) {
        query_block block = block_at(mask, T, p.places, first);
        const place *places = p.places + first;
        gather(t, q, width, places, block.queries, D, p.q, 0);
        gather(t, dout, H * D, places, block.queries, D, p.y, 0);
        gather_band(t, k, v, width, &block, D, &p);
        ck_gemm(t, false, true, block.queries, block.keys, D, p.q, D, p.k, D, CK_FLOAT32, p.scores, p.stride, NULL,
                false);
        ck_gemm(t, false, true, block.queries, block.keys, D, p.y, D, p.v, D, CK_FLOAT32, p.dscores, p.stride, NULL,
                false);
        scores_backward(&block, &p, scale, head_lse + first, is_narrow ? p.narrow : NULL, p.dnarrow);
        add_to_keys(t, &block, operand, p.stride, p.y, D, p.dv);
        add_to_keys(t, &block, doperand, p.stride, p.q, D, p.dk);
        ck_gemm(t, false, false, block.queries, D, block.keys, doperand, p.stride, p.k, D, t, p.dq, D, NULL, false);
        scatter(t, p.dq, places, block.queries, D, ck_at_mutable(t, dqkv, head), width);
        first += block.queries;
      }
      scatter_gradient(t, p.dk, &p, T, D, ck_at_mutable(t, dqkv, head + H * D), width);
      scatter_gradient(t, p.dv, &p, T, D, ck_at_mutable(t, dqkv, head + 2 * H * D), width);
    }
  }
}
