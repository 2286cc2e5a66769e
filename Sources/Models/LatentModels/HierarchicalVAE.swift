import ArrayFiles
import Basics
import Foundation
import LinearAlgebra
import NN
import TensorCore

/// A hierarchical variational auto-encoder of pictures (Vahdat & Kautz 2020, "NVAE"; Child 2021, "Very deep VAEs").
///
///     p(x, z) = p(x | z)·Π_l p(z_l | z_{<l}),     q(z | x) = Π_l q(z_l | z_{<l}, x)            (NVAE, section 3)
///     log p(x) ≥ E_q[log p(x | z)] - Σ_l E_q[KL(q(z_l | z_{<l}, x) ‖ p(z_l | z_{<l}))]                (NVAE, 1)
///
/// The top level is one code for the whole picture, z_0 ~ N(0, I), as wide as a plain VAE's: what a picture shows is said
/// there (Child's 1×1 level). The levels below are grids of cells, each twice as wide as the one before, which add what
/// the code has left open. Prior and posterior share the way down: both read the same stream h, which the latent
/// variables above were added to, and the posterior reads features of the picture besides, which one pass upwards has made:
///
///     h ← W_0·z_0,     h ← up(h) + b_l from grid to grid, b_l learnt for each cell (Child 2021)
///     h ← cell(h),     h ← h + W_l·z_l,     a last cell after the finest grid
///     p = N(μ, σ²),     q = N(μ + σ·Δμ, (σ·Δσ)²)                              (residual normal: NVAE, section 3.2)
///     KL = ½ Σ (Δμ² + Δσ² - log Δσ² - 1)          (NVAE's equation 2, with Δμ counted in the prior's deviations)
///
/// A cell costs four times as much on each finer grid, so there is one a grid each way and no more. Patches of pixels are
/// channels: the finest grid has S/patch cells a side. Bytes have the likelihood of a mixture of discretised logistics
/// for each colour, as densities; see ``ObservationModel``.
public struct HierarchicalVAE: SavedModel, GradientTrainedModel, ImportanceWeightedModel, EncodingModel {
  public struct Configuration: Codable, Sendable, Equatable {
    /// D = S·S·3
    public var dimensions = 32 * 32 * 3
    /// Pixels a side of a cell of the finest grid.
    public var patchSize = 4
    /// The number of elements of z_0.
    public var codeDimensions = 32
    /// The width of the convolutions on each grid, the coarsest first; each grid has half as many cells a side as the next.
    public var channels = [128, 64]
    /// Channels of the latent variables of each grid, the coarsest first.
    public var latentChannels = [8, 4]
    /// Logistics in the mixture of each colour of each pixel.
    public var components = 3
    /// The share of the run over which the KL's weight rises from zero to one.
    public var warmUp = 0.1

    public init(dimensions: Int = 32 * 32 * 3) { self.dimensions = dimensions }

    /// S
    var pictureSide: Int { wholeRoot(dimensions / 3) }
    var grids: Int { channels.count }
    /// The code of the whole picture and the grids.
    public var levels: Int { grids + 1 }
    /// Cells a side of the grids, the coarsest first.
    var gridSides: [Int] { (0..<grids).map { (pictureSide / patchSize) >> (grids - 1 - $0) } }
    /// The same of all levels, of which the first is the code of the whole picture.
    public var levelSides: [Int] { [1] + gridSides }

    /// A name for each level. The coarsest grid may have one cell, and is then told from the code of the whole picture.
    func nameLevels(_ name: (_ side: Int, _ isGridOfOne: Bool) -> String) -> [String] {
      levelSides.enumerated().map { name($1, $0 > 0 && $1 == 1) }
    }

    func check(_ kind: PipelineError.Kind) throws(PipelineError) {
      guard (1...1 << 20).contains(dimensions), (1...12).contains(grids), (1...1 << 14).contains(codeDimensions),
        latentChannels.count == grids, latentChannels.allSatisfy((1...1024).contains),
        channels.allSatisfy((1...4096).contains), (1...64).contains(components), (0...1).contains(warmUp)
      else { throw PipelineError(kind, "a hierarchical VAE of this shape is not possible: \(self)") }
      try checkPictures(dimensions, patchSize: patchSize, kind)
      guard pictureSide / patchSize % (1 << (grids - 1)) == 0 else {
        throw PipelineError(
          kind, "\(pictureSide / patchSize) cells a side cannot be halved \(grids - 1) times: ask for fewer grids")
      }
    }
  }

