/// The loops of decoding, included once for each way to add the products of two pairs of bfloat16 numbers. The file that
/// includes this defines
///
///     NAMED(name)    a name of this way
///     ENTRY, PART    the attributes of functions that are called and of those that become part of them
///
/// and the function `NAMED(add_products)(sum, x, y)`: sum[i] += x[i].odd·y.odd + x[i].even·y.even for sixteen pairs x
/// and one y.

/// sums[r][j] = Σ over the pairs p, in their order, of x[r,p]·panel[p,j]. The number of rows is a constant where this is
/// called. MOST_ROWS of them take so long that `coming` can be fetched meanwhile, `stride` numbers a pair.
PART void NAMED(panel_product)(const uint16_t *panel, const uint16_t *x, size_t P, float sums[][PANEL], size_t rows,
                               const uint16_t *coming, size_t stride) {
  ck_floats low[MOST_ROWS], high[MOST_ROWS];
  for (size_t r = 0; r < rows; r++) low[r] = high[r] = (ck_floats){0};
  for (size_t p = 0; p < P; p++) {
    if (rows == MOST_ROWS) {
      __builtin_prefetch(coming + p * stride, 0, 2);
      if (stride > CACHE_LINE) __builtin_prefetch(coming + p * stride + CACHE_LINE, 0, 2);
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      NAMED(add_products)(&low[r], panel + 2 * p * PANEL, x + 2 * (r * P + p));
      NAMED(add_products)(&high[r], panel + 2 * (p * PANEL + CK_LANES), x + 2 * (r * P + p));
    }
  }
  for (size_t r = 0; r < rows; r++) {
    memcpy(sums[r], &low[r], sizeof low[r]);
    memcpy(sums[r] + CK_LANES, &high[r], sizeof high[r]);
  }
}

/// As many rows as can be taken at once, of which there are `left`: returns that number.
ENTRY static size_t NAMED(some_rows)(const uint16_t *panel, const uint16_t *x, size_t P, float sums[][PANEL],
                                     size_t left, const uint16_t *coming, size_t stride) {
  if (left >= 8) return NAMED(panel_product)(panel, x, P, sums, 8, coming, stride), 8;
  if (left >= 4) return NAMED(panel_product)(panel, x, P, sums, 4, coming, stride), 4;
  if (left >= 2) return NAMED(panel_product)(panel, x, P, sums, 2, coming, stride), 2;
  return NAMED(panel_product)(panel, x, P, sums, 1, coming, stride), 1;
}

/// sums[j] += Σ over n lines, of `stride` pairs each, of lines[i, j]·factors[i] for `vectors` times sixteen j, a constant
/// where this is called. Odd and even lines are added up apart, so that one addition need not wait for the one before.
PART void NAMED(add_lines)(const uint16_t *lines, size_t stride, const uint16_t *factors, size_t n, ck_floats *sums,
                           size_t vectors) {
  ck_floats even[MOST_VECTORS], odd[MOST_VECTORS];
  for (size_t v = 0; v < vectors; v++) even[v] = odd[v] = (ck_floats){0};
  size_t i = 0;
  for (; i + 2 <= n; i += 2)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
      NAMED(add_products)(&even[v], lines + 2 * (i * stride + v * CK_LANES), factors + 2 * i);
      NAMED(add_products)(&odd[v], lines + 2 * ((i + 1) * stride + v * CK_LANES), factors + 2 * (i + 1));
    }
  if (i < n)
    for (size_t v = 0; v < vectors; v++)
      NAMED(add_products)(&even[v], lines + 2 * (i * stride + v * CK_LANES), factors + 2 * i);
  for (size_t v = 0; v < vectors; v++) sums[v] += even[v] + odd[v];
}

/// scores[j] = q·key of the run's position j, and beyond its end up to 31 more numbers, which mean nothing.
PART void NAMED(attention_scores)(const uint16_t *q, const uint16_t *keys, ck_run run, size_t pairs, float *scores) {
  for (size_t start = run.first / CHUNK * CHUNK; start < run.first + run.count; start += CHUNK) {
    ck_floats sums[CHUNK / CK_LANES] = {{0}};
    NAMED(add_lines)(keys + 2 * start * pairs, CHUNK, q, pairs, sums, CHUNK / CK_LANES);
    size_t before = ck_max(start, run.first) - start;
    memcpy(scores + start + before - run.first, (float *)sums + before, sizeof sums - before * sizeof(float));
  }
}

/// out[0 ..< 16·vectors] = factor · Σ over the runs of weights·values.
PART void NAMED(weigh_values)(const pair_run *runs, size_t run_count, const uint16_t *weights, const uint16_t *values,
                              size_t D, float factor, float *out, size_t vectors) {
  ck_floats sums[MOST_VECTORS];
  for (size_t v = 0; v < vectors; v++) sums[v] = (ck_floats){0};
  for (size_t i = 0; i < run_count; weights += 2 * runs[i++].count)
    NAMED(add_lines)(values + 2 * runs[i].first * D, D, weights, runs[i].count, sums, vectors);
  for (size_t v = 0; v < vectors; v++) {
    sums[v] *= factor;
    memcpy(out + v * CK_LANES, &sums[v], sizeof sums[v]);
  }
}

ENTRY static void NAMED(decode_attention)(const float *q, const uint16_t *keys, const uint16_t *values,
                                          const ck_run *runs, size_t run_count, size_t D, float scale, float *scores,
                                          uint16_t *packed, float *out) {
  pack_pairs(q, packed, D);
  // The scores of all runs side by side: what one run leaves beyond its end the next one overwrites.
  size_t seen = 0;
  for (size_t i = 0; i < run_count; seen += runs[i++].count)
    NAMED(attention_scores)(packed, keys, runs[i], pair_count(D), scores + seen);
  float largest, factor = 1 / ck_exponentials(scores, scale, scores, seen, &largest);
  pair_run pairs[CK_MOST_RUNS];
  pack_weights(runs, run_count, scores, packed, pairs);
  size_t d = 0;
  for (; d + MOST_VECTORS * CK_LANES <= D; d += MOST_VECTORS * CK_LANES)
    NAMED(weigh_values)(pairs, run_count, packed, values + 2 * d, D, factor, out + d, MOST_VECTORS);
  for (; d + CK_LANES <= D; d += CK_LANES)
    NAMED(weigh_values)(pairs, run_count, packed, values + 2 * d, D, factor, out + d, 1);
  if (d < D) {
    float rest[CK_LANES];
    NAMED(weigh_values)(pairs, run_count, packed, values + 2 * d, D, factor, rest, 1);
    memcpy(out + d, rest, (D - d) * sizeof *rest);
  }
}
