import CKernels

/// Multi-head scaled dot-product self-attention (Vaswani et al. 2017, eq. 1): softmax(Q·Kᵀ/√D)·V for each head.
///
/// - Parameters:
///   - qkv: [B, T, 3·H·D]: queries, keys and values side by side, the heads side by side in each.
///   - heads: H
///   - causal: whether a position sees only itself and those before it.
/// - Returns: [B, T, H·D]
public func attention(_ qkv: Tensor, heads: Int, causal: Bool) -> Tensor {
  let (B, T) = (qkv.shape[0], qkv.shape[1])
  let D = qkv.lastDimension / (3 * heads)
  precondition(qkv.shape == [B, T, 3 * heads * D], "\(qkv.shape) does not split into \(heads) heads")
  let y = Tensor(uninitialized: [B, T, heads * D], qkv.type)
  let logSumExp = Tensor(uninitialized: [B, heads, T])
  let scratchShape = [ck_attention_scratch(T, D) / 4 + 1]
  let scratch = Tensor(uninitialized: scratchShape)
  ck_attention(qkv.kernelType, qkv.pointer, y.pointer, logSumExp.floats, B, T, heads, D, causal, scratch.pointer)
  return Tape.record(y, from: qkv.variable) { gradient in
    let dy = gradient.converted(to: qkv.type)
    let dqkv = Tensor(uninitialized: qkv.shape, qkv.type)
    let scratch = Tensor(uninitialized: scratchShape)
    ck_attention_backward(
      qkv.kernelType, qkv.pointer, y.pointer, logSumExp.floats, dy.pointer, dqkv.pointer, B, T, heads, D, causal,
      scratch.pointer)
    qkv.variable?.add(dqkv)
  }
}

/// Causal multi-head self-attention of text and image tokens, of which each image token sees what a mask says: the
/// products of the sparse kinds are about as large as what is seen.
///
/// - Parameters:
///   - qkv: [B, T, 3·H·D] as for the dense one, where T ≤ textLength + gridSide² for a sparse mask: the last image tokens
///     may be missing.
///   - heads: H
///   - mask: what each position sees.
/// - Returns: [B, T, H·D]
public func attention(_ qkv: Tensor, heads: Int, mask: AttentionMask) -> Tensor {
  if mask.kind == .full { return attention(qkv, heads: heads, causal: true) }
  let (B, T) = (qkv.shape[0], qkv.shape[1])
  let D = qkv.lastDimension / (3 * heads)
  precondition(qkv.shape == [B, T, 3 * heads * D], "\(qkv.shape) does not split into \(heads) heads")
  let imageLength = T - mask.textLength
  precondition((0...mask.gridSide * mask.gridSide).contains(imageLength), "\(qkv.shape) does not fit \(mask)")
  let y = Tensor(uninitialized: [B, T, heads * D], qkv.type)
  let logSumExp = Tensor(uninitialized: [B, heads, T])
  let scratchShape = [mask.withKernelMask { ck_sparse_attention_scratch($0, T, D) } / 4 + 1]
  let scratch = Tensor(uninitialized: scratchShape)
  mask.withKernelMask {
    ck_sparse_attention(qkv.kernelType, qkv.pointer, y.pointer, logSumExp.floats, B, T, heads, D, $0, scratch.pointer)
  }
  return Tape.record(y, from: qkv.variable) { gradient in
    let dy = gradient.converted(to: qkv.type)
    let dqkv = Tensor(uninitialized: qkv.shape, qkv.type)
    let scratch = Tensor(uninitialized: scratchShape)
    mask.withKernelMask {
      ck_sparse_attention_backward(
        qkv.kernelType, qkv.pointer, logSumExp.floats, dy.pointer, dqkv.pointer, B, T, heads, D, $0, scratch.pointer)
    }
    qkv.variable?.add(dqkv)
  }
}