  public static let name = "hierarchical-vae"
  public let configuration: Configuration
  /// The way up, from the finest grid to the coarsest and to the code.
  let encoder: LadderEncoder
  /// W_0
  let code: Linear
  /// The way down, from the coarsest grid to the finest.
  let grids: [LadderGrid]
  let cell: ResidualBlock
  let norm: GroupNorm
  let output: Conv2d
  let observation: ObservationModel

  /// - Throws: `PipelineError` of kind `.usage` for a shape that is not possible.
  public init(_ configuration: Configuration, seed: UInt64) throws(PipelineError) {
    try configuration.check(.usage)
    self.init(checked: configuration, Initializer(seed: seed))
  }

  private init(checked c: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    configuration = c
    observation = ObservationModel(.discretizedLogistic, dimensions: c.dimensions, components: c.components)
    encoder = LadderEncoder(c, &initializer)
    code = Linear(c.codeDimensions, c.gridSides[0] * c.gridSides[0] * c.channels[0], &initializer)
    grids = (0..<c.grids).map { LadderGrid(c, grid: $0, &initializer) }
    let width = c.channels[c.grids - 1]
    cell = ResidualBlock(width, groups: groupCount(width), &initializer)
    norm = GroupNorm(width, groups: groupCount(width), silu: true)
    output = Conv2d(
      width, c.patchSize * c.patchSize * 3 * observation.numbersPerElement, kernel: 3, padding: 1, gain: 0.3,
      &initializer)
  }

  public var dimensions: Int { configuration.dimensions }
  /// Of each level, the code of the whole picture first.
  public var divergenceNames: [String] {
    configuration.nameLevels { $1 ? "KL of the 1×1 grid" : "KL of the \($0)×\($0) cells" }
  }

  /// The shape of the latent variables of each level of a batch, in the order of the way down.
  func latentShapes(_ batch: Int) -> [[Int]] {
    [[batch, configuration.codeDimensions]]
      + zip(configuration.gridSides, configuration.latentChannels).map { [batch, $0, $0, $1] }
  }

  /// The way down, of each level with its latent variables and their KL, elementwise.
  private struct Descent {
    /// The decoder's output, [B, D·n].
    var decoded = Tensor.zeros([1])
    var latents: [Tensor] = []
    /// None where the latent variables are drawn from the prior.
    var divergences: [Tensor] = []
    /// log q(z_l | z_{<l}, x) - log p(z_l | z_{<l}) of the drawn z_l, elementwise, where it is asked for.
    var logRatios: [Tensor] = []
  }

  /// - Parameters:
  ///   - features: of pictures, for the posterior; nil draws from the prior.
  ///   - noise: ε of each level, of ``latentShapes(_:)``.
  ///   - temperatures: of each level: a factor for the prior's deviations; nil means 1.
  ///   - givesRatios: whether the posterior's density at what is drawn is compared with the prior's.
  private func descend(
    _ features: LadderEncoder.Features?, noise: [Tensor], temperatures: [Float]? = nil, givesRatios: Bool = false,
    precision: ElementType
  ) -> Descent {
    var descent = Descent()
    /// (z - μ)/σ, of a level whose prior is N(μ, σ²).
    func draw(_ level: Int, posterior: ResidualNormal?) -> Tensor {
      guard let posterior else { return noise[level] * (temperatures?[level] ?? 1) }
      descent.divergences.append(posterior.divergence)
      if givesRatios { descent.logRatios.append(posterior.logRatio(noise[level])) }
      return posterior.draw(noise[level])
    }
    let z = draw(0, posterior: features?.code)
    descent.latents.append(z)
    let side = configuration.gridSides[0]
    var h = code(z.cast(to: precision), as: .float32).reshaped([z.shape[0], side, side, -1])
    for (i, grid) in grids.enumerated() {
      h = grid.enter(h, precision: precision)
      let (mean, logDeviation) = grid.prior(h, precision: precision)
      let posterior = features.map { grid.posterior(h, $0.grids[i], precision: precision) }
      let z = mean + logDeviation.applying(.exp) * draw(i + 1, posterior: posterior)
      descent.latents.append(z)
      h = h + grid.input(z.cast(to: precision), as: .float32)
    }
    let decoded = output(norm(cell(h, precision: precision), as: precision), as: .float32)
    descent.decoded = decoded.depthToSpace(configuration.patchSize).reshaped([z.shape[0], -1])
    return descent
  }

