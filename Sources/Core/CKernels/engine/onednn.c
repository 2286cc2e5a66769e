/// Matrix products and convolutions by oneDNN. Wherever it has no fast implementation, OpenBLAS stands in.

#ifdef DALLE_ONEDNN

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/shared.h"
#include "kernels.h"

// libgomp's, which oneDNN is built on. Its header belongs to a compiler that need not be this one.
extern void omp_set_num_threads(int threads);

static char name[64];
static pthread_once_t name_once = PTHREAD_ONCE_INIT;

static void make_name(void) {
  const dnnl_version_t *version = dnnl_version();
  snprintf(name, sizeof name, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

const char *ck_engine_name(void) {
  pthread_once(&name_once, make_name);
  return name;
}

bool ck_engine_has_fast_bfloat16(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") || __builtin_cpu_supports("amx-bf16");
#else
  return false;
#endif
}

/// Ends the program where oneDNN fails at what it always can do: there is no memory left, or this file is wrong.
static void check(dnnl_status_t status) {
  if (status == dnnl_success) return;
  fprintf(stderr, "oneDNN fails with status %d\n", (int)status);
  abort();
}

void ck_engine_prepare_thread(void) {
  // This thread's own number; oneDNN asks for it both when it makes a primitive and when it runs one.
  omp_set_num_threads(1);
  openblas_prepare_thread();
}

// MARK: - The two generations of the interface

// Version 3 hides the memory descriptors and has dropped the operation descriptors. What differs is kept to this part.

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout;
typedef const_dnnl_memory_desc_t layout_pointer;
#define POINTER_TO(l) (l)
#else
typedef dnnl_memory_desc_t layout;
typedef const dnnl_memory_desc_t *layout_pointer;
#define POINTER_TO(l) (&(l))
#endif

/// Leaves the order to oneDNN where `strides` is NULL.
static layout make_layout(int rank, const dnnl_dim_t *sizes, ck_type type, const dnnl_dim_t *strides) {
  const dnnl_data_type_t t = type == CK_FLOAT32 ? dnnl_f32 : dnnl_bf16;
  layout l;
#if DNNL_VERSION_MAJOR >= 3
  check(strides == NULL ? dnnl_memory_desc_create_with_tag(&l, rank, sizes, t, dnnl_format_tag_any)
                        : dnnl_memory_desc_create_with_strides(&l, rank, sizes, t, strides));
#else
  check(strides == NULL ? dnnl_memory_desc_init_by_tag(&l, rank, sizes, t, dnnl_format_tag_any)
                        : dnnl_memory_desc_init_by_strides(&l, rank, sizes, t, strides));
#endif
  return l;
}

static void destroy_layout(layout l) {
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_destroy(l);
#else
  (void)l;
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t operations) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_sum(operations, 1, 0, dnnl_data_type_undef);
#else
  return dnnl_post_ops_append_sum(operations, 1);
#endif
}

static bool describe_product(dnnl_primitive_desc_t *description, dnnl_engine_t engine, layout_pointer a,
                             layout_pointer b, layout_pointer bias, layout_pointer c,
                             const_dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_matmul_primitive_desc_create(description, engine, a, b, bias, c, attributes) == dnnl_success;
#else
  dnnl_matmul_desc_t operation;
  return dnnl_matmul_desc_init(&operation, a, b, bias, c) == dnnl_success
    && dnnl_primitive_desc_create(description, &operation, attributes, engine, NULL) == dnnl_success;
#endif
}

/// A convolution's layouts, in the order in which oneDNN wants them everywhere.
typedef struct {
  layout input, weight, bias, output;
  bool has_bias;
  dnnl_dim_t strides[2], dilations[2], before[2], after[2];
} convolution_layouts;

static bool describe_forward(dnnl_primitive_desc_t *description, dnnl_engine_t engine, const convolution_layouts *l,
                             const_dnnl_primitive_attr_t attributes) {
  const layout_pointer bias = l->has_bias ? POINTER_TO(l->bias) : NULL;
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_forward_primitive_desc_create(description, engine, dnnl_forward_training,
                                                        dnnl_convolution_direct, POINTER_TO(l->input),
                                                        POINTER_TO(l->weight), bias, POINTER_TO(l->output), l->strides,
                                                        l->dilations, l->before, l->after, attributes)
    == dnnl_success;
#else
  dnnl_convolution_desc_t operation;
  return dnnl_dilated_convolution_forward_desc_init(
           &operation, dnnl_forward_training, dnnl_convolution_direct, POINTER_TO(l->input), POINTER_TO(l->weight),
           bias, POINTER_TO(l->output), l->strides, l->dilations, l->before, l->after)
    == dnnl_success
    && dnnl_primitive_desc_create(description, &operation, attributes, engine, NULL) == dnnl_success;
#endif
}

static bool describe_backward_data(dnnl_primitive_desc_t *description, dnnl_engine_t engine,
                                   const convolution_layouts *l, const_dnnl_primitive_desc_t forward) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_backward_data_primitive_desc_create(
           description, engine, dnnl_convolution_direct, POINTER_TO(l->input), POINTER_TO(l->weight),
           POINTER_TO(l->output), l->strides, l->dilations, l->before, l->after, forward, NULL)
    == dnnl_success;
#else
  dnnl_convolution_desc_t operation;
  return dnnl_dilated_convolution_backward_data_desc_init(&operation, dnnl_convolution_direct, POINTER_TO(l->input),
                                                          POINTER_TO(l->weight), POINTER_TO(l->output), l->strides,
                                                          l->dilations, l->before, l->after)
    == dnnl_success
    && dnnl_primitive_desc_create(description, &operation, NULL, engine, forward) == dnnl_success;
#endif
}

