/// The hot loops.
#ifndef CKERNELS_KERNELS_H
#define CKERNELS_KERNELS_H

#include <string.h>

#include "types.h"

// MARK: - Conversion and elementwise

/// y = x, converted where the types differ (to bfloat16: round to nearest, ties to even; NaN stays NaN).
void ck_convert(ck_type xt, const void *x, ck_type yt, void *y, size_t n);
/// An IEEE 754 binary16 as float32, exactly: files have it, no activation does.
static inline float ck_from_float16(uint16_t x) {
  uint32_t magnitude = (uint32_t)(x & 0x7FFF) << 13;
  float scale = 0x1p112f, y;
  // The exponent's bias is 112 less; a product sets right numbers below the smallest normal one, too.
  memcpy(&y, &magnitude, sizeof y);
  y *= scale;
  uint32_t bits;
  memcpy(&bits, &y, sizeof bits);
  // An infinity or no number.
  if ((x & 0x7C00) == 0x7C00) bits = 0x7F800000 | magnitude;
  bits |= (uint32_t)(x & 0x8000) << 16;
  memcpy(&y, &bits, sizeof y);
  return y;
}
/// The same of n numbers.
void ck_widen_float16(const uint16_t *x, float *y, size_t n);
/// y = scale·x + offset for bytes, used to bring pixels into the range a network wants.
void ck_convert_bytes(const uint8_t *x, float scale, float offset, ck_type yt, void *y, size_t n);
void ck_fill(ck_type yt, void *y, float value, size_t n);

/// y = alpha·a + beta·b. y may be a or b; b may be NULL (then beta is ignored).
void ck_combine(ck_type at, const void *a, float alpha, ck_type bt, const void *b, float beta, ck_type yt, void *y,
                size_t n);
/// y (+)= a·b.
void ck_multiply(ck_type at, const void *a, ck_type bt, const void *b, ck_type yt, void *y, size_t n, bool accumulate);
/// y = a / b.
void ck_divide(ck_type at, const void *a, ck_type bt, const void *b, ck_type yt, void *y, size_t n);
/// y[N,C] = x[N,C] + row[P,C], row p = n mod P: a bias (P = 1) or position embeddings.
void ck_add_rows(ck_type xt, const void *x, const float *row, size_t P, ck_type yt, void *y, size_t N, size_t C);
/// drow[P,C] (+)= Σ over n ≡ p (mod P) of dy[n,C].
void ck_add_rows_backward(ck_type dyt, const void *dy, float *drow, size_t P, size_t N, size_t C, bool accumulate);

typedef enum {
  CK_RELU,
  CK_LEAKY_RELU,
  CK_SILU,
  CK_GELU_TANH,
  CK_GELU_ERF,
  CK_SIGMOID,
  CK_TANH,
  CK_EXP,
  CK_LOG,
  CK_SQRT,
  CK_SQUARE,
  CK_ABS,
  CK_SOFTPLUS
} ck_function;
/// y = f(x)
void ck_apply(ck_function f, ck_type xt, const void *x, ck_type yt, void *y, size_t n);
/// dx = dy·f′(x)
void ck_apply_backward(ck_function f, ck_type xt, const void *x, ck_type dyt, const void *dy, ck_type dxt, void *dx,
                       size_t n);

/// Σ x, Σ x², Σ (a-b)², summed in float64 in an order that depends on n alone.
double ck_sum(ck_type xt, const void *x, size_t n);
double ck_sum_of_squares(ck_type xt, const void *x, size_t n);
double ck_squared_distance(ck_type at, const void *a, ck_type bt, const void *b, size_t n);

/// y = mask·x / (1-p). Element i is dropped where its Philox word is below p·2³²; the word of element i is word
/// i mod 4 of block (counter i / 4, stream) of key `seed`. Forward and backward are the same function.
void ck_dropout(ck_type xt, const void *x, ck_type yt, void *y, size_t n, float p, uint64_t seed, uint64_t stream);
/// Philox 4×32-10 uniforms in [0,1) (24 bits) and, by Box–Muller on pairs of words, standard normals.
void ck_uniform(float *y, size_t n, uint64_t seed, uint64_t stream);
void ck_normal(float *y, size_t n, uint64_t seed, uint64_t stream);