  /// The loss in nats a dimension: -(E_q[log p(x | z)] - β·Σ KL) / D, β rising from zero to one.
  public func loss(_ x: Tensor, progress: Double, noise: NoiseStream, precision: ElementType) -> Tensor {
    let epsilon = latentShapes(x.shape[0]).enumerated().map {
      Tensor.normal($1, seed: noise.seed, stream: noise.part($0))
    }
    let risen = configuration.warmUp > 0 ? min(1, progress / configuration.warmUp) : 1
    return loss(x, epsilon: epsilon, klWeight: Float(risen), isBalanced: risen < 1, precision: precision)
  }

  /// - Parameters:
  ///   - epsilon: ε of each level, of ``latentShapes(_:)``.
  ///   - isBalanced: whether each level's KL is weighed by ``balance(_:)``, too.
  func loss(
    _ x: Tensor, epsilon: [Tensor], klWeight: Float, isBalanced: Bool = false, precision: ElementType
  ) -> Tensor {
    let descent = descend(encoder(x, precision: precision), noise: epsilon, precision: precision)
    let reconstruction = observation.logDensity(x, descent.decoded).sum()
    let kl = descent.divergences.map { $0.sum() }
    let weights = isBalanced ? balance(kl.map(\.item)) : kl.map { _ in 1 }
    let loss = zip(kl, weights).reduce(reconstruction * -1) { $0 + $1.0 * ($1.1 * klWeight) }
    return loss * (1 / Float(x.count))
  }

  /// γ_l, the price of each level while the KL's weight rises (NVAE, appendix A): what the level says with each of its
  /// latent variables, over the mean of all levels. A level that says little pays little, so that it is not given up
  /// before the stream has learnt to use it.
  /// - Parameter kl: of each level, summed over a batch.
  func balance(_ kl: [Float]) -> [Float] {
    let each = zip(kl, latentShapes(1)).map { max($0 / Float($1.reduce(1, *)), 1e-12) }
    let mean = each.reduce(0, +) / Float(each.count)
    return each.map { $0 / mean }
  }

  /// The evidence lower bound of each row, split into reconstruction and the KL of each level.
  /// - Parameters:
  ///   - x: [N, D].
  ///   - seed: names the random numbers.
  /// - Throws: `PipelineError` of kind `.badData` where the width differs or an element is not finite.
  public func bounds(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [EvidenceBound] {
    try x.checkData(dimensions: dimensions)
    var bounds: [EvidenceBound] = []
    x.forEachBatch(of: 32) { x, range in
      let descent = descend(
        encoder(x, precision: .float32),
        noise: noise(range, seed: seed, stream: RandomStream.hierarchicalVAEEvaluation()), precision: .float32)
      let divergences = descent.divergences.map { $0.rowSums() }
      bounds += observation.logDensity(x, descent.decoded).rowSums().enumerated().map { row, reconstruction in
        EvidenceBound(reconstruction: reconstruction, divergences: divergences.map { $0[row] })
      }
    }
    return bounds
  }

  /// p(x | z)·Π_l p(z_l | z_{<l})/q(z_l | z_{<l}, x) by its logarithm.
  public func logImportanceWeights(_ x: Tensor, rows: Range<Int>, samples: Int, seed: UInt64) -> [[Double]] {
    let features = encoder(x, precision: .float32)
    return (0..<samples).map { sample in
      let stream = RandomStream.hierarchicalVAEEvaluation(UInt64(sample) << 24)
      let descent = descend(
        features, noise: noise(rows, seed: seed, stream: stream), givesRatios: true, precision: .float32)
      return descent.logRatios.reduce(observation.logDensity(x, descent.decoded).rowSums()) {
        zip($0, $1.rowSums()).map { $0 - $1 }
      }
    }
  }

  private func noise(_ rows: Range<Int>, seed: UInt64, stream: UInt64) -> [Tensor] {
    latentShapes(rows.count).enumerated().map { level, shape in
      Tensor.normalRows(
        rows, width: shape.dropFirst().reduce(1, *), seed: seed, stream: stream | UInt64(level) << 40
      ).reshaped(shape)
    }
  }

  public func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    try sample(count, seed: seed, temperatures: Array(repeating: 1, count: configuration.levels))
  }

