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
/// Latent variables are grids, from 2^(levels-1) times smaller than the finest to that one itself. The prior and the
/// posterior share the way down: both read the same stream h, which the latent variables of coarser groups were added to,
/// and the posterior reads features of the picture besides, which one pass upwards has made:
///
///     p = N(μ, σ²),     q = N(μ + σ·Δμ, (σ·Δσ)²)                              (residual normal: NVAE, section 3.2)
///     KL = ½ Σ (Δμ² + Δσ² - log Δσ² - 1)          (NVAE's equation 2, with Δμ counted in the prior's deviations)
///     h ← cell(h + W·z),     h ← up(h) + b_l from level to level, b_l learnt for each cell (Child 2021)
///
/// Patches of pixels are channels, so that the finest grid has S/patch cells a side. Bytes have the likelihood of a
/// mixture of discretised logistics for each colour, as densities; see ``ObservationModel``.
public struct HierarchicalVAE: SavedModel, GradientTrainedModel, ImportanceWeightedModel, EncodingModel {
  public struct Configuration: Codable, Sendable, Equatable {
    /// D = S·S·3
    public var dimensions = 32 * 32 * 3
    /// Pixels a side of a cell of the finest grid.
    public var patchSize = 2
    /// The number of grids, each half as wide as the next.
    public var levels = 4
    /// Groups of latent variables on each grid, one after the other.
    public var groupsPerLevel = 1
    /// Channels of a group's latent variables.
    public var latentChannels = 8
    /// The width of the convolutions.
    public var channels = 64
    /// Logistics in the mixture of each colour of each pixel.
    public var components = 3
    /// The share of the run over which the KL's weight rises from zero to one.
    public var warmUp = 0.2

    public init(dimensions: Int = 32 * 32 * 3) { self.dimensions = dimensions }

    /// S
    var pictureSide: Int { wholeRoot(dimensions / 3) }
    /// Cells a side of the grids, the coarsest first.
    var gridSides: [Int] { (0..<levels).map { (pictureSide / patchSize) >> (levels - 1 - $0) } }

    func check(_ kind: PipelineError.Kind) throws(PipelineError) {
      guard (1...1 << 20).contains(dimensions), (1...12).contains(levels), (1...64).contains(groupsPerLevel),
        (1...1024).contains(latentChannels), (1...4096).contains(channels), (1...64).contains(components),
        levels * groupsPerLevel < 256, (0...1).contains(warmUp)
      else { throw PipelineError(kind, "a hierarchical VAE of this shape is not possible: \(self)") }
      try checkPictures(dimensions, patchSize: patchSize, kind)
      guard pictureSide / patchSize % (1 << (levels - 1)) == 0 else {
        throw PipelineError(
          kind, "\(pictureSide / patchSize) cells a side cannot be halved \(levels - 1) times: ask for fewer levels")
      }
    }
  }

