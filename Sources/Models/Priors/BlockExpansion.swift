import Basics
import NN
import TensorCore

extension TransformerPrior {
  /// A prior of more layers that computes the same, to train further (block expansion, Wu et al. 2024, LLaMA Pro, section 3.2).
  ///
  /// Further blocks stand evenly among the old ones. Each is a copy of the one before it, with the matrices at zero in which
  /// its two branches end, so that it passes its input on. Its other matrices know already what is worth looking at, and are
  /// learnt anew from the second step on.
  /// - Throws: `PipelineError` of kind `.usage` where this one has more layers.
  public func deepened(to layers: Int) throws(PipelineError) -> Self {
    guard layers >= blocks.count else {
      throw PipelineError(
        .usage, "a warm start keeps the checkpoint's \(blocks.count) layers; give `layers` of at least as many")
    }
    // Which old block each new one is, or is a copy of.
    let origins = (0..<layers).map { $0 * blocks.count / layers }
    var configuration = configuration
    configuration.layers = layers
    configuration.attention = configuration.attention.map { kinds in origins.map { kinds[$0 % kinds.count] } }
    let deeper = Self(configuration, seed: 0)
    for (position, origin) in origins.enumerated() {
      let block = deeper.blocks[position]
      block.overwrite(with: blocks[origin])
      if position > 0 && origins[position - 1] == origin { block.becomeIdentity() }
    }
    let trained = Dictionary(uniqueKeysWithValues: parametersOutsideBlocks)
    for (name, parameter) in deeper.parametersOutsideBlocks { parameter.overwrite(with: trained[name]!.value) }
    return deeper
  }

  private var parametersOutsideBlocks: [(String, Parameter)] {
    let inside = Set(blocks.flatMap { $0.parameters().map(ObjectIdentifier.init) })
    return namedParameters().filter { !inside.contains(ObjectIdentifier($0.parameter)) }.map { ($0.name, $0.parameter) }
  }
}

extension TransformerBlock {
  /// Takes over the weights of a block of the same shape.
  fileprivate func overwrite(with other: Self) {
    for (own, others) in zip(parameters(), other.parameters()) { own.overwrite(with: others.value) }
  }

  /// Makes both branches add nothing.
  fileprivate func becomeIdentity() {
    for parameter in attention.output.parameters() + mlp.output.parameters() {
      parameter.overwrite(with: .zeros(parameter.shape))
    }
  }
}
