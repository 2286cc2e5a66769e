import Basics
import Checkpoints
import Foundation
import LatentModels
import LinearAlgebra

extension Rung {
  /// Fits the model to rows.
  /// - Parameters:
  ///   - x: [N, D]
  ///   - side: S, where the rows are pictures of S × S × 3; nil for a matrix.
  ///   - options: what is nil in them is chosen by the rung.
  /// - Throws: `PipelineError` where the rows or the options do not suit the model.
  public func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    try options.validate()
    guard side != nil || takesMatrices else {
      throw PipelineError(.usage, "\(rawValue) works on pictures, and the data are a matrix")
    }
    guard !options.allowsMissingValues || self == .ppca else {
      throw PipelineError(.usage, "missing values can be fitted by ppca alone, not by \(rawValue)")
    }
    options.progress("fitting \(rawValue)", 0)
    let start = ContinuousClock.now
    var fitted: FittedRung
    switch self {
    case .gaussian: fitted = try Self.fitGaussian(x, options, arePictures: side != nil)
    case .gaussianMixture: fitted = try Self.fitMixture(x, options, arePictures: side != nil)
    case .ppca: fitted = try Self.fitPPCA(x, options)
    case .autoEncoder: fitted = try Self.fitAutoEncoder(x, options, arePictures: side != nil)
    case .vae: fitted = try Self.fitVAE(x, options, arePictures: side != nil)
    case .gaussianMixtureVAE: fitted = try Self.fitGaussianMixtureVAE(x, options, arePictures: side != nil)
    case .hierarchicalVAE: fitted = try Self.fitHierarchicalVAE(x, options, side: side ?? 0)
    case .vqvae: fitted = try Self.fitTwoStage(.vqvae, x, options)
    case .vqvae2: fitted = try Self.fitTwoStage(.vqvae2, x, options)
    case .dvae: fitted = try Self.fitTwoStage(.dvae, x, options)
    }
    fitted.seconds = start.duration(to: .now) / .seconds(1)
    return fitted
  }

  // MARK: - Gaussian

  private static func fitGaussian(
    _ x: Matrix, _ options: LadderOptions, arePictures: Bool
  ) throws(PipelineError) -> FittedRung {
    guard arePictures, options.covariance == nil else {
      let model = try Gaussian(
        fitting: x, .init(covariance: options.covariance ?? .full), threads: options.threads)
      return FittedRung(model: model)
    }
    let shrinkage = try bestShrinkage(x, options)
    let model = try Gaussian(
      fitting: x, .init(regularization: pictureFloor, relativeRegularization: shrinkage), threads: options.threads)
    let choices = shrinkages.map { "\($0)" }.joined(separator: ", ")
    return FittedRung(
      model: model, notes: [shrinkageNote + " It was λ = \(shrinkage), of \(choices)."])
  }

  /// λ's to choose among; see ``Gaussian/Configuration/relativeRegularization``.
  private static let shrinkages = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
  /// ε for pictures: far below the variance 1/(12·256²) that dequantisation gives the dullest pixel.
  private static let pictureFloor = 1e-9

  /// The λ whose Gaussian, fitted to nine tenths of the rows, gives the others the highest likelihood. Held-out rows
  /// play no part in it.
  private static func bestShrinkage(_ x: Matrix, _ options: LadderOptions) throws(PipelineError) -> Double {
    var random = Philox(seed: options.seed, stream: RandomStream.ladderShrinkage())
    let order = random.permutation(x.rows)
    let kept = max(1, x.rows / 10)
    let (judged, fitted) = (x.selecting(order.prefix(kept)), x.selecting(order.dropFirst(kept)))
    guard fitted.rows > 0 else { return 1 }
    var best = (shrinkage: 1.0, likelihood: -Double.infinity)
    for (i, shrinkage) in shrinkages.enumerated() {
      options.progress("choosing how far to shrink the covariance", Double(i) / Double(shrinkages.count))
      let model = try Gaussian(
        fitting: fitted, .init(regularization: pictureFloor, relativeRegularization: shrinkage),
        threads: options.threads)
      let likelihood = try model.logLikelihood(judged).mean
      if likelihood > best.likelihood { best = (shrinkage, likelihood) }
    }
    return best.shrinkage
  }

  // MARK: - Mixture

  private static func fitMixture(
    _ x: Matrix, _ options: LadderOptions, arePictures: Bool
  ) throws(PipelineError) -> FittedRung {
    var configuration = GaussianMixture.Configuration()
    var search = GaussianMixture.Options()
    (search.seed, search.threads) = (options.seed, options.threads)
    var notes: [String] = []
    if arePictures && options.covariance == nil {
      configuration.covariance = .tied
      configuration.regularization = pictureFloor
      configuration.relativeRegularization = try bestShrinkage(x, options)
      // EM moves slowly at the end, and a round takes seconds in thousands of dimensions.
      (search.maximumIterations, search.tolerance) = (12, 0.02)
      notes.append(
        """
        All bells share one covariance, shrunk as the Gaussian's (λ = \(configuration.relativeRegularization)): each of its \
        own would need as many numbers again, from a fraction of the pictures.
        """)
    } else {
      configuration.covariance = options.covariance ?? .full
      search.restarts = x.columns <= 256 ? 5 : 1
    }
    let model: GaussianMixture
    if let components = options.components {
      configuration.components = components
      model = try GaussianMixture(fitting: x, configuration, options: search)
    } else if arePictures {
      configuration.components = min(40, x.rows)
      model = try GaussianMixture(fitting: x, configuration, options: search)
    } else {
      var best: (model: GaussianMixture, criterion: Double)?
      let candidates = [1, 2, 3, 4, 6, 8, 12, 16].filter { $0 <= x.rows }
      for (i, components) in candidates.enumerated() {
        options.progress("choosing the number of components", Double(i) / Double(candidates.count))
        configuration.components = components
        let candidate = try GaussianMixture(fitting: x, configuration, options: search)
        let criterion = try candidate.bayesianInformationCriterion(x)
        if best.map({ criterion < $0.criterion }) ?? true { best = (candidate, criterion) }
      }
      guard let best else { throw PipelineError(.badData, "a mixture needs one point at least") }
      model = best.model
      notes.append(
        "K = \(model.configuration.components), of \(candidates.map(String.init).joined(separator: ", ")), has the lowest "
          + "Bayesian information criterion; --components chooses another.")
    }
    let rounds = model.logLikelihoodCurve.count
    notes.append(
      "\(model.configuration.components) components; EM "
        + (model.hasConverged ? "converged after \(rounds) rounds." : "was ended after \(rounds) rounds."))
    return FittedRung(model: model, likelihoodCurve: model.logLikelihoodCurve, notes: notes)
  }

  // MARK: - Probabilistic PCA

  private static func fitPPCA(_ x: Matrix, _ options: LadderOptions) throws(PipelineError) -> FittedRung {
    let latentDimensions = options.latentDimensions ?? max(1, min(64, x.columns - 1, x.rows - 1))
    if options.allowsMissingValues && x.elements.contains(where: \.isNaN) {
      var search = PPCA.Options()
      (search.seed, search.threads) = (options.seed, options.threads)
      let model = try PPCA(missingValues: x, latentDimensions: latentDimensions, options: search)
      let missing = x.elements.count { $0.isNaN }
      return FittedRung(model: model, notes: ["\(missing) of \(x.elements.count) values are missing; fitted by EM."])
    }
    let model = try PPCA(fitting: x, latentDimensions: latentDimensions, threads: options.threads)
    return FittedRung(model: model, notes: ["The code has \(latentDimensions) dimensions."])
  }

  // MARK: - Learnt by gradients

  /// Trains `model` in place.
  package static func train<Model: GradientTrainedModel>(
    _ model: Model, _ x: Matrix, _ options: LadderOptions, arePictures: Bool, what: String
  ) throws(PipelineError) -> [(seconds: Double, loss: Double)] {
    var fit: GradientFit
    // In minutes, many small and bold steps over a few thousand pictures bring more than few large ones.
    let batchSize = options.batchSize ?? (arePictures ? 16 : 64)
    switch options.bound {
    case .minutes(let minutes): fit = GradientFit(.seconds(minutes * 60))
    case .steps(let steps): fit = GradientFit(.steps(steps))
    case .epochs(let epochs):
      let stepsPerEpoch = Double(x.rows) / Double(min(batchSize, x.rows))
      fit = GradientFit(.steps(max(1, Int((epochs * stepsPerEpoch).rounded()))))
    }
    (fit.batchSize, fit.seed, fit.threads, fit.precision) = (
      batchSize, options.seed, options.threads, options.precision
    )
    if arePictures { fit.learningRate = 3e-3 }
    (fit.dequantizes, fit.points) = (arePictures, 50)
    var reported = 0
    let curve = try fit(model, rows: x) { _ in
      reported += 1
      options.progress("fitting \(what)", Double(reported) / 50)
    }
    return curve.map { ($0.seconds, $0.loss) }
  }

  private static func fitAutoEncoder(
    _ x: Matrix, _ options: LadderOptions, arePictures: Bool
  ) throws(PipelineError) -> FittedRung {
    var c = AutoEncoder.Configuration(dimensions: x.columns)
    let shape = CodeShape(x, options, arePictures: arePictures)
    (c.network, c.width, c.latentDimensions) = (shape.network, shape.width, shape.latentDimensions)
    if let patchSize = shape.patchSize { c.patchSize = patchSize }
    let autoEncoder = try AutoEncoder(c, seed: options.seed)
    let curve = try train(autoEncoder, x, options, arePictures: arePictures, what: Rung.autoEncoder.rawValue)
    var mixture = GaussianMixture.Configuration()
    mixture.covariance = options.covariance ?? .full
    // Each full covariance of 64 dimensions wants some hundreds of codes.
    mixture.components = options.components ?? max(1, min(10, x.rows / (4 * c.latentDimensions)))
    var search = GaussianMixture.Options()
    (search.seed, search.threads) = (options.seed, options.threads)
    options.progress("fitting a mixture to the codes", 1)
    let model = try MixtureAutoEncoder(
      autoEncoder, codeModel: GaussianMixture(fitting: autoEncoder.encode(x), mixture, options: search))
    return FittedRung(
      model: model, lossCurve: curve,
      notes: [
        "The code has \(c.latentDimensions) dimensions; the mixture over the codes has \(mixture.components) components."
      ])
  }

  /// Stage 1 and the priors of its grids, each learnt in its part of the time.
  private static func fitTwoStage(
    _ kind: ImageTokenizerKind, _ x: Matrix, _ options: LadderOptions
  ) throws(PipelineError) -> FittedRung {
    let model = try TwoStageModel(
      fitting: x, kind: kind, bound: options.bound, threads: options.threads, seed: options.seed,
      precision: options.precision
    ) { what, share, _ in options.progress("fitting \(kind.rawValue): \(what)", share) }
    let priors = model.configuration.priors
    let grids = priors.map { "\($0.gridSide)×\($0.gridSide)" }.joined(separator: " and ")
    return FittedRung(
      model: model,
      notes: [
        "\(grids) tokens of \(priors[0].imageVocabulary) codes, "
          + "each grid with a PixelCNN; half of the time went to the tokens, half to their priors."
      ])
  }

  private static func fitVAE(
    _ x: Matrix, _ options: LadderOptions, arePictures: Bool
  ) throws(PipelineError) -> FittedRung {
    let model = try VAE(vaeConfiguration(x, options, arePictures: arePictures), seed: options.seed)
    let curve = try train(model, x, options, arePictures: arePictures, what: "vae")
    return FittedRung(
      model: model, lossCurve: curve, notes: ["The code has \(model.configuration.latentDimensions) dimensions."])
  }

  /// Bytes get a likelihood that knows they are bytes; the columns of a matrix a Gaussian each.
  package static func vaeConfiguration(_ x: Matrix, _ options: LadderOptions, arePictures: Bool) -> VAE.Configuration {
    var c = VAE.Configuration(dimensions: x.columns)
    let shape = CodeShape(x, options, arePictures: arePictures)
    (c.network, c.width, c.latentDimensions) = (shape.network, shape.width, shape.latentDimensions)
    if let patchSize = shape.patchSize { c.patchSize = patchSize }
    if arePictures { c.likelihood = .discretizedLogistic }
    return c
  }

  /// A VAE first, then a mixture over its codes, and from there all together (Jiang et al. 2017, section 3.2).
  private static func fitGaussianMixtureVAE(
    _ x: Matrix, _ options: LadderOptions, arePictures: Bool
  ) throws(PipelineError) -> FittedRung {
    var c = GaussianMixtureVAE.Configuration(dimensions: x.columns)
    let shape = CodeShape(x, options, arePictures: arePictures)
    (c.network, c.width, c.latentDimensions) = (shape.network, shape.width, shape.latentDimensions)
    if let patchSize = shape.patchSize { c.patchSize = patchSize }
    if arePictures { c.likelihood = .discretizedLogistic }
    c.components = options.components ?? min(10, x.rows)
    var model = try GaussianMixtureVAE(c, seed: options.seed)
    let name = Rung.gaussianMixtureVAE.rawValue
    var (first, second) = (options, options)
    (first.bound, second.bound) = (options.bound.part(0.3), options.bound.part(0.7))
    second.seed &+= 1
    model.klWeight = 0.1
    let start = ContinuousClock.now
    _ = try train(model, x, first, arePictures: arePictures, what: "\(name): a VAE first")
    let codes = try model.encode(x)
    var mixture = GaussianMixture.Configuration()
    (mixture.covariance, mixture.components) = (.diagonal, c.components)
    var search = GaussianMixture.Options()
    (search.restarts, search.seed, search.threads) = (5, options.seed, options.threads)
    let clusters = try GaussianMixture(fitting: codes, mixture, options: search)
    try model.setComponents(
      weights: clusters.weights.map { max($0, 1e-3) }, means: clusters.means,
      variances: Matrix(
        (0..<c.components).flatMap { clusters.covarianceMatrix($0).elements }, rows: c.components,
        columns: c.latentDimensions))
    model.klWeight = 1
    let before = start.duration(to: .now) / .seconds(1)
    let curve = try train(model, x, second, arePictures: arePictures, what: name)
    return FittedRung(
      model: model, lossCurve: curve.map { (before + $0.seconds, $0.loss) },
      notes: [
        "The code has \(c.latentDimensions) dimensions and \(c.components) components, whose places a mixture over the codes "
          + "gave after three tenths of the time."
      ])
  }

  /// The networks and the code of a model that has one code for a row.
  private struct CodeShape {
    let network: RowNetworkKind
    let width = 128
    let latentDimensions: Int
    /// Pixels a side of the patches that make a picture a grid: at most 4, and a part of it. Nil for a matrix.
    let patchSize: Int?

    init(_ x: Matrix, _ options: LadderOptions, arePictures: Bool) {
      network = arePictures ? .picture : .dense
      latentDimensions = options.latentDimensions ?? (arePictures ? 64 : max(1, min(8, x.columns / 2)))
      let side = Int((Double(x.columns) / 3).squareRoot().rounded())
      patchSize = arePictures ? [4, 3, 2].first { side % $0 == 0 } ?? 1 : nil
    }
  }

  private static func fitHierarchicalVAE(
    _ x: Matrix, _ options: LadderOptions, side: Int
  ) throws(PipelineError) -> FittedRung {
    var c = HierarchicalVAE.Configuration(dimensions: x.columns)
    c.patchSize = side % 2 == 0 ? 2 : 1
    // As many halvings as the finest grid has, at most three.
    c.levels = min(4, 1 + (side / c.patchSize).trailingZeroBitCount)
    let model = try HierarchicalVAE(c, seed: options.seed)
    let curve = try train(model, x, options, arePictures: true, what: "hierarchical-vae")
    let first = (side / c.patchSize) >> (c.levels - 1)
    let grids = (0..<c.levels).map { "\(first << $0)×\(first << $0)" }.joined(separator: ", ")
    return FittedRung(model: model, lossCurve: curve, notes: ["\(c.levels) levels, of \(grids) cells."])
  }
}

/// What is said of a covariance that had to be shrunk.
private let shrinkageNote = """
  A covariance of this many numbers, estimated from this many pictures, fits the training pictures almost perfectly and \
  held-out ones terribly: in the directions in which the training pictures happen not to vary, it believes that nothing \
  can vary. The covariance used here was therefore pulled towards its own diagonal, and how far was chosen by what scores \
  best on a tenth of the training pictures that was kept apart for this choice.
  """
