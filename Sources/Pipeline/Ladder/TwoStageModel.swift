import ArrayFiles
import Basics
import Checkpoints
import Decoding
import Foundation
import ImageTokenizers
import LatentModels
import LinearAlgebra
import NN
import Optimization
import Priors
import TensorCore

/// An image tokenizer and a PixelCNN for each of its grids as one distribution over pictures: VQ-VAE, the discrete VAE, or
/// VQ-VAE-2, each lower level's prior conditioned on the levels above.
///
///     p(x) = Σ_k p(k)·p(x | k) ≥ p(k(x))·p(x | k(x)),   k(x) the encoder's tokens
///
/// The bound is the evidence lower bound with all of q(k | x) on one k, which has no entropy. The decoder is Gaussian,
/// p(x | k) = N(x̂(k), σ²), with σ² learnt for each code of the finest grid and each color by maximum likelihood from the
/// training residuals of the pixels that the code stands for: paper is known far better than hair.
public struct TwoStageModel: WritableModel, Module, EncodingModel {
  public struct Configuration: Codable, Sendable, Equatable {
    public var imageTokenizer: AnyImageTokenizerConfiguration
    /// One for each grid, the coarsest first.
    public var priors: [PixelCNN.Configuration]

    public init(imageTokenizer: AnyImageTokenizerConfiguration, priors: [PixelCNN.Configuration]) {
      (self.imageTokenizer, self.priors) = (imageTokenizer, priors)
    }
  }

  public let tokenizer: any TrainableImageTokenizer
  public let priors: [PixelCNN]
  /// σ², [codes of the finest grid, 3]
  public let variance: Buffer
  public let configuration: Configuration
  /// How many threads the methods use; results do not depend on it.
  public var threads = ProcessInfo.processInfo.activeProcessorCount

  /// The variance of the noise that pixels are dequantised with: a decoder need not be surer than that.
  private static let leastVariance: Float = 1 / (12 * 256 * 256)

  /// - Parameter seed: of the initial weights; nil where they are read.
  private init(_ configuration: Configuration, seed: UInt64?) throws(PipelineError) {
    func initializer(_ number: UInt64) -> Initializer { seed.map { Initializer(seed: $0 &+ number) } ?? .unread }
    self.configuration = configuration
    tokenizer = try configuration.imageTokenizer.trainable().makeModel(initializer(0))
    priors = configuration.priors.enumerated().map { PixelCNN($1, initializer(1 + UInt64($0))) }
    let codes = configuration.priors.last?.imageVocabulary ?? 1
    variance = Buffer(Tensor(repeating: 1, shape: [codes, 3]))
  }

  // MARK: - Shapes

  /// The shape that small pictures are fitted with.
  /// - Throws: `PipelineError` of kind `.usage` where pictures of this size have no such grid.
  public static func standardConfiguration(
    _ kind: ImageTokenizerKind, pictureSize S: Int
  ) throws(PipelineError) -> Configuration {
    guard let imageTokenizer = kind.small(pictureSize: S) else {
      throw PipelineError(.usage, "a \(kind.rawValue) does not apply to pictures of \(S) pixels a side")
    }
    let (sides, codes) = (imageTokenizer.layout.gridSides, imageTokenizer.layout.codesOfGrid)
    return Configuration(
      imageTokenizer: imageTokenizer,
      priors: sides.indices.map { level in
        var c = PixelCNN.Configuration()
        (c.gridSide, c.imageVocabulary, c.textLength, c.textVocabulary) = (sides[level], codes, 0, 0)
        c.upperGridSides = Array(sides[..<level])
        (c.channels, c.reach, c.layers) = (64, 2, max(4, sides[level] / 2))
        return c
      })
  }

  /// - Throws: `PipelineError` of kind `.badData` where a shape makes no sense or the parts do not fit.
  private static func validate(_ configuration: Configuration, of source: String) throws(PipelineError) {
    do throws(PipelineError) {
      try configuration.imageTokenizer.base.validate()
      for prior in configuration.priors { try prior.validate() }
    } catch {
      throw PipelineError(.badData, "\(source): \(error.message)")
    }
    let layout = configuration.imageTokenizer.layout
    let (sides, codes) = (layout.gridSides, layout.codesOfGrid)
    let fit =
      configuration.priors.map(\.gridSide) == sides
      && configuration.priors.enumerated().allSatisfy { level, c in
        c.imageVocabulary == codes && c.textLength == 0 && c.upperGridSides == Array(sides[..<level])
      }
    guard fit else { throw PipelineError(.badData, "\(source): the priors do not belong to the tokenizer's grids") }
  }

  // MARK: - Fitting

