import Basics
import CKernels

/// A normal distribution, prepared for its log-density: constant - ‖L⁻¹(x - μ)‖²/2.
public struct NormalDensity: Sendable {
  public enum Shape: Sendable {
    /// L⁻¹, of which L is the covariance's Cholesky factor.
    case factor(Matrix)
    /// 1/σ_j² of a diagonal covariance.
    case precisions([Double])
  }

  public let mean: [Double]
  public let shape: Shape
  /// -(D·ln 2π + ln|Σ|)/2, and whatever is added to it.
  public let constant: Double

  public init(mean: [Double], shape: Shape, constant: Double) {
    (self.mean, self.shape, self.constant) = (mean, shape, constant)
  }
}

extension Matrix {
  /// The log-density of each row under N normal distributions, as a column each of [rows, K].
  public func normalLogDensities(_ components: [NormalDensity], team: ThreadTeam) -> Matrix {
    let K = components.count
    var result = Matrix(rows: rows, columns: K)
    result.elements.withUnsafeMutableBufferPointer { out in
      nonisolated(unsafe) let out = out
      team.run { thread in
        let range = team.range(of: thread, total: rows)
        var scratch = [Double](repeating: 0, count: ck_row_block(columns) * columns)
        elements.withUnsafeBufferPointer { x in
          guard let x = x.baseAddress, let out = out.baseAddress, !range.isEmpty else { return }
          for (k, component) in components.enumerated() {
            let (from, to) = (x + range.lowerBound * columns, out + range.lowerBound * K + k)
            switch component.shape {
            case .factor(let inverse):
              ck_normal_log_density(
                from, range.count, columns, component.mean, inverse.elements, component.constant, to, K, &scratch)
            case .precisions(let precisions):
              ck_diagonal_log_density(
                from, range.count, columns, component.mean, precisions, component.constant, to, K)
            }
          }
        }
      }
    }
    return result
  }
}