// MARK: - Augmentation, of one picture of float32

/// y[P,3] = own·x[p,c] + pixel·(mean of x[p]) + picture·(mean of x) + offset. With no offset it is its own transpose.
void ck_recolor(const float *x, float *y, size_t P, float own, float pixel, float picture, float offset);
/// y[H,W,C] is x moved by so many rows and columns, with zeros where nothing came from.
void ck_shift_picture(const float *x, float *y, size_t H, size_t W, size_t C, ptrdiff_t down, ptrdiff_t right);
/// Sets a rectangle of y[.., W, C] to zero.
void ck_cut_out(float *y, size_t W, size_t C, size_t top, size_t left, size_t height, size_t width);

// MARK: - Layout

/// y[B, H/s, W/s, s·s·C] from x[B,H,W,C]; the new channel index is (row in block · s + column in block)·C + c.
void ck_space_to_depth(ck_type t, const void *x, void *y, size_t B, size_t H, size_t W, size_t C, size_t s);
/// The inverse: y[B,H,W,C] from x[B, H/s, W/s, s·s·C]; H, W, C are those of y.
void ck_depth_to_space(ck_type t, const void *x, void *y, size_t B, size_t H, size_t W, size_t C, size_t s);
/// Copies N rows of C elements between row strides (in elements), converting the type.
void ck_copy_rows(ck_type xt, const void *x, size_t ldx, ck_type yt, void *y, size_t ldy, size_t N, size_t C);

// MARK: - Normalisation

/// Layer normalisation over C: y = (x - mean)·rstd·gamma + beta; `mean` and `rstd` [N] are written for the backward.
/// gamma and beta may be NULL (1 and 0).
void ck_layer_norm(ck_type xt, const void *x, const float *gamma, const float *beta, ck_type yt, void *y, float *mean,
                   float *rstd, size_t N, size_t C, float epsilon);
/// dx; dgamma and dbeta [C] (which may both be NULL) are overwritten, or added to with `accumulate`.
/// With `accumulate_input`, dx is added to as well: the residual stream's gradient flows through in one pass.
void ck_layer_norm_backward(ck_type xt, const void *x, const float *gamma, const float *mean, const float *rstd,
                            ck_type dyt, const void *dy, ck_type dxt, void *dx, bool accumulate_input, float *dgamma,
                            float *dbeta, bool accumulate, size_t N, size_t C);

/// y = x/√(mean(x²) + ε)·gamma over the last axis of x[N,C] (Zhang & Sennrich 2019, eq. 4).
void ck_rms_norm(const float *x, const float *gamma, float *y, size_t N, size_t C, float epsilon);

/// Group normalisation of x[B,P,C] (P = H·W positions) over (P, C/G), G groups, followed by SiLU where `silu`.
/// `mean` and `rstd` are [B,G].
void ck_group_norm(ck_type xt, const void *x, const float *gamma, const float *beta, bool silu, ck_type yt, void *y,
                   float *mean, float *rstd, size_t B, size_t P, size_t C, size_t G, float epsilon);
/// The parts of that for one picture x[P,C], for threads that share out its positions. First `shift` [G], values near the
/// means, those of the first few positions: about 0 the squares of the means would swamp the variances. Then `moments`
/// [G,2], Σ (x - shift) and Σ (x - shift)² of some of the positions, to be added up. Then `mean` (which may be `shift`) and
/// `rstd` [G] of all moments, `count` being P·C/G. Then y of some of the positions.
void ck_group_shift(ck_type xt, const void *x, float *shift, size_t P, size_t C, size_t G);
void ck_group_moments(ck_type xt, const void *x, const float *shift, double *moments, size_t P, size_t C, size_t G);
void ck_group_statistics(const float *shift, const double *moments, size_t count, float *mean, float *rstd, size_t G,
                         float epsilon);