  /// Fits both stages: half of the time or as many steps go to the tokenizer, the rest to the priors.
  ///
  /// - Parameters:
  ///   - x: [N, S·S·3], pictures as rows with values in [0, 1).
  ///   - kind: of the tokenizer.
  ///   - configuration: the shape; that of ``standardConfiguration(_:pictureSize:)`` unless given.
  ///   - bound: of both stages together where it is a time; steps and epochs are those of each model.
  ///   - batchSize: rows a step; 32 where nil.
  ///   - threads: replicas that share out each batch.
  ///   - seed: names all random numbers.
  ///   - precision: of the operands of products.
  ///   - report: told what is being trained, the share of the whole that is done, and the loss.
  /// - Throws: `PipelineError` of kind `.badData` where the rows are no pictures or not finite, `.usage` for a shape or
  ///   bound that makes no sense, and where training diverges.
  public init(
    fitting x: Matrix, kind: ImageTokenizerKind, configuration: Configuration? = nil, bound: TrainingBound,
    batchSize: Int? = nil, threads: Int = ProcessInfo.processInfo.activeProcessorCount, seed: UInt64 = 0,
    precision: ElementType = Engine.preferredPrecision,
    report: (_ what: String, _ share: Double, _ loss: Float) -> Void = { _, _, _ in }
  ) throws(PipelineError) {
    let S = Int((Double(x.columns) / 3).squareRoot().rounded())
    guard S > 0, S * S * 3 == x.columns else {
      throw PipelineError(.badData, "rows of \(x.columns) values are no square pictures of three colors")
    }
    guard x.rows > 0 else { throw PipelineError(.badData, "there are no pictures to fit") }
    var settings = TrainingSettings()
    (settings.bound, settings.batchSize) = (bound, batchSize)
    try settings.validate()
    let standard = try Self.standardConfiguration(kind, pictureSize: S)
    let configuration = configuration ?? standard
    guard configuration.imageTokenizer.kind == kind, configuration.imageTokenizer.layout.pictureSize == S else {
      throw PipelineError(.usage, "the configuration is not that of a \(kind.rawValue) for \(S) pixels a side")
    }
    try Self.validate(configuration, of: "the configuration")
    try self.init(configuration, seed: seed)
    self.threads = threads
    try check(x)
    let batchSize = batchSize ?? TokenFitting.standardBatchSize
    let fitting = TokenFitting(
      team: try ThreadTeam(count: min(threads, batchSize)), rows: x.rows, batchSize: batchSize, seed: seed,
      precision: precision)
    // The priors' parts of the time are as their grids, but for the fewest places.
    let work = configuration.priors.map { Double(max(16, $0.imageLength)) }
    let shares = [0.5] + work.map { 0.5 * $0 / work.reduce(0, +) }
    try fitting.run(tokenizer, pictures: x, bound: bound.timePart(shares[0])) {
      report(kind.title, shares[0] * $0, $1)
    }
    let levels = tokens(of: x, team: fitting.team)
    learnVariance(x, levels, team: fitting.team)
    var done = shares[0]
    for (level, prior) in priors.enumerated() {
      let (before, share) = (done, shares[level + 1])
      try fitting.run(prior, level: level, of: levels, bound: bound.timePart(share)) {
        report("prior \(level + 1) of \(priors.count)", before + share * $0, $1)
      }
      done += share
    }
  }