static bool describe_backward_weight(dnnl_primitive_desc_t *description, dnnl_engine_t engine,
                                     const convolution_layouts *l, const_dnnl_primitive_desc_t forward) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_backward_weights_primitive_desc_create(
           description, engine, dnnl_convolution_direct, POINTER_TO(l->input), POINTER_TO(l->weight), NULL,
           POINTER_TO(l->output), l->strides, l->dilations, l->before, l->after, forward, NULL)
    == dnnl_success;
#else
  dnnl_convolution_desc_t operation;
  return dnnl_dilated_convolution_backward_weights_desc_init(&operation, dnnl_convolution_direct, POINTER_TO(l->input),
                                                             POINTER_TO(l->weight), NULL, POINTER_TO(l->output),
                                                             l->strides, l->dilations, l->before, l->after)
    == dnnl_success
    && dnnl_primitive_desc_create(description, &operation, NULL, engine, forward) == dnnl_success;
#endif
}

// MARK: - What a thread keeps

// One operation on one shape. Its memory objects describe layouts; where the data lies is said call by call.
#define KEY_WORDS 14
#define MEMORY_COUNT 4

typedef struct plan {
  uint64_t key[KEY_WORDS];
  bool exists;  // false where oneDNN has no fast implementation
  dnnl_primitive_t primitive;
  int count;
  dnnl_exec_arg_t arguments[MEMORY_COUNT];
  // Between the weight as we keep it and the order that a convolution asks for; NULL where that is the same.
  dnnl_primitive_t reorder;
  dnnl_exec_arg_t reorder_arguments[2];
  size_t ordered_size;
  struct plan *next;
} plan;

// A table of chains whose number doubles with that of the plans. A program that keeps changing its shapes starts over
// at the limit instead of growing for ever.
#define PLAN_LIMIT 4096

typedef struct {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  plan **chains;
  size_t chain_count, plan_count;
  // Whose order the weight in scratch memory has; NULL where none is there.
  const plan *ordered_for;
} state;

static _Thread_local state *own_state;

static void destroy_plan(plan *p) {
  for (int i = 0; i < p->count; i++) dnnl_memory_destroy(p->arguments[i].memory);
  if (p->primitive != NULL) dnnl_primitive_destroy(p->primitive);
  if (p->reorder != NULL) {
    for (int i = 0; i < 2; i++) dnnl_memory_destroy(p->reorder_arguments[i].memory);
    dnnl_primitive_destroy(p->reorder);
  }
  free(p);
}

static void destroy_plans(state *s) {
  for (size_t i = 0; i < s->chain_count; i++) {
    for (plan *p = s->chains[i], *next; p != NULL; p = next) {
      next = p->next;
      destroy_plan(p);
    }
    s->chains[i] = NULL;
  }
  s->plan_count = 0;
  s->ordered_for = NULL;
}

static void destroy_state(void *value) {
  state *s = value;
  destroy_plans(s);
  dnnl_stream_destroy(s->stream);
  dnnl_engine_destroy(s->engine);
  free(s->chains);
  free(s);
  own_state = NULL;
}

