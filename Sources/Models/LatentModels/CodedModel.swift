import Basics
import LinearAlgebra
import TensorCore

/// A rung whose latent variable is one vector: a row has a code z ∈ ℝ^Z, and a code stands for a row.
public protocol CodedModel: GenerativeModel {
  /// Z
  var latentDimensions: Int { get }
  /// The code of each row, or the mean of q(z | x): [B, D] to [B, Z].
  func code(_ x: Tensor) -> Tensor
  /// What each code stands for, or the mean of p(x | z): [B, Z] to [B, D].
  func mean(_ z: Tensor) -> Tensor
}

/// A rung that tells what it takes the latent variables of given rows to be.
public protocol EncodingModel: GenerativeModel {
  /// What is known of each row's latent variables, such as "mean" and "variance" of q(z | x) or "responsibilities".
  /// - Parameter x: [N, D].
  /// - Returns: arrays of N rows each.
  /// - Throws: as ``GenerativeModel/logLikelihood(_:seed:)``.
  func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray]
}

extension EncodingModel {
  /// The code of each row, or the mean of q(z | x), [N, Z]; nil of a model whose latent variable is something else.
  /// - Throws: as `latentArrays(_:)`.
  public func codes(_ x: Matrix) throws(PipelineError) -> Matrix? {
    try latentArrays(x).first { $0.name == LatentArray.mean || $0.name == LatentArray.code }?.values
  }
}

/// Numbers of a row for each row of some data, by name.
public struct LatentArray: Sendable {
  public var name: String
  /// [N, …]
  public var values: Matrix
  /// Whether they count something, as tokens do.
  public var areIntegers = false

  /// What the arrays are called that have the row's one code, or the mean of what is known of it.
  static let (code, mean) = ("code", "mean")

  public init(_ name: String, _ values: Matrix, areIntegers: Bool = false) {
    (self.name, self.values, self.areIntegers) = (name, values, areIntegers)
  }
}

/// A rung with one code for a row, of which it knows a Gaussian q(z | x).
protocol VariationalModel: CodedModel, EncodingModel {
  /// The mean and log σ² of q(z | x), [B, Z] each.
  func posterior(_ x: Tensor, precision: ElementType) -> (mean: Tensor, logVariance: Tensor)
}

extension VariationalModel {
  public func code(_ x: Tensor) -> Tensor { posterior(x, precision: .float32).mean }

  /// Mean and variance of q(z | x), [N, Z] each.
  func posteriorArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    try x.checkData(dimensions: dimensions)
    var (means, variances): ([Double], [Double]) = ([], [])
    x.forEachBatch(of: 64) { x, _ in
      let (mean, logVariance) = posterior(x, precision: .float32)
      means += mean.scalars.map { Double($0) }
      variances += logVariance.applying(.exp).scalars.map { Double($0) }
    }
    return [(LatentArray.mean, means), ("variance", variances)].map { name, elements in
      LatentArray(name, Matrix(elements, rows: x.rows, columns: latentDimensions))
    }
  }

  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] { try posteriorArrays(x) }
}

extension CodedModel {
  /// The codes of rows, or the means of q(z | x): [N, Z].
  /// - Parameter x: [N, D].
  /// - Throws: `PipelineError` of kind `.badData` where the width differs or an element is not finite.
  public func encode(_ x: Matrix) throws(PipelineError) -> Matrix {
    try x.checkData(dimensions: dimensions)
    return x.mapped(to: latentDimensions, code)
  }

  /// What codes stand for, or the means of p(x | z): [N, D].
  /// - Parameter z: [N, Z].
  /// - Throws: as ``encode(_:)``, of z.
  public func decode(_ z: Matrix) throws(PipelineError) -> Matrix {
    try z.checkData(dimensions: latentDimensions)
    return z.mapped(to: dimensions, mean)
  }

  /// The rows that the codes of rows stand for.
  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix { try decode(try encode(x)) }
}

extension Matrix {
  /// `f` of the rows, some at a time: [N, columns].
  fileprivate func mapped(to columns: Int, _ f: (Tensor) -> Tensor) -> Matrix {
    var elements: [Double] = []
    forEachBatch(of: 64) { rows, _ in elements += f(rows).scalars.map { Double($0) } }
    return Matrix(elements, rows: rows, columns: columns)
  }
}

/// How well each number of a code alone follows an attribute of its row: Pearson's correlation of the two.
/// - Parameters:
///   - codes: [N, Z].
///   - attribute: [N].
/// - Returns: [Z], -1 ... 1; 0 where either does not vary.
/// - Throws: `PipelineError` of kind `.badData` where there are no rows, not as many attributes as rows, or numbers that are not
///   finite.
public func attributeCorrelations(codes: Matrix, attribute: [Double]) throws(PipelineError) -> [Double] {
  guard codes.rows == attribute.count, !attribute.isEmpty else {
    throw PipelineError(.badData, "there are \(attribute.count) numbers of an attribute for \(codes.rows) rows")
  }
  if let row = attribute.firstIndex(where: { !$0.isFinite }) {
    throw PipelineError(
      .badData, "number \(row + 1) of the attribute is \(attribute[row]), which correlates with nothing")
  }
  // Of equal values the mean may be another by rounding, and what is left would be in step.
  let centred = { (values: [Double]) in
    values.allSatisfy { $0 == values[0] } ? values.map { _ in 0 } : values.map { $0 - values.mean }
  }
  let a = centred(attribute)
  let product = { (x: [Double], y: [Double]) in zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
  return (0..<codes.columns).map { column in
    let z = centred((0..<codes.rows).map { codes[$0, column] })
    let scale = (product(a, a) * product(z, z)).squareRoot()
    return scale > 0 ? product(a, z) / scale : 0
  }
}
