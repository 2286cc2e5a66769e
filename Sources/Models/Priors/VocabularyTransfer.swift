import NN
import TensorCore

extension TrainablePrior {
  /// Takes over the weights of a prior that differs from this one in its text vocabulary and its text length at most.
  ///
  /// A text token begins with the mean of what the other prior has for the tokens that say the same, a text position with
  /// what it has for that position; positions that it doesn't have stay as they are.
  /// - Parameters:
  ///   - other: of the same kind and architecture.
  ///   - pieces: for each text token of this prior the tokens of `other` that say the same, at least one.
  /// - Precondition: both have the same parameters but for the number of text tokens and positions.
  public func adopt(_ other: any TrainablePrior, pieces: [[Int32]]) {
    let tokenTables = Set(textTokenParameters.map(ObjectIdentifier.init))
    for (own, others) in zip(namedParameters(), other.namedParameters()) {
      let (parameter, source) = (own.parameter, others.parameter)
      precondition(
        own.name == others.name && parameter.shape.dropFirst() == source.shape.dropFirst(),
        "\(own.name) \(parameter.shape) has no counterpart")
      let width = parameter.shape.dropFirst().reduce(1, *)
      if tokenTables.contains(ObjectIdentifier(parameter)) {
        var rows = Self.means(of: source.value.scalars, width: width, rows: pieces)
        // What stands behind the text tokens, such as "no caption", belongs to no piece.
        rows += source.value.scalars.suffix(parameter.count - rows.count)
        parameter.overwrite(with: Tensor(rows, shape: parameter.shape))
      } else {
        let shared = min(parameter.count, source.count)
        let values = source.value.scalars.prefix(shared) + parameter.value.scalars.dropFirst(shared)
        parameter.overwrite(with: Tensor(values, shape: parameter.shape))
      }
    }
  }

  /// For each list of rows of a table their mean, one after the other.
  private static func means(of table: [Float], width: Int, rows: [[Int32]]) -> [Float] {
    rows.flatMap { rows in
      (0..<width).map { i in rows.reduce(0) { $0 + table[Int($1) * width + i] } / Float(rows.count) }
    }
  }
}