  public static let name = "hierarchical-vae"
  public let configuration: Configuration
  /// The way up, from the finest grid to the coarsest.
  let encoder: LadderEncoder
  /// The way down, from the coarsest grid to the finest.
  let levels: [LadderLevel]
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
    levels = (0..<c.levels).map { LadderLevel(c, level: $0, &initializer) }
    norm = GroupNorm(c.channels, groups: groupCount(c.channels), silu: true)
    output = Conv2d(
      c.channels, c.patchSize * c.patchSize * 3 * observation.numbersPerElement, kernel: 3, padding: 1, gain: 0.3,
      &initializer)
  }

  public var dimensions: Int { configuration.dimensions }
  /// Of each level, the coarsest grid first.
  public var divergenceNames: [String] { configuration.gridSides.map { "KL of the \($0)×\($0) cells" } }

  /// The shape of the latent variables of each group of a batch, in the order of the way down.
  func latentShapes(_ batch: Int) -> [[Int]] {
    configuration.gridSides.flatMap { side in
      (0..<configuration.groupsPerLevel).map { _ in [batch, side, side, configuration.latentChannels] }
    }
  }

  /// The way down.
  /// - Parameters:
  ///   - features: of each grid, the coarsest first, for the posterior; nil draws from the prior.
  ///   - noise: ε of each group.
  ///   - temperatures: of each level: a factor for the prior's deviations.
  ///   - isSampled: whether log q(z) - log p(z) of what is drawn stands in place of the KL, which is its mean.
  /// - Returns: the decoder's output [B, D·n], and of each level the latent variables and their KL, elementwise by group.
  private func descend(
    batch: Int, features: [Tensor]?, noise: [Tensor], temperatures: [Float], isSampled: Bool = false,
    precision: ElementType
  ) -> (decoded: Tensor, latents: [[Tensor]], kl: [[Tensor]]) {
    let c = configuration
    var h = Tensor.zeros([batch, c.gridSides[0], c.gridSides[0], c.channels])
    var (latents, kl): ([[Tensor]], [[Tensor]]) = ([], [])
    for (l, level) in levels.enumerated() {
      if let upsampling = level.upsampling {
        h = upsampling(h.cast(to: precision), as: .float32).depthToSpace(2)
      }
      h = h.addingRows(level.bias())
      var (drawn, divergences): ([Tensor], [Tensor]) = ([], [])
      for (g, group) in level.groups.enumerated() {
        let epsilon = noise[l * c.groupsPerLevel + g]
        let (mean, logDeviation) = group.prior(h, precision: precision)
        var standardized = epsilon * temperatures[l]
        if let features {
          let (shift, logScale) = group.posterior(h, features[l], precision: precision)
          standardized = shift + logScale.applying(.exp) * epsilon
          let ones = Tensor(repeating: 1, shape: shift.shape)
          let difference =
            isSampled
            ? standardized.applying(.square) - epsilon.applying(.square)
            : shift.applying(.square) + (logScale * 2).applying(.exp) - ones
          divergences.append(difference * 0.5 - logScale)
        }
        let z = mean + logDeviation.applying(.exp) * standardized
        drawn.append(z)
        h = group.cell(h + group.input(z.cast(to: precision), as: .float32), precision: precision)
      }
      latents.append(drawn)
      kl.append(divergences)
    }
    let decoded = output(norm(h, as: precision), as: .float32).depthToSpace(c.patchSize)
    return (decoded.reshaped([batch, -1]), latents, kl)
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
  ///   - epsilon: ε of each group, of ``latentShapes(_:)``.
  ///   - isBalanced: whether each level's KL is weighed by ``balance(_:)``, too.
  func loss(
    _ x: Tensor, epsilon: [Tensor], klWeight: Float, isBalanced: Bool = false, precision: ElementType
  ) -> Tensor {
    let (decoded, _, kl) = descend(
      batch: x.shape[0], features: encoder(x, precision: precision), noise: epsilon,
      temperatures: Array(repeating: 1, count: configuration.levels), precision: precision)
    var loss = observation.logDensity(x, decoded).sum() * -1
    let sums = kl.map { groups in groups.dropFirst().reduce(groups[0].sum()) { $0 + $1.sum() } }
    let balance = isBalanced ? balance(sums.map(\.item)) : Array(repeating: 1, count: sums.count)
    for (sum, factor) in zip(sums, balance) { loss = loss + sum * (klWeight * factor) }
    return loss * (1 / Float(x.count))
  }

  /// γ_l, the price of each level while the KL's weight rises (NVAE, appendix A): what the level says with each of its
  /// latent variables, over the mean of all levels. A level that says little pays little, so that it is not given up
  /// before the stream above it has learnt to use it.
  /// - Parameter kl: of each level, summed over a batch.
  func balance(_ kl: [Float]) -> [Float] {
    let each = zip(kl, configuration.gridSides).map { max($0 / Float($1 * $1), 1e-12) }
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
      let (decoded, _, kl) = descend(
        batch: range.count, features: encoder(x, precision: .float32),
        noise: noise(range, seed: seed, stream: RandomStream.hierarchicalVAEEvaluation()),
        temperatures: Array(repeating: 1, count: configuration.levels), precision: .float32)
      let reconstructions = observation.logDensity(x, decoded).rowSums()
      let sums = kl.map { level in level.map { $0.rowSums() } }
      bounds += reconstructions.enumerated().map { row, reconstruction in
        EvidenceBound(
          reconstruction: reconstruction, divergences: sums.map { level in level.reduce(0) { $0 + $1[row] } })
      }
    }
    return bounds
  }

  /// p(x | z)·Π_l p(z_l | z_{<l})/q(z_l | z_{<l}, x) by its logarithm.
  public func logImportanceWeights(_ x: Tensor, rows: Range<Int>, samples: Int, seed: UInt64) -> [[Double]] {
    let features = encoder(x, precision: .float32)
    return (0..<samples).map { sample in
      let (decoded, _, ratios) = descend(
        batch: rows.count, features: features,
        noise: noise(rows, seed: seed, stream: RandomStream.hierarchicalVAEEvaluation(UInt64(sample) << 24)),
        temperatures: Array(repeating: 1, count: configuration.levels), isSampled: true, precision: .float32)
      return ratios.joined().reduce(observation.logDensity(x, decoded).rowSums()) {
        zip($0, $1.rowSums()).map { $0 - $1 }
      }
    }
  }

  private func noise(_ rows: Range<Int>, seed: UInt64, stream: UInt64) -> [Tensor] {
    latentShapes(rows.count).enumerated().map { group, shape in
      Tensor.normalRows(
        rows, width: shape.dropFirst().reduce(1, *), seed: seed, stream: stream | UInt64(group) << 40
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
  ///   - temperatures: a factor for the prior's deviations on each level, the coarsest grid first.
  ///   - showsMeans: gives the mean of p(x | z) in place of a draw from it.
  /// - Returns: [count, D].
  /// - Throws: `PipelineError` of kind `.usage` where there are not as many temperatures as levels, or one is negative.
  public func sample(
    _ count: Int, seed: UInt64, temperatures: [Float], showsMeans: Bool = false
  ) throws(PipelineError) -> Matrix {
    guard temperatures.count == configuration.levels, temperatures.allSatisfy({ $0 >= 0 && $0.isFinite }) else {
      throw PipelineError(.usage, "give \(configuration.levels) temperatures, one for each level, none negative")
    }
    return sampledRows(count, dimensions: dimensions) { rows in
      let decoded = descend(
        batch: rows.count, features: nil, noise: noise(rows, seed: seed, stream: RandomStream.hierarchicalVAELatents()),
        temperatures: temperatures, precision: .float32
      ).decoded
      return showsMeans
        ? observation.mean(decoded)
        : observation.draw(decoded, rows: rows, seed: seed, stream: RandomStream.hierarchicalVAEObservations())
    }
  }

  /// The way down along the means of q(z_l | z_{<l}, x).
  private func descendAlongMeans(_ x: Tensor) -> (decoded: Tensor, latents: [[Tensor]], kl: [[Tensor]]) {
    descend(
      batch: x.shape[0], features: encoder(x, precision: .float32),
      noise: latentShapes(x.shape[0]).map { Tensor.zeros($0) },
      temperatures: Array(repeating: 1, count: configuration.levels), precision: .float32)
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

  /// The means of q(z_l | z_{<l}, x), each at the means above it: for each level [N, groups·side·side·channels].
  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    try x.checkData(dimensions: dimensions)
    var elements = [[Double]](repeating: [], count: configuration.levels)
    x.forEachBatch(of: 32) { x, range in
      for (level, groups) in descendAlongMeans(x).latents.enumerated() {
        let scalars = groups.map(\.scalars)
        for row in 0..<range.count {
          for group in scalars {
            let width = group.count / range.count
            elements[level] += group[row * width..<(row + 1) * width].map { Double($0) }
          }
        }
      }
    }
    return zip(configuration.gridSides, elements).map { side, values in
      LatentArray("mean_\(side)x\(side)", Matrix(values, rows: x.rows, columns: values.count / max(1, x.rows)))
    }
  }

  public var tensors: [(name: String, tensor: Tensor)] { namedTensors() }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    try configuration.check(.badData)
    self.init(checked: configuration, .unread)
    try file.read(into: self)
  }
}

/// The way up: features of a picture on every grid.
struct LadderEncoder: Module, Sendable {
  let stem: Conv2d
  /// One cell a grid, the finest first.
  let cells: [ResidualBlock]
  /// From each grid to the next coarser one: four cells into channels, and back to as many channels as before.
  let downsampling: [Conv2d]
  private let side: Int
  private let patchSize: Int

  init(_ c: HierarchicalVAE.Configuration, _ initializer: inout Initializer) {
    (side, patchSize) = (c.pictureSide, c.patchSize)
    stem = Conv2d(3 * patchSize * patchSize, c.channels, kernel: 3, padding: 1, &initializer)
    cells = (0..<c.levels).map { _ in ResidualBlock(c.channels, groups: groupCount(c.channels), &initializer) }
    downsampling = (1..<c.levels).map { _ in Conv2d(4 * c.channels, c.channels, kernel: 1, &initializer) }
  }

  /// - Returns: [B, side, side, C] of each grid, the coarsest first.
  func callAsFunction(_ rows: Tensor, precision: ElementType) -> [Tensor] {
    let pictures = rows.reshaped([-1, side, side, 3]).centred()
    var x = stem(pictures.spaceToDepth(patchSize).cast(to: precision), as: .float32)
    var features: [Tensor] = []
    for (i, cell) in cells.enumerated() {
      if i > 0 { x = downsampling[i - 1](x.spaceToDepth(2).cast(to: precision), as: .float32) }
      x = cell(x, precision: precision)
      features.append(x)
    }
    return features.reversed()
  }
}

/// A grid on the way down.
struct LadderLevel: Module, Sendable {
  /// From the coarser grid to this one: channels into four cells.
  let upsampling: Conv2d?
  /// b_l: what is added to the stream at each cell, [side·side, C]; on the coarsest grid it is all that there is. Convolutions
  /// alone would hardly know where on the picture they are.
  let bias: Parameter
  let groups: [LatentGroup]

  init(_ c: HierarchicalVAE.Configuration, level: Int, _ initializer: inout Initializer) {
    let side = c.gridSides[level]
    upsampling = level == 0 ? nil : Conv2d(c.channels, 4 * c.channels, kernel: 1, &initializer)
    bias = Parameter(initializer.normal([side * side, c.channels], deviation: 0.1))
    groups = (0..<c.groupsPerLevel).map { _ in LatentGroup(c, &initializer) }
  }
}

/// A group of latent variables: its prior, its posterior and the cell after it.
struct LatentGroup: Module, Sendable {
  let priorNorm: GroupNorm
  let priorOutput: Conv2d
  let posteriorStem: Conv2d
  let posteriorFeatures: Conv2d
  let posteriorNorm: GroupNorm
  let posteriorOutput: Conv2d
  /// W
  let input: Conv2d
  let cell: ResidualBlock

  /// |log σ| stays below it, so that no exponential overflows.
  private static let limit: Float = 5

  init(_ c: HierarchicalVAE.Configuration, _ initializer: inout Initializer) {
    let (C, Z) = (c.channels, c.latentChannels)
    priorNorm = GroupNorm(C, groups: groupCount(C), silu: true)
    priorOutput = Conv2d(C, 2 * Z, kernel: 1, gain: 0.3, &initializer)
    posteriorStem = Conv2d(C, C, kernel: 1, &initializer)
    posteriorFeatures = Conv2d(C, C, kernel: 3, padding: 1, &initializer)
    posteriorNorm = GroupNorm(C, groups: groupCount(C), silu: true)
    posteriorOutput = Conv2d(C, 2 * Z, kernel: 1, gain: 0.3, &initializer)
    input = Conv2d(Z, C, kernel: 1, &initializer)
    cell = ResidualBlock(C, groups: groupCount(C), &initializer)
  }

  /// μ and log σ of p(z_l | z_{<l}): [B, side, side, Z] each.
  func prior(_ h: Tensor, precision: ElementType) -> (mean: Tensor, logDeviation: Tensor) {
    let parts = priorOutput(priorNorm(h, as: precision), as: .float32).split(2)
    return (parts[0], parts[1].softBounded(Self.limit))
  }

  /// Δμ, in the prior's deviations, and log Δσ of q(z_l | z_{<l}, x).
  func posterior(_ h: Tensor, _ features: Tensor, precision: ElementType) -> (shift: Tensor, logScale: Tensor) {
    let joined =
      posteriorStem(h.cast(to: precision), as: .float32)
      + posteriorFeatures(features.cast(to: precision), as: .float32)
    let parts = posteriorOutput(posteriorNorm(joined, as: precision), as: .float32).split(2)
    return (parts[0], parts[1].softBounded(Self.limit))
  }
}
