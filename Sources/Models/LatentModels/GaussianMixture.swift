import ArrayFiles
import Basics
import Foundation
import LinearAlgebra

/// A mixture of K normal distributions, fitted by expectation maximisation (Bishop, PRML, section 9.2):
///
///     p(x)  = Σ_k π_k N(x | μ_k, Σ_k)                                            (9.7)
///     γ_nk  = π_k N(x_n | μ_k, Σ_k) / Σ_j π_j N(x_n | μ_j, Σ_j)                   (9.23)
///     μ_k   = Σ_n γ_nk x_n / N_k,      π_k = N_k / N,      N_k = Σ_n γ_nk          (9.24, 9.26, 9.27)
///     Σ_k   = Σ_n γ_nk (x_n-μ_k)(x_n-μ_k)ᵀ / N_k  + R·N/(K·N_k)                     (9.25)
///
/// The latent variable is which component a point came from. A component that closes in on one point would have a
/// likelihood without bound (section 9.2.1); R = ε·I + λ·diag(v) stands against that, v being the variances of the columns
/// and λ zero unless given. It is the maximum a posteriori estimate under p(Σ_k) ∝ exp(-N/K tr(R·Σ_k⁻¹)/2), so that the
/// penalised log-likelihood rises in each step without exception.
public struct GaussianMixture: SavedModel, ClusteringModel, EncodingModel {
  public struct Configuration: Codable, Sendable, Equatable {
    public var dimensions = 0
    /// K
    public var components = 10
    public var covariance = CovarianceKind.full
    /// ε
    public var regularization = 1e-6
    /// λ
    public var relativeRegularization = 0.0

    public init() {}
  }

  /// How EM searches.
  public struct Options: Sendable {
    /// Runs from different starts, of which the best is kept.
    public var restarts = 1
    public var maximumIterations = 200
    /// EM has converged when the mean log-likelihood of a row rises by less than this.
    public var tolerance = 1e-4
    public var seed: UInt64 = 0
    public var threads = 1

    public init() {}
  }

  public static let name = "gaussian-mixture"
  public let configuration: Configuration
  /// π, [K]
  public let weights: [Double]
  /// μ, [K, D]
  public let means: Matrix
  /// Σ_k, one for all where tied.
  let covariances: [Covariance]
  /// The penalised mean log-likelihood of a row after each iteration of the best run, in nats.
  public let logLikelihoodCurve: [Double]
  /// Whether the last iteration's gain was below the tolerance.
  public let hasConverged: Bool

  /// - Throws: `PipelineError` of kind `.badData` where there are more components than points.
  package static func check(components: Int, points: Int) throws(PipelineError) {
    guard components <= points else {
      throw PipelineError(.badData, "\(components) components cannot be fitted to \(points) points")
    }
  }

  /// - Parameters:
  ///   - x: [N, D]
  ///   - configuration: K and the kind of covariance.
  ///   - options: of EM.
  /// - Throws: `PipelineError` of kind `.badData` where x is empty or not finite, where K exceeds N, or a covariance is
  ///   singular; `.usage` where the options make no sense.
  public init(
    fitting x: Matrix, _ configuration: Configuration = .init(), options: Options = .init()
  ) throws(PipelineError) {
    try x.checkData()
    guard configuration.components > 0, options.restarts > 0, options.maximumIterations > 0 else {
      throw PipelineError(.usage, "a mixture needs one component, one start and one iteration at least")
    }
    try Self.check(components: configuration.components, points: x.rows)
    var configuration = configuration
    configuration.dimensions = x.columns
    let team = try ThreadTeam(count: options.threads)
    var best: Run?
    for restart in 0..<options.restarts {
      var random = Philox(seed: options.seed, stream: RandomStream.mixtureStarts(UInt64(restart)))
      let run = try Run(x, configuration, options, team, random: &random)
      if best.map({ run.curve[run.curve.count - 1] > $0.curve[$0.curve.count - 1] }) ?? true { best = run }
    }
    guard let best else { throw PipelineError(.usage, "a mixture needs one start at least") }
    self.configuration = configuration
    (weights, means, covariances) = (best.weights, best.means, best.covariances)
    (logLikelihoodCurve, hasConverged) = (best.curve, best.hasConverged)
  }