void ck_group_norm_apply(ck_type xt, const void *x, const float *gamma, const float *beta, const float *mean,
                         const float *rstd, bool silu, ck_type yt, void *y, size_t P, size_t C, size_t G);
/// As above; `beta` is needed to recompute the argument of the SiLU.
void ck_group_norm_backward(ck_type xt, const void *x, const float *gamma, const float *beta, bool silu,
                            const float *mean, const float *rstd, ck_type dyt, const void *dy, ck_type dxt, void *dx,
                            bool accumulate_input, float *dgamma, float *dbeta, bool accumulate, size_t B, size_t P,
                            size_t C, size_t G);

/// y = x / max(‖x‖₂, epsilon), row by row; `rnorm` [N] is 1/max(‖x‖, epsilon).
void ck_l2_normalize(ck_type xt, const void *x, ck_type yt, void *y, float *rnorm, size_t N, size_t C, float epsilon);
void ck_l2_normalize_backward(ck_type yt, const void *y, const float *rnorm, ck_type dyt, const void *dy, ck_type dxt,
                              void *dx, size_t N, size_t C, float epsilon);

// MARK: - Softmax and losses

/// y = softmax(x) over C.
void ck_softmax(ck_type xt, const void *x, ck_type yt, void *y, size_t N, size_t C);
/// dx = y·(dy - Σ y·dy)
void ck_softmax_backward(ck_type yt, const void *y, ck_type dyt, const void *dy, ck_type dxt, void *dx, size_t N,
                         size_t C);

/// Cross entropy of logits[N,C] with targets[N] (a negative target is left out): returns Σ -log softmax(x)[target] in
/// float64, and where `dlogits` is not NULL writes (softmax - one-hot)·scale to it (zero rows for left-out targets).
/// dlogits may be logits itself when the types agree.
double ck_cross_entropy(ck_type xt, const void *logits, const int32_t *targets, ck_type dt, void *dlogits, float scale,
                        size_t N, size_t C);

/// y[n] = log P(byte of x[n]) under a mixture of K discretised logistics (Salimans et al. 2017, eq. 2): parameters[N,3K]
/// are K logits, K centres and K logarithms of scales, centres and scales in units in which the bytes' bins fill [-1,1].
/// The byte is floor(256·x) for x in [0,1). The bins of 0 and 255 reach to infinity. Scales are kept within e^-7 … e^7.
void ck_discretized_logistic(const float *x, const float *parameters, float *y, size_t N, size_t K);
/// dparameters = dy[n]·∂y[n]/∂parameters
void ck_discretized_logistic_backward(const float *x, const float *parameters, const float *dy, float *dparameters,
                                      size_t N, size_t K);

// MARK: - Embedding

/// y[N,C] = table[tokens[n], :].
void ck_embedding(const float *table, const int32_t *tokens, ck_type yt, void *y, size_t N, size_t C);
/// dtable[tokens[n], :] += dy[n, :]; the caller clears dtable.
void ck_embedding_backward(ck_type dyt, const void *dy, const int32_t *tokens, float *dtable, size_t N, size_t C);

// MARK: - Attention

/// Multi-head self-attention (Vaswani et al. 2017, eq. 1) on qkv[B,T,3·H·D], queries, keys and values side by side,
/// heads side by side in each: y[B,T,H·D] = softmax(QKᵀ/√D, causal where said)·V. The T×T scores are made block of
/// rows by block of rows in `scratch` and never kept; `lse` [B,H,T] keeps each row's log-sum-exp for the backward.
/// Causal work right of the diagonal block is skipped. `scratch` holds ck_attention_scratch bytes.
size_t ck_attention_scratch(size_t T, size_t D);
void ck_attention(ck_type t, const void *qkv, void *y, float *lse, size_t B, size_t T, size_t H, size_t D, bool causal,
                  void *scratch);
/// dqkv from dy, recomputing the scores. All activations have type `t`.
void ck_attention_backward(ck_type t, const void *qkv, const void *y, const float *lse, const void *dy, void *dqkv,
                           size_t B, size_t T, size_t H, size_t D, bool causal, void *scratch);