  /// σ² ← (Σ r² + n₀·σ̄²)/(n + n₀) over the pixels r that a code stands for; n₀, one patch, keeps codes that were hardly met
  /// at the mean over all.
  private func learnVariance(_ x: Matrix, _ levels: [[[Int32]]], team: ThreadTeam) {
    let finest = configuration.priors.count - 1
    let K = configuration.priors[finest].imageVocabulary
    let places = places()
    let patch = Double(x.columns / 3) / Double(configuration.priors[finest].imageLength)
    let partial = team.map(x.rows) { row -> [(place: Int, squares: Double)] in
      let mean = decoded(levels.map { $0[row] }).scalars
      let codes = levels[finest][row]
      var sums: [Int: Double] = [:]
      for (d, value) in x.row(row).enumerated() {
        let difference = value - Double(mean[d])
        sums[Int(codes[places[d / 3]]) * 3 + d % 3, default: 0] += difference * difference
      }
      return sums.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
    var (squares, counts) = ([Double](repeating: 0, count: 3 * K), [Double](repeating: 0, count: 3 * K))
    for sums in partial { for sum in sums { squares[sum.place] += sum.squares } }
    for codes in levels[finest] { for code in codes { for c in 0..<3 { counts[Int(code) * 3 + c] += patch } } }
    let overall = squares.reduce(0, +) / max(1, counts.reduce(0, +))
    variance.overwrite(
      with: Tensor(
        zip(squares, counts).map { max(Self.leastVariance, Float(($0 + patch * overall) / ($1 + patch))) },
        shape: [K, 3]))
  }

  // MARK: - The generative model

  public var dimensions: Int { 3 * tokenizer.pictureSize * tokenizer.pictureSize }
  public var likelihood: LikelihoodKind { .lowerBound }

  /// Weights, codebooks and variances; not the sums that the codebooks are averages of.
  public var parameterCount: Int {
    let buffers = namedBuffers().filter { $0.name.hasSuffix("codebook") || $0.name == "variance" }
    return parameters().reduce(0) { $0 + $1.count } + buffers.reduce(0) { $0 + $1.buffer.value.count }
  }

  private func check(_ x: Matrix) throws(PipelineError) {
    guard x.columns == dimensions else {
      throw PipelineError(.badData, "the rows have \(x.columns) values, and the model's \(dimensions)")
    }
    if let place = x.elements.firstIndex(where: { !$0.isFinite }) {
      throw PipelineError(.badData, "row \(place / x.columns) has \(x.elements[place]) in column \(place % x.columns)")
    }
  }

  public func logLikelihood(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [Double] {
    try check(x)
    let places = places()
    let sigma = variance.value.scalars.map(Double.init)
    return try ThreadTeam(count: threads).map(x.rows) { row in
      let levels = tokens(of: picture(x, rows: row..<row + 1))
      var total = 0.0
      for (level, prior) in priors.enumerated() {
        let batch = PriorBatch(texts: [], images: levels[level], upperTokens: Array(levels[..<level]))
        total += prior.logLikelihood(batch)[0]
      }
      let mean = decoded(levels).scalars
      let codes = levels[levels.count - 1]
      for (d, value) in x.row(row).enumerated() {
        let variance = sigma[Int(codes[places[d / 3]]) * 3 + d % 3]
        let difference = value - Double(mean[d])
        total -= 0.5 * (log(2 * Double.pi * variance) + difference * difference / variance)
      }
      return total
    }
  }

  /// Draws codes, level by level, and gives the decoder's mean for them: without its noise, as pictures are looked at.
  public func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    guard count >= 0 else { throw PipelineError(.usage, "there can't be \(count) samples") }
    let team = try ThreadTeam(count: threads)
    var sampling = SamplingOptions()
    (sampling.temperature, sampling.topK, sampling.guidance) = (1, 0, 1)
    var levels: [[[Int32]]] = []
    for (level, prior) in priors.enumerated() {
      let requests = (0..<count).map { number in
        DrawingRequest(
          text: [], upperTokens: levels.map { $0[number] }, sampling: sampling, seed: seed &+ UInt64(level) << 48,
          number: number)
      }
      levels.append(prior.makeDecoder(team: team).draw(requests))
    }
    return matrix(team.map(count) { i in decoded(levels.map { $0[i] }).scalars })
  }

  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix {
    try check(x)
    return matrix(
      try ThreadTeam(count: threads).map(x.rows) { row in
        decoded(tokens(of: picture(x, rows: row..<row + 1))).scalars
      })
  }

  /// The tokens of each grid, [N, side·side], in raster order.
  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    try check(x)
    return zip(configuration.priors, tokens(of: x, team: try ThreadTeam(count: threads))).map { prior, rows in
      let values = Matrix(rows.flatMap { $0.map(Double.init) }, rows: x.rows, columns: rows.first?.count ?? 0)
      return LatentArray("tokens_\(prior.gridSide)x\(prior.gridSide)", values, areIntegers: true)
    }
  }

  /// The terms of a VQ-VAE's loss (van den Oord et al. 2017, equation 3), means over rows.
  public struct QuantizationLoss: Sendable {
    /// (x - x̂)², a number of a picture.
    public var reconstruction: Double
    /// ‖sg(z_e) - e‖², a place, added up over grids: what the codebook is drawn to the encoder's vectors by. The codes are moving
    /// averages of these, which is as good as descending this term.
    public var codebook: Double
    /// β/16·‖z_e - sg(e)‖²: what the encoder's vectors are drawn to their codes by, as training weighs it beside the first.
    public var commitment: Double
  }

  /// - Parameter x: [N, S·S·3].
  /// - Returns: nil where the tokenizer has no codebook of this kind.
  /// - Throws: `PipelineError` of kind `.badData` where the width differs or an element is not finite.
  public func quantizationLoss(_ x: Matrix) throws(PipelineError) -> QuantizationLoss? {
    try check(x)
    guard let tokenizer = tokenizer as? any VectorQuantizedTokenizer else { return nil }
    let distance = try ThreadTeam(count: threads).map(x.rows) { row in
      Double(tokenizer.squaredCodeDistance(picture(x, rows: row..<row + 1)))
    }.mean
    return QuantizationLoss(
      reconstruction: try reconstructionError(x), codebook: distance,
      commitment: Double(tokenizer.commitmentWeight) * distance)
  }