// oneDNN 2.6 says that its functions may be called from many threads at once, but of two threads that make bfloat16
// convolutions at the same time one now and then gets a primitive that computes something else, for good. So primitives
// are made one at a time; once made, each belongs to its thread.
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void *allocate(size_t count, size_t size) {
  void *p = calloc(count, size);
  if (p == NULL) {
    fprintf(stderr, "out of memory: %zu bytes\n", count * size);
    abort();
  }
  return p;
}

static state *thread_state(void) {
  if (own_state != NULL) return own_state;
  ck_engine_prepare_thread();
  state *s = allocate(1, sizeof *s);
  check(dnnl_engine_create(&s->engine, dnnl_cpu, 0));
  check(dnnl_stream_create(&s->stream, s->engine, dnnl_stream_default_flags));
  s->chain_count = 256;
  s->chains = allocate(s->chain_count, sizeof *s->chains);
  own_state = s;
  ck_at_thread_end(destroy_state, s);
  return s;
}

static size_t chain_of(const uint64_t *key, size_t chain_count) {
  uint64_t hash = 0;
  for (int i = 0; i < KEY_WORDS; i++) {
    hash = (hash ^ key[i]) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return hash & (chain_count - 1);
}

static void double_chains(state *s) {
  const size_t count = 2 * s->chain_count;
  plan **chains = allocate(count, sizeof *chains);
  for (size_t i = 0; i < s->chain_count; i++) {
    for (plan *p = s->chains[i], *next; p != NULL; p = next) {
      next = p->next;
      const size_t chain = chain_of(p->key, count);
      p->next = chains[chain];
      chains[chain] = p;
    }
  }
  free(s->chains);
  s->chains = chains;
  s->chain_count = count;
}

/// The plan of this key, or a new empty one; `found` says which.
static plan *find_plan(state *s, const uint64_t key[KEY_WORDS], bool *found) {
  size_t chain = chain_of(key, s->chain_count);
  for (plan *p = s->chains[chain]; p != NULL; p = p->next) {
    if (memcmp(p->key, key, sizeof p->key) == 0) {
      *found = true;
      return p;
    }
  }
  *found = false;
  if (s->plan_count >= PLAN_LIMIT) destroy_plans(s);
  if (s->plan_count >= s->chain_count) {
    double_chains(s);
    chain = chain_of(key, s->chain_count);
  }
  plan *p = allocate(1, sizeof *p);
  memcpy(p->key, key, sizeof p->key);
  p->next = s->chains[chain];
  s->chains[chain] = p;
  s->plan_count++;
  return p;
}

static dnnl_exec_arg_t make_argument(const state *s, int argument, layout_pointer l) {
  dnnl_exec_arg_t a = {.arg = argument};
  check(dnnl_memory_create(&a.memory, l, s->engine, DNNL_MEMORY_NONE));
  return a;
}

static void add_argument(plan *p, const state *s, int argument, layout_pointer l) {
  p->arguments[p->count++] = make_argument(s, argument, l);
}

static dnnl_primitive_attr_t make_attributes(bool accumulate) {
  dnnl_primitive_attr_t attributes = NULL;
  if (!accumulate) return NULL;
  dnnl_post_ops_t operations = NULL;
  check(dnnl_primitive_attr_create(&attributes));
  check(dnnl_post_ops_create(&operations));
  check(append_sum(operations));
  check(dnnl_primitive_attr_set_post_ops(attributes, operations));
  dnnl_post_ops_destroy(operations);
  return attributes;
}

static void add_reorder(plan *p, const state *s, layout_pointer from, layout_pointer to, bool accumulate) {
  dnnl_primitive_desc_t description;
  dnnl_primitive_attr_t attributes = make_attributes(accumulate);
  check(dnnl_reorder_primitive_desc_create(&description, from, s->engine, to, s->engine, attributes));
  if (attributes != NULL) dnnl_primitive_attr_destroy(attributes);
  check(dnnl_primitive_create(&p->reorder, description));
  dnnl_primitive_desc_destroy(description);
  p->reorder_arguments[0] = make_argument(s, DNNL_ARG_FROM, from);
  p->reorder_arguments[1] = make_argument(s, DNNL_ARG_TO, to);
}

/// Whether a description is of something better than the reference implementations, to which OpenBLAS is preferable.
static bool is_fast(const_dnnl_primitive_desc_t description) {
  const char *implementation = "";
  dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, (void *)&implementation);
  return strstr(implementation, "ref") == NULL;
}

