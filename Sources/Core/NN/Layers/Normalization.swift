import TensorCore

/// Layer normalisation (Ba et al. 2016): y = (x - μ)/√(σ² + 10⁻⁵)·weight + bias over the last axis.
/// `weight` starts at one, `bias` at zero.
public struct LayerNorm: Module, Sendable {
  public let weight: Parameter
  public let bias: Parameter

  public init(_ width: Int) {
    weight = Parameter(Tensor(repeating: 1, shape: [width]))
    bias = Parameter(.zeros([width]))
  }

  /// - Parameters:
  ///   - x: [.., C].
  ///   - type: what the result is; x's type unless told otherwise.
  public func callAsFunction(_ x: Tensor, as type: ElementType? = nil) -> Tensor {
    layerNorm(x, gain: weight(), bias: bias(), as: type)
  }
}

/// Group normalisation (Wu & He 2018) of [B, H, W, C], followed by SiLU where `silu`.
/// `weight` starts at one, `bias` at zero.
public struct GroupNorm: Module, Sendable {
  public let weight: Parameter
  public let bias: Parameter
  private let groups: Int
  private let silu: Bool

  public init(_ channels: Int, groups: Int, silu: Bool = false) {
    weight = Parameter(Tensor(repeating: 1, shape: [channels]))
    bias = Parameter(.zeros([channels]))
    self.groups = groups
    self.silu = silu
  }

  /// - Parameters:
  ///   - x: [B, H, W, C].
  ///   - type: what the result is; x's type unless told otherwise.
  public func callAsFunction(_ x: Tensor, as type: ElementType? = nil) -> Tensor {
    groupNorm(x, gain: weight(), bias: bias(), groups: groups, silu: silu, as: type)
  }
}