  /// These parameters: a first guess, or what points are drawn from.
  /// - Parameters:
  ///   - weights: π, [K], of sum 1.
  ///   - means: μ, [K, D].
  ///   - covariances: Σ_k, [D, D] each.
  /// - Throws: `PipelineError` of kind `.badData` where a covariance is singular.
  public init(weights: [Double], means: Matrix, covariances: [Matrix]) throws(PipelineError) {
    precondition(weights.count == means.rows && covariances.count == means.rows, "a component has one of each")
    var configuration = Configuration()
    (configuration.dimensions, configuration.components) = (means.columns, means.rows)
    self.configuration = configuration
    (self.weights, self.means, logLikelihoodCurve, hasConverged) = (weights, means, [], false)
    self.covariances = try covariances.map { covariance throws(PipelineError) in try Covariance(full: covariance) }
  }

  /// The M step alone (9.24 to 9.27), for any q(z) in place of the posterior, as variational EM takes it.
  /// - Parameters:
  ///   - x: [N, D]
  ///   - q: [N, K], rows of sum 1.
  ///   - c: what R and the kind of covariance are; K is that of `q`.
  /// - Throws: `PipelineError` of kind `.badData` where x is not finite or a covariance is singular.
  public init(maximizing x: Matrix, under q: Matrix, _ c: Configuration = .init()) throws(PipelineError) {
    try x.checkData()
    precondition(q.rows == x.rows, "each row has its q")
    var configuration = c
    (configuration.dimensions, configuration.components) = (x.columns, q.columns)
    let team = try ThreadTeam(count: 1)
    var run = Run(x, configuration, team, means: Matrix(rows: q.columns, columns: x.columns))
    try run.maximize(x, q, configuration, team)
    self.configuration = configuration
    (weights, means, covariances) = (run.weights, run.means, run.covariances)
    (logLikelihoodCurve, hasConverged) = ([], false)
  }

  /// One run of EM.
  private struct Run {
    var weights: [Double] = []
    var means: Matrix
    var covariances: [Covariance] = []
    var curve: [Double] = []
    var hasConverged = false
    /// R's diagonal.
    private let ridge: [Double]

    init(_ x: Matrix, _ c: Configuration, _ team: ThreadTeam, means: Matrix) {
      ridge = c.covariance.ridge(
        of: x, absolute: c.regularization, relative: c.relativeRegularization, team: team)
      self.means = means
    }

    init(
      _ x: Matrix, _ c: Configuration, _ options: Options, _ team: ThreadTeam, random: inout Philox
    ) throws(PipelineError) {
      self.init(x, c, team, means: GaussianMixture.seeds(x, count: c.components, team, using: &random))
      var responsibilities = GaussianMixture.nearest(x, means, team)
      // k-means, whose clusters EM begins with.
      for _ in 0..<20 {
        _ = moveMeans(x, responsibilities)
        let next = GaussianMixture.nearest(x, means, team)
        if next == responsibilities { break }
        responsibilities = next
      }
      for iteration in 0..<options.maximumIterations {
        try maximize(x, responsibilities, c, team)
        let objective = expect(x, &responsibilities, c, team)
        curve.append(objective)
        if iteration > 0 && objective - curve[iteration - 1] < options.tolerance {
          hasConverged = true
          break
        }
      }
    }

    /// Moves each component to the mean of its points; one without points stays where it is.
    /// - Returns: how many points each has.
    private mutating func moveMeans(_ x: Matrix, _ responsibilities: Matrix) -> [Double] {
      let old = means
      let totals: [Double]
      (means, totals) = x.weightedMeans(responsibilities)
      for k in totals.indices where totals[k] == 0 {
        for j in 0..<x.columns { means[k, j] = old[k, j] }
      }
      return totals
    }

    /// The M step.
    mutating func maximize(
      _ x: Matrix, _ responsibilities: Matrix, _ c: Configuration, _ team: ThreadTeam
    ) throws(PipelineError) {
      let (N, K) = (Double(x.rows), c.components)
      let totals = moveMeans(x, responsibilities)
      let floored = totals.map { max($0, 1e-9 * N) }
      weights = floored.map { $0 / floored.reduce(0, +) }
      if c.covariance == .tied {
        var within = x.scatter(within: responsibilities, about: means, team: team)
        for i in within.elements.indices { within.elements[i] /= N }
        for j in 0..<x.columns { within[j, j] += ridge[j] }
        covariances = [try Covariance(full: within)]
      } else {
        var estimates: [Covariance] = []
        for k in 0..<K {
          estimates.append(
            try c.covariance.estimate(
              x, mean: Array(means.row(k)), weights: (responsibilities, k), total: floored[k],
              ridge: ridge, share: N / (Double(K) * floored[k]), team: team))
        }
        covariances = estimates
      }
    }