static void execute(const state *s, dnnl_primitive_t primitive, int count, const dnnl_exec_arg_t *arguments,
                    void *const *data) {
  for (int i = 0; i < count; i++) check(dnnl_memory_set_data_handle(arguments[i].memory, data[i]));
  check(dnnl_primitive_execute(primitive, s->stream, count, arguments));
  check(dnnl_stream_wait(s->stream));
}

/// What a primitive does with its result, as bits of a key.
enum { OPERANDS_BIT = 1, RESULT_BIT = 2, ACCUMULATE_BIT = 4, BIAS_BIT = 8, TRANSPOSE_A_BIT = 16, TRANSPOSE_B_BIT = 32 };
/// What kind of operation a key stands for.
enum { PRODUCT, FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT };

// MARK: - Matrix products

// With a transposed A, as weight gradients have it, oneDNN 2.6 is 5% to 20% faster on blocks of up to this many of C's
// rows, and of fewer than all of them, than on all at once. Few rows and short sums are fast as they are.
#define TRANSPOSED_ROWS ((size_t)384)
#define TRANSPOSED_LEAST_ROWS ((size_t)256)
#define TRANSPOSED_DEPTH ((size_t)512)

static void gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A,
                 size_t lda, const void *B, size_t ldb, ck_type result, void *C, size_t ldc, const float *bias,
                 bool accumulate) {
  state *s = thread_state();
  const uint64_t options = (uint64_t)operands * OPERANDS_BIT | (uint64_t)result * RESULT_BIT
    | (uint64_t)accumulate * ACCUMULATE_BIT | (uint64_t)(bias != NULL) * BIAS_BIT
    | (uint64_t)transpose_a * TRANSPOSE_A_BIT | (uint64_t)transpose_b * TRANSPOSE_B_BIT;
  const uint64_t key[KEY_WORDS] = {PRODUCT, options, M, N, K, lda, ldb, ldc};
  bool found;
  plan *p = find_plan(s, key, &found);
  if (!found && K > 0) {
    pthread_mutex_lock(&making);
    const dnnl_dim_t m = (dnnl_dim_t)M, n = (dnnl_dim_t)N, k = (dnnl_dim_t)K;
    const dnnl_dim_t a_stride = (dnnl_dim_t)lda, b_stride = (dnnl_dim_t)ldb;
    layout a = make_layout(2, (dnnl_dim_t[]){m, k}, operands,
                           transpose_a ? (dnnl_dim_t[]){1, a_stride} : (dnnl_dim_t[]){a_stride, 1});
    layout b = make_layout(2, (dnnl_dim_t[]){k, n}, operands,
                           transpose_b ? (dnnl_dim_t[]){1, b_stride} : (dnnl_dim_t[]){b_stride, 1});
    layout c = make_layout(2, (dnnl_dim_t[]){m, n}, result, (dnnl_dim_t[]){(dnnl_dim_t)ldc, 1});
    layout row = make_layout(2, (dnnl_dim_t[]){1, n}, CK_FLOAT32, (dnnl_dim_t[]){n, 1});
    dnnl_primitive_attr_t attributes = make_attributes(accumulate);
    dnnl_primitive_desc_t description = NULL;
    if (describe_product(&description, s->engine, POINTER_TO(a), POINTER_TO(b), bias != NULL ? POINTER_TO(row) : NULL,
                         POINTER_TO(c), attributes)
        && is_fast(description)) {
      check(dnnl_primitive_create(&p->primitive, description));
      p->exists = true;
      add_argument(p, s, DNNL_ARG_SRC, POINTER_TO(a));
      add_argument(p, s, DNNL_ARG_WEIGHTS, POINTER_TO(b));
      add_argument(p, s, DNNL_ARG_DST, POINTER_TO(c));
      if (bias != NULL) add_argument(p, s, DNNL_ARG_BIAS, POINTER_TO(row));
    }
    if (description != NULL) dnnl_primitive_desc_destroy(description);
    if (attributes != NULL) dnnl_primitive_attr_destroy(attributes);
    destroy_layout(a);
    destroy_layout(b);
    destroy_layout(c);
    destroy_layout(row);
    pthread_mutex_unlock(&making);
  }
  if (!p->exists) {
    openblas_gemm(operands, transpose_a, transpose_b, M, N, K, A, lda, B, ldb, result, C, ldc, bias, accumulate);
    return;
  }
  execute(s, p->primitive, p->count, p->arguments, (void *const[]){(void *)A, (void *)B, C, (void *)bias});
}