  /// Draws with narrower priors, which gives likelier and less varied pictures (NVAE, section 4.2).
  /// - Parameters:
  ///   - count: rows to draw.
  ///   - seed: names the random numbers.
  ///   - temperatures: a factor for the prior's deviations on each level, the code of the whole picture first.
  ///   - showsMeans: gives the mean of p(x | z) in place of a draw from it.
  /// - Returns: [count, D].
  /// - Throws: `PipelineError` of kind `.usage` where there are not as many temperatures as levels, or one is negative.
  public func sample(
    _ count: Int, seed: UInt64, temperatures: [Float], showsMeans: Bool = false
  ) throws(PipelineError) -> Matrix {
    let levels = configuration.levels
    guard temperatures.count == levels, temperatures.allSatisfy({ $0 >= 0 && $0.isFinite }) else {
      throw PipelineError(.usage, "give \(levels) temperatures, one for each level, none negative")
    }
    return sampledRows(count, dimensions: dimensions) { rows in
      let decoded = descend(
        nil, noise: noise(rows, seed: seed, stream: RandomStream.hierarchicalVAELatents()),
        temperatures: temperatures, precision: .float32
      ).decoded
      return showsMeans
        ? observation.mean(decoded)
        : observation.draw(decoded, rows: rows, seed: seed, stream: RandomStream.hierarchicalVAEObservations())
    }
  }

  /// The way down along the means of q(z_l | z_{<l}, x).
  private func descendAlongMeans(_ x: Tensor) -> Descent {
    descend(
      encoder(x, precision: .float32), noise: latentShapes(x.shape[0]).map { Tensor.zeros($0) }, precision: .float32)
  }

  /// The mean of p(x | z) at the means of q(z_l | z_{<l}, x).
  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix {
    try x.checkData(dimensions: dimensions)
    var elements: [Double] = []
    x.forEachBatch(of: 32) { x, _ in
      elements += observation.mean(descendAlongMeans(x).decoded).scalars.map { Double($0) }
    }
    return Matrix(elements, rows: x.rows, columns: dimensions)
  }

  /// The means of q(z_l | z_{<l}, x), each at the means above it: for each level [N, side·side·channels].
  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    try x.checkData(dimensions: dimensions)
    var elements = [[Double]](repeating: [], count: configuration.levels)
    x.forEachBatch(of: 32) { x, _ in
      for (level, z) in descendAlongMeans(x).latents.enumerated() { elements[level] += z.scalars.map { Double($0) } }
    }
    let names = configuration.nameLevels { $1 ? "mean_1x1_grid" : "mean_\($0)x\($0)" }
    return zip(names, elements).map { name, values in
      LatentArray(name, Matrix(values, rows: x.rows, columns: values.count / max(1, x.rows)))
    }
  }

  public var tensors: [(name: String, tensor: Tensor)] { namedTensors() }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    try configuration.check(.badData)
    self.init(checked: configuration, .unread)
    try file.read(into: self)
  }
}

/// q(z_l | z_{<l}, x) relative to a prior N(μ, σ²): N(μ + σ·Δμ, (σ·Δσ)²).
struct ResidualNormal {
  /// Δμ, in the prior's deviations.
  let shift: Tensor
  /// log Δσ
  let logScale: Tensor

