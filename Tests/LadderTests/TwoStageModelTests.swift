import ArrayFiles
import Foundation
import ImageTokenizers
import LinearAlgebra
import Priors
import NN
import Optimization
import TensorCore
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Ladder

@Suite struct TwoStageModelTests {
  /// Pictures of 8×8: a colored square on paper, of three colors at four places, with the noise of dequantisation.
  private static func rows(_ count: Int, seed: UInt64 = 1) -> Matrix {
    var matrix = Matrix(rows: count, columns: 8 * 8 * 3)
    let noise = Tensor.uniform([count, 192], seed: seed, stream: 1).scalars
    let colors: [[Double]] = [[0.9, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.2, 0.8]]
    for n in 0..<count {
      for i in 0..<8 {
        for j in 0..<8 {
          let isSquare = i / 4 == n % 4 / 2 && j / 4 == n % 2
          for c in 0..<3 {
            let value = isSquare ? colors[n / 4 % 3][c] : 0.99
            matrix[n, (i * 8 + j) * 3 + c] = value + Double(noise[n * 192 + (i * 8 + j) * 3 + c]) / 256
          }
        }
      }
    }
    return matrix
  }

  static let vqvae = ImageTokenizerKind(VQVAE.Configuration.self)
  static let vqvae2 = ImageTokenizerKind(VQVAE2.Configuration.self)
  static let dvae = ImageTokenizerKind(DiscreteVAE.Configuration.self)