void ck_gemm(ck_type operands, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A,
             size_t lda, const void *B, size_t ldb, ck_type result, void *C, size_t ldc, const float *bias,
             bool accumulate) {
  if (M == 0 || N == 0) return;
  size_t block = M;
  if (transpose_a && M >= TRANSPOSED_LEAST_ROWS && K >= TRANSPOSED_DEPTH) {
    // Blocks of the same size, but for rounding, need fewer primitives and have no slow remainder.
    const size_t needed = (M + TRANSPOSED_ROWS - 1) / TRANSPOSED_ROWS, count = needed < 2 ? 2 : needed;
    block = ((M + count - 1) / count + 31) / 32 * 32;
  }
  for (size_t m = 0; m < M; m += block) {
    gemm(operands, transpose_a, transpose_b, block < M - m ? block : M - m, N, K,
         (const uint8_t *)A + m * (transpose_a ? 1 : lda) * ck_size(operands), lda, B, ldb, result,
         (uint8_t *)C + m * ldc * ck_size(result), ldc, bias, accumulate);
  }
}

// MARK: - Convolutions

/// The layouts of a convolution: pictures as they lie in memory, the weight in the order that oneDNN likes best.
static convolution_layouts convolution_layouts_of(const ck_convolution *c, ck_type input, ck_type weight,
                                                  ck_type output, bool bias) {
  const dnnl_dim_t B = (dnnl_dim_t)c->B, H = (dnnl_dim_t)c->H, W = (dnnl_dim_t)c->W, C = (dnnl_dim_t)c->C;
  const dnnl_dim_t O = (dnnl_dim_t)c->O, KH = (dnnl_dim_t)c->KH, KW = (dnnl_dim_t)c->KW;
  const dnnl_dim_t OH = (dnnl_dim_t)ck_output_height(c), OW = (dnnl_dim_t)ck_output_width(c);
  const dnnl_dim_t stride = (dnnl_dim_t)c->stride;
  return (convolution_layouts){
    .input = make_layout(4, (dnnl_dim_t[]){B, C, H, W}, input, (dnnl_dim_t[]){H * W * C, 1, W * C, C}),
    .weight = make_layout(4, (dnnl_dim_t[]){O, C, KH, KW}, weight, NULL),
    .bias = make_layout(1, (dnnl_dim_t[]){O}, CK_FLOAT32, (dnnl_dim_t[]){1}),
    .output = make_layout(4, (dnnl_dim_t[]){B, O, OH, OW}, output, (dnnl_dim_t[]){OH * OW * O, 1, OW * O, O}),
    .has_bias = bias,
    .strides = {stride, stride},
    .dilations = {0, 0},
    .before = {(dnnl_dim_t)c->top, (dnnl_dim_t)c->left},
    .after = {(dnnl_dim_t)c->bottom, (dnnl_dim_t)c->right}};
}

static void destroy_convolution_layouts(const convolution_layouts *l) {
  destroy_layout(l->input);
  destroy_layout(l->weight);
  destroy_layout(l->bias);
  destroy_layout(l->output);
}