  /// |log Δσ| stays below it, so that no exponential overflows.
  static let limit: Float = 5

  /// - Parameter numbers: [.., 2·Z], what Δμ and log Δσ are made of.
  init(_ numbers: Tensor) {
    let parts = numbers.split(2)
    (shift, logScale) = (parts[0], parts[1].softBounded(Self.limit))
  }

  /// A draw, less μ and over σ.
  func draw(_ epsilon: Tensor) -> Tensor { shift + logScale.applying(.exp) * epsilon }

  /// log q - log p of the draw, elementwise: the prior's deviation is in both.
  func logRatio(_ epsilon: Tensor) -> Tensor {
    (draw(epsilon).applying(.square) - epsilon.applying(.square)) * 0.5 - logScale
  }

  /// The KL from the prior, elementwise.
  var divergence: Tensor {
    let ones = Tensor(repeating: 1, shape: shift.shape)
    return (shift.applying(.square) + (logScale * 2).applying(.exp) - ones) * 0.5 - logScale
  }
}

/// A grid of latent variables on the way down: the cell before it, its prior and its posterior.
struct LadderGrid: Module, Sendable {
  /// From the coarser grid to this one: the channels of one cell become those of four.
  let upsampling: Conv2d?
  /// b_l: what is added to the stream at each cell, [side·side, C]. Convolutions alone would hardly know where on the
  /// picture they are; the coarsest grid, which the code is spread over, does.
  let bias: Parameter?
  let cell: ResidualBlock
  let priorNorm: GroupNorm
  let priorOutput: Conv2d
  let posteriorStem: Conv2d
  let posteriorFeatures: Conv2d
  let posteriorNorm: GroupNorm
  let posteriorOutput: Conv2d
  /// W_l
  let input: Conv2d

  init(_ c: HierarchicalVAE.Configuration, grid: Int, _ initializer: inout Initializer) {
    let (C, Z, side) = (c.channels[grid], c.latentChannels[grid], c.gridSides[grid])
    upsampling = grid == 0 ? nil : Conv2d(c.channels[grid - 1], 4 * C, kernel: 1, &initializer)
    bias = grid == 0 ? nil : Parameter(initializer.normal([side * side, C], deviation: 0.1))
    cell = ResidualBlock(C, groups: groupCount(C), &initializer)
    priorNorm = GroupNorm(C, groups: groupCount(C), silu: true)
    priorOutput = Conv2d(C, 2 * Z, kernel: 1, gain: 0.3, &initializer)
    posteriorStem = Conv2d(C, C, kernel: 1, &initializer)
    posteriorFeatures = Conv2d(C, C, kernel: 1, &initializer)
    posteriorNorm = GroupNorm(C, groups: groupCount(C), silu: true)
    posteriorOutput = Conv2d(C, 2 * Z, kernel: 1, gain: 0.3, &initializer)
    input = Conv2d(Z, C, kernel: 1, &initializer)
  }

  /// The stream from the coarser grid, or from the code, as the distributions of this one read it.
  func enter(_ h: Tensor, precision: ElementType) -> Tensor {
    var h = h
    if let upsampling { h = upsampling(h.cast(to: precision), as: .float32).depthToSpace(2) }
    if let bias { h = h.addingRows(bias()) }
    return cell(h, precision: precision)
  }

  /// μ and log σ of p(z_l | z_{<l}): [B, side, side, Z] each.
  func prior(_ h: Tensor, precision: ElementType) -> (mean: Tensor, logDeviation: Tensor) {
    let parts = priorOutput(priorNorm(h, as: precision), as: .float32).split(2)
    return (parts[0], parts[1].softBounded(ResidualNormal.limit))
  }

  /// q(z_l | z_{<l}, x), relative to the prior.
  func posterior(_ h: Tensor, _ features: Tensor, precision: ElementType) -> ResidualNormal {
    let joined =
      posteriorStem(h.cast(to: precision), as: .float32)
      + posteriorFeatures(features.cast(to: precision), as: .float32)
    return ResidualNormal(posteriorOutput(posteriorNorm(joined, as: precision), as: .float32))
  }
}