    /// The E step.
    /// - Returns: the penalised mean log-likelihood.
    private func expect(
      _ x: Matrix, _ responsibilities: inout Matrix, _ c: Configuration, _ team: ThreadTeam
    ) -> Double {
      responsibilities = GaussianMixture.logDensities(x, weights, means, covariances, team)
      let logLikelihood = responsibilities.softmaxRows(team: team).reduce(0, +) / Double(x.rows)
      let share = c.covariance == .tied ? 1 : 1 / Double(c.components)
      return logLikelihood - share * covariances.reduce(0) { $0 + $1.inverseTrace(times: ridge) } / 2
    }
  }

  /// K points of x, each drawn with a probability in proportion to its squared distance from those before
  /// (k-means++, Arthur & Vassilvitskii 2007), the best of a few draws each.
  private static func seeds(_ x: Matrix, count: Int, _ team: ThreadTeam, using random: inout Philox) -> Matrix {
    var chosen = [random.index(below: x.rows)]
    var distances = squaredDistances(x, from: x.rows(chosen[0]..<chosen[0] + 1), team).elements
    let draws = 2 + Int(log(Double(count)))
    while chosen.count < count {
      let total = distances.reduce(0, +)
      var best: (index: Int, distances: [Double], total: Double)?
      for _ in 0..<draws {
        var target = Double(random.next() >> 11) * 0x1p-53 * total
        let index =
          distances.firstIndex { distance in
            target -= distance
            return target < 0
          } ?? random.index(below: x.rows)
        let candidate = squaredDistances(x, from: x.rows(index..<index + 1), team).elements
        let nearest = zip(distances, candidate).map { min($0, $1) }
        let sum = nearest.reduce(0, +)
        if best.map({ sum < $0.total }) ?? true { best = (index, nearest, sum) }
      }
      if let best {
        chosen.append(best.index)
        distances = best.distances
      }
    }
    return Matrix(chosen.flatMap { Array(x.row($0)) }, rows: count, columns: x.columns)
  }

  /// ‖x_n - c_k‖², [N, K].
  private static func squaredDistances(_ x: Matrix, from centres: Matrix, _ team: ThreadTeam) -> Matrix {
    let unit = [Double](repeating: 2, count: x.columns)
    var result = x.normalLogDensities(
      (0..<centres.rows).map { NormalDensity(mean: Array(centres.row($0)), shape: .precisions(unit), constant: 0) },
      team: team)
    for i in result.elements.indices { result.elements[i] = -result.elements[i] }
    return result
  }

  /// 1 for each row's nearest centre, [N, K].
  private static func nearest(_ x: Matrix, _ centres: Matrix, _ team: ThreadTeam) -> Matrix {
    var result = squaredDistances(x, from: centres, team)
    let K = centres.rows
    for start in stride(from: 0, to: result.elements.count, by: K) {
      var nearest = start
      for k in start..<start + K where result.elements[k] < result.elements[nearest] { nearest = k }
      for k in start..<start + K { result.elements[k] = k == nearest ? 1 : 0 }
    }
    return result
  }

  /// ln π_k N(x_n | μ_k, Σ_k), [N, K].
  private static func logDensities(
    _ x: Matrix, _ weights: [Double], _ means: Matrix, _ covariances: [Covariance], _ team: ThreadTeam
  ) -> Matrix {
    let densities = weights.indices.map { k in
      covariances[covariances.count == 1 ? 0 : k].normal(mean: Array(means.row(k)), weight: weights[k])
    }
    guard covariances.count == 1, densities.count > 1, case .factor(let inverse) = densities[0].shape else {
      return x.normalLogDensities(densities, team: team)
    }
    // One Σ for all: L⁻¹ is taken to the rows and to the means once, and what is left are distances. About a mean, so that
    // rounding does not grow with the data's distance from zero.
    let whitened = x.whitened(by: inverse, about: densities[0].mean, team)
    let centres = means.whitened(by: inverse, about: densities[0].mean, team)
    let unit = [Double](repeating: 1, count: x.columns)
    return whitened.normalLogDensities(
      densities.enumerated().map {
        NormalDensity(mean: Array(centres.row($0)), shape: .precisions(unit), constant: $1.constant)
      }, team: team)
  }

  // MARK: - What every rung can do