static void make_convolution_plan(plan *p, const state *s, const ck_convolution *c, uint64_t kind, ck_type operands,
                                  ck_type result, bool bias, bool accumulate) {
  const bool forward = kind == FORWARD, backward_data = kind == BACKWARD_DATA;
  const convolution_layouts l =
    convolution_layouts_of(c, backward_data ? result : operands, kind == BACKWARD_WEIGHT ? result : operands,
                           forward ? result : operands, bias);
  dnnl_primitive_desc_t description = NULL, hint = NULL;
  bool described;
  if (forward) {
    dnnl_primitive_attr_t attributes = make_attributes(accumulate);
    described = describe_forward(&description, s->engine, &l, attributes);
    if (attributes != NULL) dnnl_primitive_attr_destroy(attributes);
  } else {
    // A backward primitive wants to know the forward one, whose types are those of the operands.
    const convolution_layouts f = convolution_layouts_of(c, operands, operands, operands, false);
    described = describe_forward(&hint, s->engine, &f, NULL)
      && (backward_data ? describe_backward_data : describe_backward_weight)(&description, s->engine, &l, hint);
    if (hint != NULL) dnnl_primitive_desc_destroy(hint);
    destroy_convolution_layouts(&f);
  }
  if (described && is_fast(description)) {
    const layout_pointer ordered = dnnl_primitive_desc_query_md(
      description, kind == BACKWARD_WEIGHT ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    const dnnl_dim_t O = (dnnl_dim_t)c->O, C = (dnnl_dim_t)c->C, KH = (dnnl_dim_t)c->KH, KW = (dnnl_dim_t)c->KW;
    layout plain = make_layout(4, (dnnl_dim_t[]){O, C, KH, KW}, kind == BACKWARD_WEIGHT ? result : operands,
                               (dnnl_dim_t[]){KH * KW * C, 1, KW * C, C});
    if (forward) {
      add_argument(p, s, DNNL_ARG_SRC, POINTER_TO(l.input));
      add_argument(p, s, DNNL_ARG_WEIGHTS, ordered);
      add_argument(p, s, DNNL_ARG_DST, POINTER_TO(l.output));
      if (bias) add_argument(p, s, DNNL_ARG_BIAS, POINTER_TO(l.bias));
    } else if (backward_data) {
      add_argument(p, s, DNNL_ARG_DIFF_DST, POINTER_TO(l.output));
      add_argument(p, s, DNNL_ARG_WEIGHTS, ordered);
      add_argument(p, s, DNNL_ARG_DIFF_SRC, POINTER_TO(l.input));
    } else {
      add_argument(p, s, DNNL_ARG_SRC, POINTER_TO(l.input));
      add_argument(p, s, DNNL_ARG_DIFF_DST, POINTER_TO(l.output));
      add_argument(p, s, DNNL_ARG_DIFF_WEIGHTS, ordered);
    }
    if (!dnnl_memory_desc_equal(ordered, POINTER_TO(plain))) {
      if (kind == BACKWARD_WEIGHT) add_reorder(p, s, ordered, POINTER_TO(plain), accumulate);
      else add_reorder(p, s, POINTER_TO(plain), ordered, false);
      p->ordered_size = dnnl_memory_desc_get_size(ordered);
    }
    destroy_layout(plain);
    check(dnnl_primitive_create(&p->primitive, description));
    p->exists = true;
  }
  if (description != NULL) dnnl_primitive_desc_destroy(description);
  destroy_convolution_layouts(&l);
}

/// Whether products with the input's windows are faster than oneDNN's own convolution.
static bool prefers_windows(const ck_convolution *c, uint64_t kind) {
  return kind == BACKWARD_DATA ? ck_has_few_inputs(c) : ck_is_turned(c);
}

/// A plan that does not `exist` stands for products with the input's windows.
static plan *convolution_plan(state *s, const ck_convolution *c, uint64_t kind, ck_type operands, ck_type result,
                              bool bias, bool accumulate) {
  const uint64_t options = (uint64_t)operands * OPERANDS_BIT | (uint64_t)result * RESULT_BIT
    | (uint64_t)accumulate * ACCUMULATE_BIT | (uint64_t)bias * BIAS_BIT;
  const uint64_t key[KEY_WORDS] = {kind,  options, c->B,      c->H,   c->W,      c->C,    c->O,
                                   c->KH, c->KW,   c->stride, c->top, c->bottom, c->left, c->right};
  bool found;
  plan *p = find_plan(s, key, &found);
  if (!found && c->B > 0 && c->C > 0 && c->O > 0 && !prefers_windows(c, kind)) {
    pthread_mutex_lock(&making);
    make_convolution_plan(p, s, c, kind, operands, result, bias, accumulate);
    pthread_mutex_unlock(&making);
  }
  return p;
}

/// The weight in the order that the plan's primitive wants: as the last call with this plan left it, where nothing has
/// changed it since.
static void *ordered_weight(state *s, const plan *p, const void *w, bool again) {
  if (p->reorder == NULL) return (void *)w;
  void *ordered = ck_engine_scratch(CK_SCRATCH_WEIGHT, p->ordered_size);
  if (again && s->ordered_for == p) return ordered;
  s->ordered_for = p;
  execute(s, p->reorder, 2, p->reorder_arguments, (void *const[]){(void *)w, ordered});
  return ordered;
}

void engine_convolution_forward(const ck_convolution *shape, ck_type operands, const void *x, const void *w,
                                const float *bias, ck_type result, void *y, bool accumulate, bool again) {
  if (ck_is_pointwise(shape)) {
    ck_gemm(operands, false, true, shape->B * shape->H * shape->W, shape->O, shape->C, x, shape->C, w, shape->C, result,
            y, shape->O, bias, accumulate);
    return;
  }
  state *s = thread_state();
  const plan *p = convolution_plan(s, shape, FORWARD, operands, result, bias != NULL, accumulate);
  if (!p->exists) {
    s->ordered_for = NULL;
    windows_convolution_forward(shape, operands, x, w, bias, result, y, accumulate);
    return;
  }
  execute(s, p->primitive, p->count, p->arguments,
          (void *const[]){(void *)x, ordered_weight(s, p, w, again), y, (void *)bias});
}

void ck_convolution_backward_data(const ck_convolution *shape, ck_type operands, const void *dy, const void *w,
                                  const float *bias, ck_type result, void *dx, bool accumulate) {
  if (ck_is_pointwise(shape)) {
    ck_gemm(operands, false, false, shape->B * shape->H * shape->W, shape->C, shape->O, dy, shape->O, w, shape->C,
            result, dx, shape->C, bias, accumulate);
    return;
  }
  // oneDNN neither accumulates here nor adds a bias; what is to be added to should not be rounded before.
  const bool plain = bias == NULL && !accumulate;
  state *s = thread_state();
  const plan *p = convolution_plan(s, shape, BACKWARD_DATA, operands, plain ? result : CK_FLOAT32, false, false);
  if (!p->exists) {
    windows_convolution_backward_data(shape, operands, dy, w, bias, result, dx, accumulate);
    return;
  }
  const size_t rows = shape->B * shape->H * shape->W, n = rows * shape->C;
  float *sum = NULL;
  if (!plain) sum = result == CK_FLOAT32 && !accumulate ? dx : ck_engine_scratch(CK_SCRATCH_SUM, n * sizeof(float));
  execute(s, p->primitive, p->count, p->arguments,
          (void *const[]){(void *)dy, ordered_weight(s, p, w, false), plain ? dx : sum});
  if (bias != NULL) {
    if (accumulate) ck_add_rows(CK_FLOAT32, sum, bias, 1, CK_FLOAT32, sum, rows, shape->C);
    else ck_add_rows(CK_FLOAT32, sum, bias, 1, result, dx, rows, shape->C);
  }
  if (accumulate) ck_combine(result, dx, 1, CK_FLOAT32, sum, 1, result, dx, n);
}

void ck_convolution_backward_weight(const ck_convolution *shape, ck_type operands, const void *x, const void *dy,
                                    float *dw, bool accumulate) {
  if (ck_is_pointwise(shape)) {
    ck_gemm(operands, true, false, shape->O, shape->C, shape->B * shape->H * shape->W, dy, shape->O, x, shape->C,
            CK_FLOAT32, dw, shape->C, NULL, accumulate);
    return;
  }
  state *s = thread_state();
  // The sum is made where the weight's order is restored, or by hand where there is no need to.
  const plan *p = convolution_plan(s, shape, BACKWARD_WEIGHT, operands, CK_FLOAT32, false, accumulate);
  if (!p->exists) {
    windows_convolution_backward_weight(shape, operands, x, dy, dw, accumulate);
    return;
  }
  const size_t n = shape->O * shape->KH * shape->KW * shape->C;
  float *to = dw;
  if (p->reorder != NULL) to = ck_engine_scratch(CK_SCRATCH_WEIGHT, p->ordered_size);
  else if (accumulate) to = ck_engine_scratch(CK_SCRATCH_SUM, n * sizeof(float));
  execute(s, p->primitive, p->count, p->arguments, (void *const[]){(void *)x, (void *)dy, to});
  if (p->reorder != NULL) execute(s, p->reorder, 2, p->reorder_arguments, (void *const[]){to, dw});
  else if (accumulate) ck_combine(CK_FLOAT32, dw, 1, CK_FLOAT32, to, 1, CK_FLOAT32, dw, n);
}

#endif