/// What the image tokens of a sequence see of each other (Ramesh et al. 2021, figure 11), beside themselves and all of
/// the text; the text sees itself, all causally. Image token i, counted in raster order, stands in row i / side:
/// full: all before it; row: those at most `side` back; column: those above it in its column; convolution: those at
/// d·side + e back for 0 ≤ d ≤ kernel/2 and |e| ≤ kernel/2, a window of kernel×kernel that runs on beyond the ends of
/// rows, as in the paper.
typedef enum { CK_FULL, CK_ROW, CK_COLUMN, CK_CONVOLUTION } ck_attention_kind;

/// A sequence of `text` text tokens and then up to side² image tokens in raster order. `kernel` is odd, at most `side` and
/// at most CK_LARGEST_KERNEL. For CK_FULL the sizes may be anything.
typedef struct {
  ck_attention_kind kind;
  size_t text, side, kernel;
} ck_attention_mask;
#define CK_LARGEST_KERNEL 11

/// As ck_attention, causal, with a mask of another kind than CK_FULL, T being text … text + side². What is multiplied and
/// looked at grows with what is seen. `lse` is for the backward alone, in an order of its own.
size_t ck_sparse_attention_scratch(const ck_attention_mask *mask, size_t T, size_t D);
void ck_sparse_attention(ck_type t, const void *qkv, void *y, float *lse, size_t B, size_t T, size_t H, size_t D,
                         const ck_attention_mask *mask, void *scratch);
void ck_sparse_attention_backward(ck_type t, const void *qkv, const float *lse, const void *dy, void *dqkv, size_t B,
                                  size_t T, size_t H, size_t D, const ck_attention_mask *mask, void *scratch);

/// Where a cache keeps a position: in place, or column by column, so that what a token sees lies in few runs.
size_t ck_attention_slot(const ck_attention_mask *mask, size_t position);
/// The slots that the token at `position` sees, itself included, rising and apart; returns how many runs there are.
typedef struct {
  size_t first, count;
} ck_run;
#define CK_MOST_RUNS 7
size_t ck_attention_runs(const ck_attention_mask *mask, size_t position, ck_run runs[CK_MOST_RUNS]);

// MARK: - Vector quantisation

/// index[n] = argmax over k of scores[n,k] + bias[k] (bias may be NULL; the lowest index wins ties).
void ck_argmax(const float *scores, const float *bias, int32_t *index, size_t N, size_t K);
/// counts[k] += 1 and sums[k,:] += x[n,:] for k = index[n].
void ck_scatter_sum(ck_type xt, const void *x, const int32_t *index, float *counts, float *sums, size_t N, size_t E);

// MARK: - Optimisation

/// One pass of AdamW (Loshchilov & Hutter 2019): g = gradient·gradient_scale; m, v moments; bias corrections
/// 1-β₁ᵗ and 1-β₂ᵗ are `correction1`, `correction2`; w -= lr·(m̂/(√v̂+ε) + decay·w). `operand` (which may be NULL) takes
/// the new w as bfloat16; `average` (which may be NULL) takes average += (1-average_decay)·(w - average).
void ck_adamw(float *w, const float *gradient, float *m, float *v, uint16_t *operand, float *average, size_t n,
              float gradient_scale, float learning_rate, float beta1, float beta2, float epsilon, float decay,
              float correction1, float correction2, float average_decay);
/// Nesterov's momentum from where `start` is (Douillard et al. 2023): g = gradient·scale; v = momentum·v + g;
/// w = start - learning_rate·(g + momentum·v).
void ck_outer_step(float *w, const float *start, float *velocity, const float *gradient, size_t n, float scale,
                   float learning_rate, float momentum);
/// rounded[n] = x[n] + error[n] as bfloat16; error[n] what that took (error feedback, Seide et al. 2014).
void ck_round_with_feedback(const float *x, float *error, uint16_t *rounded, size_t n);
/// y[n] = Σ over j of xs[j][n], in the order of j. y may be xs[0].
void ck_sum_arrays(const float *const *xs, size_t count, float *y, size_t n);

// MARK: - Decoding