  private static func configuration(_ kind: ImageTokenizerKind) throws -> TwoStageModel.Configuration {
    var imageTokenizer = AnyConfiguration<ImageTokenizerKinds>(try kind.preset(.tiny))
    if var c = imageTokenizer.base as? VQVAE.Configuration {
      (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (8, 2, 16, 1, 16, 4)
      imageTokenizer = AnyConfiguration(c)
    } else if var c = imageTokenizer.base as? DiscreteVAE.Configuration {
      (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (8, 2, 16, 1, 16, 4)
      c.klWeight = 0.4
      imageTokenizer = AnyConfiguration(c)
    } else if var c = imageTokenizer.base as? VQVAE2.Configuration {
      (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (8, 2, 16, 1, 16, 4)
      imageTokenizer = AnyConfiguration(c)
    }
    let sides = imageTokenizer.layout.gridSides
    return .init(
      imageTokenizer: imageTokenizer,
      priors: sides.indices.map { level in
        var c = PixelCNN.Configuration()
        (c.gridSide, c.imageVocabulary, c.textLength, c.textVocabulary) = (sides[level], 16, 0, 0)
        (c.upperGridSides, c.channels, c.layers, c.dropout) = (Array(sides[..<level]), 16, 2, 0)
        return c
      })
  }

  private static func fitted(_ kind: ImageTokenizerKind, steps: Int = 500) throws -> TwoStageModel {
    try TwoStageModel(
      fitting: rows(48), kind: kind, configuration: try configuration(kind), bound: .steps(steps), threads: 2, seed: 3,
      precision: .float32)
  }

  private func meanSquare(_ a: Matrix, _ b: Matrix) -> Double {
    zip(a.elements, b.elements).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Double(a.elements.count)
  }

  @Test(arguments: [vqvae, vqvae2])
  func learnsTheDistribution(_ kind: ImageTokenizerKind) throws {
    let (early, model) = (try Self.fitted(kind, steps: 5), try Self.fitted(kind))
    let held = Self.rows(12, seed: 2)
    let D = Double(model.dimensions)
    func meanLogLikelihood(_ model: TwoStageModel) throws -> Double {
      let values = try model.logLikelihood(held, seed: 0)
      #expect(values.count == 12 && values.allSatisfy(\.isFinite))
      return values.reduce(0, +) / 12 / D
    }
    // Nats a dimension; paper with 1/256 of noise has at most log 256 = 5.5.
    let (before, after) = (try meanLogLikelihood(early), try meanLogLikelihood(model))
    #expect(after > before + 0.5 && after < log(256), "\(before) became \(after)")
    // Against the mean picture.
    let error = meanSquare(try model.reconstruct(held), held)
    var mean = Matrix(rows: 12, columns: 192)
    for d in 0..<192 {
      let value = (0..<12).reduce(0) { $0 + held[$1, d] } / 12
      for n in 0..<12 { mean[n, d] = value }
    }
    let variance = meanSquare(mean, held)
    #expect(error < (kind == Self.dvae ? 0.5 : 0.2) * variance, "\(error) of \(variance)")
    // Noise is far less likely than pictures.
    let noise = Matrix(
      Tensor.uniform([12, 192], seed: 1, stream: 5).scalars.map(Double.init), rows: 12, columns: 192)
    #expect(try model.logLikelihood(noise, seed: 0).reduce(0, +) / 12 / D < after - 1)
    #expect(model.dimensions == 192 && model.likelihood == .lowerBound && model.parameterCount > 1000)
  }

  /// log p(k) + log p(x | k) by hand, from what the parts say.
  @Test func theBoundIsTheSumOfItsParts() throws {
    let model = try Self.fitted(Self.vqvae, steps: 20)
    let x = Self.rows(1, seed: 7)
    let tokens = model.tokenizer.encode(Tensor(x.elements.map(Float.init), shape: [1, 8, 8, 3]))
    let mean = model.tokenizer.decode(tokens).scalars
    let variance = model.variance.value.scalars
    var expected = model.priors[0].logLikelihood(.init(texts: [], images: tokens))[0]
    for i in 0..<8 {
      for j in 0..<8 {
        for c in 0..<3 {
          let d = (i * 8 + j) * 3 + c
          let v = Double(variance[Int(tokens[i / 2 * 4 + j / 2]) * 3 + c])
          expected -= 0.5 * log(2 * Double.pi * v) + pow(x[0, d] - Double(mean[d]), 2) / (2 * v)
        }
      }
    }
    #expect(abs(try model.logLikelihood(x, seed: 0)[0] - expected) < 1e-3 * abs(expected))
  }

  @Test(arguments: ImageTokenizerKind.trainable)
  func samplesAndRowsStandAlone(_ kind: ImageTokenizerKind) throws {
    var model = try Self.fitted(kind)
    let samples = try model.sample(6, seed: 5)
    #expect(samples.rows == 6 && samples.columns == 192 && samples.elements.allSatisfy(\.isFinite))
    let x = Self.rows(5, seed: 4)
    let (scores, rebuilt) = (try model.logLikelihood(x, seed: 0), try model.reconstruct(x))
    for threads in [1, 3] {
      model.threads = threads
      let fewer = try model.sample(2, seed: 5)
      #expect(fewer.elements == Array(samples.elements.prefix(2 * 192)))
      let last = Matrix(Array(x.row(4)), rows: 1, columns: 192)
      #expect(try model.logLikelihood(last, seed: 0) == [scores[4]])
      #expect(try model.reconstruct(last).elements == Array(rebuilt.row(4)))
    }
    #expect(try model.sample(6, seed: 6) != samples)
    #expect(try model.sample(0, seed: 6).rows == 0)
    // Most of what is drawn is as one of the pictures.
    let pictures = Self.rows(12)
    let near = (0..<6).count { i in
      (0..<12).contains { n in
        zip(samples.row(i), pictures.row(n)).reduce(0) { $0 + pow($1.0 - $1.1, 2) } / 192 < 0.03
      }
    }
    #expect(near >= 3, "\(near) of 6")
  }

  @Test(arguments: ImageTokenizerKind.trainable)
  func filesRoundTrip(_ kind: ImageTokenizerKind) throws {
    let model = try Self.fitted(kind, steps: 10)
    let folder = try TemporaryFolder()
    let file = folder.url.appendingPathComponent("model.safetensors")
    try model.write(to: file)
    #expect(try SafeTensors(contentsOf: file).metadata["model"] == kind.rawValue)
    let read = try TwoStageModel(contentsOf: file)
    #expect(read.configuration == model.configuration && read.parameterCount == model.parameterCount)
    let x = Self.rows(3, seed: 4)
    #expect(try read.logLikelihood(x, seed: 0) == model.logLikelihood(x, seed: 0))
    #expect(try read.sample(2, seed: 1) == model.sample(2, seed: 1))

    // A shape that the file cannot hold is refused before anything is made of it.
    for (from, to) in [("\"channels\":16", "\"channels\":4096"), ("\"grid_side\":4", "\"grid_side\":5"), ("{", "")] {
      let old = try SafeTensors(contentsOf: file)
      var metadata = old.metadata
      metadata["configuration"] = metadata["configuration"]?.replacing(from, with: to)
      let other = folder.url.appendingPathComponent("other.safetensors")
      try SafeTensors.write(try old.names.map { ($0, try old.tensor($0)) }, metadata: metadata, to: other)
      let error = #expect(throws: PipelineError.self) { try TwoStageModel(contentsOf: other) }
      #expect(error?.kind == .badData, "\(error?.message ?? "")")
    }
  }

  @Test func hierarchiesAreDecodedLevelByLevel() throws {
    let model = try Self.fitted(Self.vqvae2)
    let x = Self.rows(6, seed: 4)
    let levels = try model.decodedLevelByLevel(x)
    #expect(levels.cumulative.count == 2 && levels.alone.count == 2)
    #expect(try levels.cumulative[1] == model.reconstruct(x))
    #expect(levels.cumulative[0] == levels.alone[0] && levels.alone[0] != levels.alone[1])
    #expect(meanSquare(levels.cumulative[1], x) < meanSquare(levels.cumulative[0], x))
    let flat = try Self.fitted(Self.vqvae, steps: 5)
    #expect(try flat.decodedLevelByLevel(x).cumulative == [flat.reconstruct(x)])
  }

  @Test func fittingRepeats() throws {
    let x = Self.rows(3, seed: 4)
    let (a, b) = (try Self.fitted(Self.dvae, steps: 8), try Self.fitted(Self.dvae, steps: 8))
    #expect(try a.logLikelihood(x, seed: 0) == b.logLikelihood(x, seed: 0))
    var told: [Double] = []
    _ = try TwoStageModel(
      fitting: x, kind: Self.vqvae2, configuration: try Self.configuration(Self.vqvae2), bound: .minutes(0.02),
      threads: 2,
      precision: .float32
    ) { _, share, _ in told.append(share) }
    #expect(told == told.sorted() && abs((told.last ?? 0) - 1) < 1e-9)
  }

  @Test(arguments: ImageTokenizerKind.trainable)
  func standardShapesSuit(_ kind: ImageTokenizerKind) throws {
    for size in [2, 8, 20, 28, 32, 64, 96] {
      let configuration = try TwoStageModel.standardConfiguration(kind, pictureSize: size)
      try configuration.imageTokenizer.base.validate()
      #expect(configuration.imageTokenizer.layout.pictureSize == size)
      #expect(configuration.priors.count == configuration.imageTokenizer.layout.gridSides.count)
      for prior in configuration.priors {
        try prior.validate()
        #expect(prior.layers * prior.reach >= prior.gridSide - 1)
      }
    }
  }

  @Test func theBatchSizeIsThatOfBothStages() throws {
    func fitted(batchSize: Int?) throws -> TwoStageModel {
      try TwoStageModel(
        fitting: Self.rows(48), kind: Self.vqvae, configuration: try Self.configuration(Self.vqvae), bound: .steps(3),
        batchSize: batchSize, threads: 2, seed: 3, precision: .float32)
    }
    let (standard, same, other) = (
      try fitted(batchSize: nil), try fitted(batchSize: 32), try fitted(batchSize: 5)
    )
    let weights = [standard, same, other].map { model in model.tensors.map(\.tensor.scalars) }
    #expect(weights[0] == weights[1])
    #expect(zip(weights[0], weights[2]).count { $0 != $1 } > weights[0].count / 2)
    #expect(throws: PipelineError.self) { try fitted(batchSize: 0) }
  }

  @Test func matricesThatDoNotDo() throws {
    func expectFailure(_ kind: PipelineError.Kind, _ body: () throws -> Void) {
      #expect(#expect(throws: PipelineError.self) { try body() }?.kind == kind)
    }
    func fit(_ x: Matrix, bound: TrainingBound = .steps(1)) throws {
      _ = try TwoStageModel(
        fitting: x, kind: Self.vqvae, configuration: try Self.configuration(Self.vqvae), bound: bound, threads: 1)
    }
    expectFailure(.badData) { try fit(Matrix(rows: 4, columns: 191)) }
    expectFailure(.badData) { try fit(Matrix(rows: 0, columns: 192)) }
    expectFailure(.badData) { try fit(Matrix(repeating: .nan, rows: 2, columns: 192)) }
    expectFailure(.usage) { try fit(Self.rows(2), bound: .minutes(0)) }
    expectFailure(.usage) { try fit(Matrix(rows: 2, columns: 4 * 4 * 3)) }
    expectFailure(.usage) { _ = try TwoStageModel.standardConfiguration(Self.vqvae2, pictureSize: 7) }
    // One picture is enough to fit.
    try fit(Self.rows(1))
    let model = try Self.fitted(Self.vqvae, steps: 2)
    for bad in [Matrix(rows: 1, columns: 12), Matrix(repeating: .infinity, rows: 1, columns: 192)] {
      expectFailure(.badData) { _ = try model.logLikelihood(bad, seed: 0) }
      expectFailure(.badData) { _ = try model.reconstruct(bad) }
    }
    #expect(try model.logLikelihood(Matrix(rows: 0, columns: 192), seed: 0).isEmpty)
  }
}
