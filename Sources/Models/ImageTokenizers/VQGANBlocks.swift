import Basics
import NN
import TensorCore

/// What the VQGAN's encoder and decoder are built of (Esser et al. 2021, table 7; the blocks are those of Ho et al. 2020,
/// appendix B). All add to a float32 stream x, [B, H, W, C].
extension VQGAN {
  /// Makes convolutions, the weights of one precision.
  struct Maker {
    var initializer: Initializer
    let precision: ElementType

    mutating func convolution(_ inputs: Int, _ outputs: Int, kernel: Int = 3) -> Convolution {
      Convolution(
        weight: Buffer(
          initializer.uniform([outputs, kernel, kernel, inputs], fanIn: kernel * kernel * inputs)
            .cast(to: precision)),
        bias: Buffer(.zeros([outputs])))
    }
  }

  /// A convolution of stride 1 that keeps the side. Its weight, which nothing trains, is kept in the type of its operands alone.
  struct Convolution: Module, Sendable {
    /// [outputs, kernel, kernel, inputs]
    let weight: Buffer
    /// [outputs]
    let bias: Buffer

    var type: ElementType { weight.value.type }
    private var padding: Padding { Padding(weight.value.shape[1] / 2) }

    /// - Parameter type: what the result is; the operands' type unless told otherwise.
    func callAsFunction(_ x: Tensor, as type: ElementType? = nil, on team: ThreadTeam?) -> Tensor {
      convolution(
        x.cast(to: self.type, on: team), weight: weight.value, bias: bias.value, padding: padding, as: type, on: team)
    }

    /// Adds the result to `sum`.
    func add(_ x: Tensor, to sum: inout Tensor, on team: ThreadTeam?) {
      sum.addConvolution(x, weight: weight.value, bias: bias.value, padding: padding, on: team)
    }
  }

  /// Group normalisation with 32 groups, followed by SiLU where `silu`.
  struct Normalization: Module, Sendable {
    /// [C]
    let weight: Buffer
    let bias: Buffer
    private let silu: Bool

    init(_ channels: Int, silu: Bool) {
      weight = Buffer(Tensor(repeating: 1, shape: [channels]))
      bias = Buffer(.zeros([channels]))
      self.silu = silu
    }

    func callAsFunction(_ x: Tensor, as type: ElementType, on team: ThreadTeam?) -> Tensor {
      groupNorm(
        x, gain: weight.value, bias: bias.value, groups: 32, silu: silu, epsilon: 1e-6, as: type, on: team)
    }
  }

  /// x ← shortcut(x) + conv2(norm2(conv1(norm1(x)))), the shortcut a 1×1 convolution where the width changes.
  struct ResidualBlock: Module, Sendable {
    let norm1: Normalization
    let conv1: Convolution
    let norm2: Normalization
    let conv2: Convolution
    let ninShortcut: Convolution?

    init(_ inputs: Int, _ outputs: Int, _ make: inout Maker) {
      norm1 = Normalization(inputs, silu: true)
      conv1 = make.convolution(inputs, outputs)
      norm2 = Normalization(outputs, silu: true)
      conv2 = make.convolution(outputs, outputs)
      ninShortcut = inputs == outputs ? nil : make.convolution(inputs, outputs, kernel: 1)
    }

    func add(to x: inout Tensor, on team: ThreadTeam?) {
      var h = conv1(norm1(x, as: conv1.type, on: team), on: team)
      h = norm2(h, as: conv2.type, on: team)
      if let ninShortcut { x = ninShortcut(x, as: .float32, on: team) }
      conv2.add(h, to: &x, on: team)
    }
  }

  /// x ← x + proj(attention(q(norm(x)), k(norm(x)), v(norm(x)))), of one head.
  struct AttentionBlock: Module, Sendable {
    let norm: Normalization
    let q: Convolution
    let k: Convolution
    let v: Convolution
    let projOut: Convolution

    init(_ channels: Int, _ make: inout Maker) {
      norm = Normalization(channels, silu: false)
      q = make.convolution(channels, channels, kernel: 1)
      k = make.convolution(channels, channels, kernel: 1)
      v = make.convolution(channels, channels, kernel: 1)
      projOut = make.convolution(channels, channels, kernel: 1)
    }

    func add(to x: inout Tensor, on team: ThreadTeam?) {
      let h = norm(x, as: q.type, on: team)
      let seen = attention(query: q(h, on: team), key: k(h, on: team), value: v(h, on: team), on: team)
      projOut.add(seen, to: &x, on: team)
    }
  }

  /// The two residual blocks at the coarsest level, with attention between them.
  struct Middle: Module, Sendable {
    let block1: ResidualBlock
    let attn1: AttentionBlock
    let block2: ResidualBlock

    init(_ channels: Int, _ make: inout Maker) {
      block1 = ResidualBlock(channels, channels, &make)
      attn1 = AttentionBlock(channels, &make)
      block2 = ResidualBlock(channels, channels, &make)
    }

    func add(to x: inout Tensor, on team: ThreadTeam?) {
      block1.add(to: &x, on: team)
      attn1.add(to: &x, on: team)
      block2.add(to: &x, on: team)
    }
  }

  /// A 3×3 convolution of stride 2, the input padded below and on the right only: [B, H, W, C] → [B, H/2, W/2, C].
  struct Downsampling: Module, Sendable {
    let conv: Convolution

    init(_ channels: Int, _ make: inout Maker) { conv = make.convolution(channels, channels) }

    func callAsFunction(_ x: Tensor, on team: ThreadTeam?) -> Tensor {
      convolution(
        x.cast(to: conv.type, on: team), weight: conv.weight.value, bias: conv.bias.value, stride: 2,
        padding: Padding(bottom: 1, right: 1), as: .float32, on: team)
    }
  }

  /// A 3×3 convolution of the picture enlarged by nearest-neighbour interpolation: [B, H, W, C] → [B, 2·H, 2·W, C].
  struct Upsampling: Module, Sendable {
    let conv: Convolution
    /// The convolution's weight as it meets the small picture.
    private var phases: [Tensor] = []

    init(_ channels: Int, _ make: inout Maker) { conv = make.convolution(channels, channels) }

    mutating func prepare() { phases = phaseWeights(conv.weight.value).map { $0.cast(to: conv.type) } }

    func callAsFunction(_ x: Tensor, on team: ThreadTeam?) -> Tensor {
      enlargedConvolution(
        x.cast(to: conv.type, on: team), phases: phases, bias: conv.bias.value, as: .float32, on: team)
    }
  }
}