/// How a packed weight keeps its numbers. Of the whole numbers an output has groups of 128 (CK_PANELS_INT8) or 32
/// (CK_PANELS_INT4) inputs, each with a scale in bfloat16.
typedef enum { CK_PANELS_FLOAT32, CK_PANELS_BFLOAT16, CK_PANELS_INT8, CK_PANELS_INT4 } ck_panel_format;
/// The number of bytes of a packed weight of N outputs and K inputs; whole cache lines.
size_t ck_packed_size(ck_panel_format format, size_t N, size_t K);
/// Packs a float32 weight[N,K] in panels of 32 outputs, which lie one after the other, so that every output is summed over
/// the inputs in one fixed order, whatever the number of rows or threads.
void ck_pack(ck_panel_format format, const float *weight, void *packed, size_t N, size_t K);
/// y[r, n] (+)= Σ_k x[r,k]·w[n,k] + bias[n] for the outputs of the panels `first` ..< `last` (of 32 each; a partial last
/// panel is allowed). The result of a row is bit for bit the same whatever R is.
///
/// Beside bfloat16, x is rounded to bfloat16, too, and products are summed as float32; CPUs with dot products of bfloat16
/// flush what is smaller than 2⁻¹²⁶ to zero on the way, others do not. Beside whole numbers, x is rounded to such of 16 bits
/// (CK_PANELS_INT8) or 8 (CK_PANELS_INT4), a group at a time with a scale of its own; products are summed exactly within a
/// group and then as float32, so that every CPU gives the same bits.
void ck_packed_product(ck_panel_format format, const void *packed, const float *bias, const float *x, size_t ldx,
                       float *y, size_t ldy, size_t R, size_t N, size_t K, size_t first, size_t last, bool accumulate);
/// Has products with whole numbers use the loops that every CPU takes; the bits are the same. For tests.
void ck_avoid_vnni(bool is_avoided);
/// Reads n bytes, a multiple of 64, and leaves a number that depends on all of them: to measure memory.
void ck_touch(const void *memory, size_t n, float *out);
/// The cache of one sequence and layer, bfloat16, which halves what a step reads, in pairs for the sums over them:
/// keys[heads, T/32, ⌈D/2⌉, 32, 2] have two channels of 32 positions side by side, so that the scores of many positions
/// are summed at once and without a horizontal sum; values[heads, T/2, D, 2] have two positions. T is a multiple of
/// CK_CACHE_MULTIPLE. Stores the channels `first` ..< `first` + `channels` of k and v, [heads·D] of one position, by its
/// slot.
#define CK_CACHE_MULTIPLE 32
void ck_cache_keys(const float *k, uint16_t *keys, size_t T, size_t slot, size_t D, size_t first, size_t channels);
void ck_cache_values(const float *v, uint16_t *values, size_t T, size_t slot, size_t D, size_t first, size_t channels);
/// The query of one head at `position` against the cached positions that the mask lets it see:
/// out[D] = softmax(q·keys/√D)·values, queries and weights rounded to bfloat16. `keys` and `values` are the head's; up to
/// 16 pairs beyond its values may be read. `scores` holds T + CK_CACHE_MULTIPLE floats of scratch.
void ck_decode_attention(const float *q, const uint16_t *keys, const uint16_t *values, size_t T,
                         const ck_attention_mask *mask, size_t position, size_t D, float *scores, float *out);

/// The same of a cache in float32, keys and values [T, D] of a head each, for a position that sees the first `seen` ones.
/// `scores` holds `seen` floats of scratch.
void ck_decode_float_attention(const float *q, const float *keys, const float *values, size_t seen, size_t D,
                               float *scores, float *out);
/// Rotates the pairs (x[i], x[i + D/2]) of one head by an angle each, given by its cosine and sine [D/2]: rotary positions
/// (Su et al. 2021, eq. 34), paired by halves.
void ck_rotate_halves(float *x, const float *cosines, const float *sines, size_t D);
/// y[n] = silu(gate)·up (Shazeer 2020).
void ck_swiglu(const float *gate, const float *up, float *y, size_t n);

#endif