  /// Pictures decoded from some of the levels.
  public struct LevelPictures: Sendable {
    /// From the coarsest level alone, from the two coarsest, … from all.
    public var cumulative: [Matrix]
    /// From each level alone, the coarsest first.
    public var alone: [Matrix]
  }

  /// Rows through the tokens and back by way of some of the levels; see `VQVAE2`. With one level, that is the whole.
  public func decodedLevelByLevel(_ x: Matrix) throws(PipelineError) -> LevelPictures {
    guard let hierarchy = tokenizer as? VQVAE2 else {
      let whole = try reconstruct(x)
      return LevelPictures(cumulative: [whole], alone: [whole])
    }
    try check(x)
    let team = try ThreadTeam(count: threads)
    func decoded(_ kept: Set<Int>) -> Matrix {
      matrix(
        team.map(x.rows) { row in
          hierarchy.decode(hierarchy.encode(picture(x, rows: row..<row + 1)), keeping: kept).scalars
        })
    }
    let levels = hierarchy.gridSides.indices
    return LevelPictures(cumulative: levels.map { decoded(Set(0...$0)) }, alone: levels.map { decoded([$0]) })
  }

  // MARK: - Pictures and tokens

  fileprivate func picture(_ x: Matrix, rows: Range<Int>) -> Tensor {
    let S = tokenizer.pictureSize
    let values = x.elements[rows.lowerBound * x.columns..<rows.upperBound * x.columns]
    return Tensor(values.map(Float.init), shape: [rows.count, S, S, 3])
  }

  private func matrix(_ rows: [[Float]]) -> Matrix {
    Matrix(rows.flatMap { $0.map(Double.init) }, rows: rows.count, columns: dimensions)
  }

  /// Each level's tokens of one picture, as its prior counts them.
  private func tokens(of picture: Tensor) -> [[Int32]] {
    let tokens = tokenizer.encode(picture)
    return (tokenizer as? VQVAE2)?.split(tokens) ?? [tokens]
  }

  /// Each level's tokens of each row.
  private func tokens(of x: Matrix, team: ThreadTeam) -> [[[Int32]]] {
    let rows = team.map(x.rows) { tokens(of: picture(x, rows: $0..<$0 + 1)) }
    return priors.indices.map { level in rows.map { $0[level] } }
  }

  /// One picture.
  private func decoded(_ levels: [[Int32]]) -> Tensor {
    tokenizer.decode((tokenizer as? VQVAE2)?.joined(levels) ?? levels[0])
  }

  /// The place in the finest grid of each pixel.
  private func places() -> [Int] {
    let S = tokenizer.pictureSize
    let side = tokenizer.gridSides.last ?? 1
    return (0..<S * S).map { $0 / S * side / S * side + $0 % S * side / S }
  }

  // MARK: - Files

  public var modelName: String { configuration.imageTokenizer.kind.rawValue }
  /// Weights, codebooks and variances.
  public var tensors: [NamedTensor] { namedTensors() }

  /// Reads what ``write(to:)`` has written.
  /// - Throws: `PipelineError` of kind `.noInput` or `.badData` where there is no such model in the file.
  public init(contentsOf url: URL) throws(PipelineError) {
    try self.init(SafeTensors(contentsOf: url), path: url.path)
  }

  /// - Parameter path: where the file lies.
  /// - Throws: as ``init(contentsOf:)``.
  init(_ file: SafeTensors, path: String) throws(PipelineError) {
    guard let kind = file.metadata["model"].flatMap(ImageTokenizerKind.init), let json = file.metadata["configuration"]
    else { throw PipelineError(.badData, "\(path) holds no model of tokens and their priors") }
    guard let configuration = Self.configuration(json: json), configuration.imageTokenizer.kind == kind else {
      throw PipelineError(.badData, "\(path): its configuration is not that of a \(kind.rawValue)")
    }
    try Self.validate(configuration, of: path)
    // What the shape says must not decide alone how much memory is asked for.
    let least =
      configuration.imageTokenizer.leastParameterCount + configuration.priors.reduce(0) { $0 + $1.leastParameterCount }
    guard try 4 * least <= InputFile.byteCount(of: URL(fileURLWithPath: path)) else {
      throw PipelineError(.badData, "\(path) describes a model of at least \(least) parameters and holds fewer")
    }
    try self.init(configuration, seed: nil)
    try file.read(into: self)
  }
}

extension TrainingBound {
  /// A part of the time; steps and epochs stay as they are.
  fileprivate func timePart(_ share: Double) -> TrainingBound {
    if case .minutes(let minutes) = self { .minutes(minutes * share) } else { self }
  }
}
