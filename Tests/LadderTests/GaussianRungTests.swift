import Basics
import Foundation
import LatentModels
import LinearAlgebra
import Testing

@testable import Ladder

struct GaussianRungTests {
  /// A column in small units is fitted as it is in others, whatever stands beside it.
  @Test func unitsOfColumnsMakeNoDifference() throws {
    var random = Philox(seed: 4, stream: 0)
    // An income, a rate that follows it, and what is the same everywhere.
    let units = [50_000.0, 0.002, 1]
    var (plain, scaled) = (Matrix(rows: 200, columns: 3), Matrix(rows: 200, columns: 3))
    for n in 0..<200 {
      let (income, noise) = (random.normal(), random.normal())
      for (j, value) in [income, 0.8 * income + 0.6 * noise, 7].enumerated() {
        (plain[n, j], scaled[n, j]) = (value, value * units[j])
      }
    }
    for rung in [GaussianRung.self, GaussianMixtureRung.self] as [any LadderRung.Type] {
      var options = LadderOptions()
      if rung is GaussianMixtureRung.Type { options.components = 1 }
      // The constant column's density follows its ε, which is no figure of the data.
      func likelihood(_ x: Matrix) throws -> Double {
        let pair = Matrix((0..<x.rows).flatMap { [x[$0, 0], x[$0, 1]] }, rows: x.rows, columns: 2)
        return try rung.fit(pair, side: nil, options: options).model.logLikelihood(pair, seed: 0).mean
      }
      let expected = try likelihood(plain) - log(units[0] * units[1])
      #expect(abs(try likelihood(scaled) - expected) < 1e-3, "\(rung.name)")
    }
    let floor = try GaussianRung.matrixFloor(scaled, threads: 1)
    #expect((1e-16...1e-14).contains(floor.absolute) && floor.relative == 1e-6, "\(floor)")
    let constant = try GaussianRung.matrixFloor(Matrix([7, 0.1, 7, 0.1, 7, 0.1], rows: 3, columns: 2), threads: 1)
    #expect(constant == (1e-6, 0))
  }
}
