import ArrayFiles
import Foundation
import ModelTestSupport
import NN
import TestSupport
import Testing

@testable import Basics
@testable import LatentModels
@testable import LinearAlgebra
@testable import TensorCore

struct HierarchicalVAETests {
  private func configuration() -> HierarchicalVAE.Configuration {
    var c = HierarchicalVAE.Configuration(dimensions: 8 * 8 * 3)
    c.patchSize = 2
    c.codeDimensions = 3
    c.latentChannels = [2, 2]
    c.channels = [4, 4]
    c.components = 2
    return c
  }

  /// Pictures of one colour on white: a square whose place, size and colour vary.
  private func squares(_ count: Int, stream: UInt64) -> Matrix {
    var random = Philox(seed: 6, stream: stream)
    var elements: [Double] = []
    for _ in 0..<count {
      let (x, y, size) = (random.index(below: 5), random.index(below: 5), 2 + random.index(below: 2))
      let color = (0..<3).map { _ in Double(random.index(below: 200)) }
      for row in 0..<8 {
        for column in 0..<8 {
          let isInside = (y..<y + size).contains(row) && (x..<x + size).contains(column)
          elements += (0..<3).map { ((isInside ? color[$0] : 255) + 0.5) / 256 }
        }
      }
    }
    return Matrix(elements, rows: count, columns: 192)
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  @Test func agreesWithPyTorch() throws {
    let fixture = try Fixture("hierarchical-vae")
    let model = try HierarchicalVAE(configuration(), seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    let (x, epsilon) = (try fixture.tensor("x"), try fixture.series("epsilon/"))
    #expect(epsilon.map(\.shape) == model.latentShapes(3))
    let (loss, gradients) = valueAndGrad(model) {
      $0.loss(x, epsilon: epsilon, klWeight: 0.75, precision: .float32)
    }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      #expect(relativeError(gradient, try fixture.tensor("gradient/\(name)")) < 5e-5, "the gradient of \(name)")
    }
    let narrow = model.loss(x, epsilon: epsilon, klWeight: 0.75, precision: .bfloat16)
    #expect(abs(narrow.item - loss.item) < 0.02 * abs(loss.item))
  }

  /// While the price of the code rises, each level pays by what it says, and its gradient with it.
  @Test func aLevelThatSaysLittlePaysLittle() throws {
    let model = try HierarchicalVAE(configuration(), seed: 1)
    // 3 latent variables, 2×2×2 and 4×4×2: one nat each, two and none.
    let weights = model.balance([3, 16, 0])
    #expect(abs(weights[0] - 1) < 1e-6 && abs(weights[1] - 2) < 1e-6 && weights[2] < 1e-6)
    #expect(model.balance([0, 0, 0]).filter { !$0.isFinite }.isEmpty)
    let x = Tensor(squares(3, stream: 4).elements.map { Float($0) }, shape: [3, 192])
    let epsilon = model.latentShapes(3).map { Tensor.normal($0, seed: 2, stream: 3) }
    func loss(_ klWeight: Float, isBalanced: Bool) -> Float {
      model.loss(x, epsilon: epsilon, klWeight: klWeight, isBalanced: isBalanced, precision: .float32).item
    }
    let free = loss(0, isBalanced: false)
    #expect(loss(0, isBalanced: true) == free)
    #expect(loss(1, isBalanced: true) > free && loss(1, isBalanced: true) != loss(1, isBalanced: false))
  }

  @Test func learnsAndUsesItsCodeAndItsGrids() throws {
    var c = configuration()
    c.channels = [16, 16]
    c.warmUp = 0.2
    let model = try HierarchicalVAE(c, seed: 1)
    let (rows, heldOut) = (squares(256, stream: 1), squares(64, stream: 2))
    let before = mean(try model.logLikelihood(heldOut, seed: 1))
    var fit = GradientFit(.steps(500))
    fit.batchSize = 32
    fit.learningRate = 3e-3
    fit.warmUpSteps = 20
    fit.averageDecay = 0.98
    fit.dequantizes = true
    let curve = try fit(model, rows: rows, heldOut: heldOut)
    #expect(curve.count == 10 && curve[9].loss < curve[0].loss)
    let bounds = try model.bounds(heldOut, seed: 1)
    let after = mean(bounds.map(\.total))
    #expect(after > before + 100)
    // The code of the whole picture, and the grids together: what one square needs can be said on either.
    #expect(mean(bounds.map { $0.divergences[0] }) > 0.1)
    #expect(mean(bounds.map { $0.divergences[1] + $0.divergences[2] }) > 0.1)
    #expect(bounds.allSatisfy { $0.divergences.allSatisfy { $0 >= 0 } })
    #expect(try model.logLikelihood(heldOut, seed: 1) == bounds.map(\.total))
    // Far more than what knows of no latent variable: as much ink in each place as there is on average.
    let error = try meanSquaredError(model.reconstruct(heldOut), heldOut)
    let average = Matrix((0..<64).flatMap { _ in rows.mean() }, rows: 64, columns: 192)
    #expect(error < 0.7 * meanSquaredError(average, heldOut))
  }

  private func meanSquaredError(_ a: Matrix, _ b: Matrix) -> Double {
    mean(zip(a.elements, b.elements).map { ($0 - $1) * ($0 - $1) })
  }

  @Test func samplesDoNotDependOnTheirNumber() throws {
    let model = try HierarchicalVAE(configuration(), seed: 1)
    let many = try model.sample(18, seed: 8)
    #expect(many.rows == 18 && many.columns == 192)
    #expect(many.elements.allSatisfy { 0 <= $0 && $0 < 1 })
    #expect(try model.sample(2, seed: 8).elements == Array(many.elements.prefix(384)))
    #expect(try model.sample(2, seed: 9).elements != Array(many.elements.prefix(384)))
  }

  /// Rows of more than one batch have the codes that they have alone.
  @Test func codesOfEachLevelBelongToTheirRow() throws {
    let model = try HierarchicalVAE(configuration(), seed: 1)
    let x = squares(35, stream: 1)
    let all = try model.latentArrays(x)
    #expect(all.map(\.name) == ["mean_1x1", "mean_2x2", "mean_4x4"] && all.map(\.values.columns) == [3, 8, 32])
    for row in [0, 31, 32, 34] {
      for (array, alone) in zip(all, try model.latentArrays(x.rows(row..<row + 1))) {
        #expect(relativeError(Array(array.values.row(row)), alone.values.elements) < 1e-5)
      }
    }
    #expect(Array(all[0].values.row(0)) != Array(all[0].values.row(1)))
  }

  /// Of the smallest pictures, the coarsest grid has one cell, as the code has.
  @Test func eachLevelHasANameOfItsOwn() throws {
    var c = HierarchicalVAE.Configuration(dimensions: 4 * 4 * 3)
    (c.patchSize, c.codeDimensions, c.latentChannels, c.channels, c.components) = (2, 3, [2, 2], [4, 4], 2)
    let model = try HierarchicalVAE(c, seed: 1)
    let names = try model.latentArrays(Matrix(Array(repeating: 0.5, count: 48), rows: 1, columns: 48)).map(\.name)
    #expect(names == ["mean_1x1", "mean_1x1_grid", "mean_2x2"])
    #expect(model.divergenceNames == ["KL of the 1×1 cells", "KL of the 1×1 grid", "KL of the 2×2 cells"])
  }

  @Test func temperaturesNarrowTheirLevel() throws {
    let model = try HierarchicalVAE(configuration(), seed: 1)
    let cold = try model.sample(2, seed: 1, temperatures: [0, 0, 0], showsMeans: true)
    #expect(relativeError(Array(cold.row(0)), Array(cold.row(1))) < 1e-5)
    let warm = try (0..<3).map { level in
      try model.sample(2, seed: 1, temperatures: (0..<3).map { $0 == level ? 1 : 0 }, showsMeans: true)
    }
    for (i, rows) in warm.enumerated() {
      #expect(!rows.row(0).elementsEqual(rows.row(1)) && rows != cold)
      #expect(rows != warm[(i + 1) % 3])
    }
    #expect(throws: PipelineError.self) { try model.sample(1, seed: 1, temperatures: [1, 1]) }
    #expect(throws: PipelineError.self) { try model.sample(1, seed: 1, temperatures: [1, 1, -1]) }
  }

  @Test func savingAndLoadingGivesTheSameBits() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "hierarchical.safetensors")
      let model = try HierarchicalVAE(configuration(), seed: 3)
      try model.write(to: url)
      let loaded = try HierarchicalVAE(contentsOf: url)
      #expect(loaded.configuration == model.configuration)
      #expect(loaded.namedTensors().map(\.tensor.scalars) == model.namedTensors().map(\.tensor.scalars))
      let x = squares(3, stream: 4)
      #expect(try loaded.logLikelihood(x, seed: 1) == model.logLikelihood(x, seed: 1))
      #expect(throws: PipelineError.self) { try VAE(contentsOf: url) }
    }
  }

  /// Before it had a code for the whole picture the model was another one, whose numbers would mean nothing here.
  @Test func aModelOfTheFormerShapeIsRefused() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "former.safetensors")
      try SafeTensors.write(
        [], matrices: [],
        metadata: [
          "model": "hierarchical-vae",
          "configuration": """
          {"channels":64,"components":3,"dimensions":3072,"groups_per_level":1,"latent_channels":8,"levels":4,\
          "patch_size":2,"warm_up":0.2}
          """,
        ], to: url)
      let error = #expect(throws: PipelineError.self) { try HierarchicalVAE(contentsOf: url) }
      #expect(error?.kind == .badData && error?.message.contains("as this version does") == true)
    }
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let model = try HierarchicalVAE(configuration(), seed: 1)
    #expect(throws: PipelineError.self) { try model.logLikelihood(Matrix(rows: 1, columns: 7), seed: 1) }
    #expect(throws: PipelineError.self) { try model.reconstruct(Matrix(rows: 1, columns: 7)) }
    var c = configuration()
    c.channels = [4, 4, 4, 4]
    c.latentChannels = [2, 2, 2, 2]
    #expect(throws: PipelineError.self) { try HierarchicalVAE(c, seed: 1) }
    c = configuration()
    c.latentChannels = [2]
    #expect(throws: PipelineError.self) { try HierarchicalVAE(c, seed: 1) }
    c = configuration()
    c.dimensions = 100
    #expect(throws: PipelineError.self) { try HierarchicalVAE(c, seed: 1) }
  }
}