  public var dimensions: Int { configuration.dimensions }
  public var components: Int { configuration.components }
  public var parameterCount: Int {
    let (D, K, kind) = (dimensions, configuration.components, configuration.covariance)
    return K * D + K - 1 + (kind == .tied ? 1 : K) * kind.parameterCount(D)
  }
  public var likelihood: LikelihoodKind { .exact }

  /// Σ_k of a component, [D, D], or its diagonal, [1, D].
  public func covarianceMatrix(_ k: Int) -> Matrix { covariances[covariances.count == 1 ? 0 : k].matrix }

  /// γ, [N, K]: how probable it is that each row came from each component (9.23).
  public func responsibilities(_ x: Matrix) throws(PipelineError) -> Matrix {
    try posterior(x).responsibilities
  }

  /// ln p(x, z), [N, K]: of each row together with each component, ln π_k N(x | μ_k, Σ_k).
  /// - Throws: as ``logLikelihood(_:seed:)``.
  public func jointLogDensities(_ x: Matrix) throws(PipelineError) -> Matrix {
    try x.checkData(dimensions: dimensions)
    return Self.logDensities(x, weights, means, covariances, try ThreadTeam(count: 1))
  }

  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] { try componentArrays(x) }

  private func posterior(
    _ x: Matrix
  ) throws(PipelineError) -> (responsibilities: Matrix, logLikelihood: [Double]) {
    try x.checkData(dimensions: dimensions)
    let team = try ThreadTeam(count: 1)
    var result = Self.logDensities(x, weights, means, covariances, team)
    let logLikelihood = result.softmaxRows(team: team)
    return (result, logLikelihood)
  }

  public func logLikelihood(_ x: Matrix, seed: UInt64 = 0) throws(PipelineError) -> [Double] {
    try posterior(x).logLikelihood
  }

  /// -2 ln p(x) + parameters·ln N (Schwarz 1978; PRML 4.139 times -2): the lower, the better K explains the data.
  public func bayesianInformationCriterion(_ x: Matrix) throws(PipelineError) -> Double {
    -2 * (try logLikelihood(x)).reduce(0, +) + Double(parameterCount) * log(Double(x.rows))
  }

  public func sample(_ count: Int, seed: UInt64) -> Matrix { draw(count, seed: seed, component: nil) }

  public func sample(_ count: Int, component: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    try checkComponent(component)
    return draw(count, seed: seed, component: component)
  }

  private func draw(_ count: Int, seed: UInt64, component: Int?) -> Matrix {
    Matrix(
      (0..<count).flatMap { i in
        var random = Philox(seed: seed, stream: RandomStream.mixtureSamples(UInt64(i)))
        var target = Double(random.next() >> 11) * 0x1p-53
        let drawn =
          weights.firstIndex { weight in
            target -= weight
            return target < 0
          } ?? weights.count - 1
        let k = component ?? drawn
        return covariances[covariances.count == 1 ? 0 : k].draw(mean: Array(means.row(k)), using: &random)
      }, rows: count, columns: dimensions)
  }

  /// E[μ_k | x]: the means, weighted by how probable each component is.
  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix {
    .product(try responsibilities(x), means)
  }

  public var matrices: [(name: String, matrix: Matrix)] {
    [("weights", Matrix(weights, rows: 1, columns: weights.count)), ("means", means)]
      + covariances.enumerated().map { ("covariances.\($0)", $1.matrix) }
      + [
        ("log_likelihood_curve", Matrix(logLikelihoodCurve, rows: 1, columns: logLikelihoodCurve.count)),
        ("has_converged", Matrix(repeating: hasConverged ? 1 : 0, rows: 1, columns: 1)),
      ]
  }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    let (D, K, kind) = (configuration.dimensions, configuration.components, configuration.covariance)
    self.configuration = configuration
    weights = try file.matrix("weights", rows: 1, columns: K).elements
    means = try file.matrix("means", rows: K, columns: D)
    var covariances: [Covariance] = []
    for k in 0..<(kind == .tied ? 1 : K) {
      let stored = try file.matrix("covariances.\(k)", rows: kind.isDense ? D : 1, columns: D)
      covariances.append(try Covariance(stored: stored, kind: kind))
    }
    self.covariances = covariances
    logLikelihoodCurve = try file.matrix("log_likelihood_curve").elements
    hasConverged = try file.matrix("has_converged", rows: 1, columns: 1)[0, 0] == 1
  }
}
