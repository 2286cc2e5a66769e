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
