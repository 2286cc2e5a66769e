import ArrayFiles
import Foundation
import LinearAlgebra
import TensorCore
import TestSupport

/// One of the files that the scripts in `Tests/Fixtures` write for models.
public struct Fixture {
  private let file: SafeTensors

  /// - Parameter name: without folder and extension.
  public init(_ name: String) throws {
    file = try SafeTensors(contentsOf: Fixtures.url("models/\(name).safetensors"))
  }

  public func contains(_ name: String) -> Bool { file.shape(of: name) != nil }

  public func tensor(_ name: String) throws -> Tensor { try file.tensor(name) }

  /// Float64 numbers.
  public func matrix(_ name: String) throws -> Matrix { try file.matrix(name) }

  /// Whole numbers, which the fixtures keep as float32.
  public func integers(_ name: String) throws -> [Int32] { try file.tensor(name).scalars.map { Int32($0) } }

  /// The tensors `prefix0`, `prefix1`, … as many as there are.
  public func series(_ prefix: String) throws -> [Tensor] {
    var tensors: [Tensor] = []
    while contains("\(prefix)\(tensors.count)") { tensors.append(try tensor("\(prefix)\(tensors.count)")) }
    return tensors
  }
}

/// max |a - b| / max |b|; the plain difference where b is zero. Infinite where the shapes differ or a number is not
/// finite.
public func relativeError(_ a: Tensor, _ b: Tensor) -> Double {
  guard a.shape == b.shape else { return .infinity }
  return relativeError(a.scalars.map(Double.init), b.scalars.map(Double.init))
}

public func relativeError(_ a: [Double], _ b: [Double]) -> Double {
  guard a.count == b.count, a.allSatisfy(\.isFinite), b.allSatisfy(\.isFinite) else { return .infinity }
  let largest = b.map(abs).max() ?? 0
  let difference = zip(a, b).map { abs($0 - $1) }.max() ?? 0
  return largest == 0 ? difference : difference / largest
}
