import Basics
import Imaging
import LatentModels
import LinearAlgebra

/// Points in a plane, which figures of EM are drawn in.
struct PlanePoints {
  /// [N, 2]
  let x: Matrix
  /// What the points were drawn from, and from which component each; nil for data of one's own.
  let truth: (mixture: GaussianMixture, components: [Int])?

  /// The figure's own points, or the given rows: of two columns as they are, of more in the plane of their two principal components.
  /// - Throws: `PipelineError` of kind `.badData` where rows have one column, or none differ.
  init(
    _ context: LectureFigure.Context, orDrawnFrom mixture: () throws(PipelineError) -> GaussianMixture, count: Int
  ) throws(PipelineError) {
    guard let data = context.data else {
      let mixture = try mixture()
      var random = Philox(seed: context.options.seed, stream: RandomStream.lecturePoints())
      var components: [Int] = []
      for _ in 0..<count {
        var target = Double(random.uniform())
        components.append(
          mixture.weights.firstIndex { weight in
            target -= weight
            return target < 0
          } ?? mixture.weights.count - 1)
      }
      var rows: [Double] = []
      for (i, k) in components.enumerated() {
        let drawn = try mixture.sample(1, component: k, seed: context.options.seed &+ UInt64(i))
        rows += drawn.elements
      }
      (x, truth) = (Matrix(rows, rows: count, columns: 2), (mixture, components))
      return
    }
    let rows = try data.matrix(of: data.side == nil ? .all : .train).spread(over: 2000)
    guard rows.columns > 1 else {
      throw PipelineError(.badData, "\(data.name) has one column, and this figure is drawn in a plane")
    }
    truth = nil
    if rows.columns == 2 {
      x = rows
    } else {
      let plane = try PPCA(fitting: rows, latentDimensions: 2, threads: context.options.threads)
      x = .product(rows.subtracting(plane.mean), plane.directions, transposing: .right)
    }
  }

  /// Two clusters such as the eruptions of Old Faithful make, in units of deviations (PRML, figure 9.8).
  static func twoClusters() throws(PipelineError) -> GaussianMixture {
    try GaussianMixture(
      weights: [0.36, 0.64], means: Matrix([-1.25, -1.2, 0.7, 0.67], rows: 2, columns: 2),
      covariances: [covariance(0.05, 0.03, 0.19), covariance(0.13, 0.06, 0.2)])
  }

  /// Three clusters of different shapes that overlap (PRML, figure 9.5).
  static func threeClusters() throws(PipelineError) -> GaussianMixture {
    try GaussianMixture(
      weights: [0.5, 0.3, 0.2], means: Matrix([0.35, 0.4, 0.55, 0.5, 0.75, 0.65], rows: 3, columns: 2),
      covariances: [
        covariance(0.012, -0.008, 0.012), covariance(0.004, 0, 0.016), covariance(0.012, 0.008, 0.012),
      ])
  }

  /// A small cluster in the flank of a wide one: no straight border parts them.
  static func unequalClusters() throws(PipelineError) -> GaussianMixture {
    try GaussianMixture(
      weights: [0.6, 0.4], means: Matrix([-0.5, 0, 0.9, 0.3], rows: 2, columns: 2),
      covariances: [covariance(1, 0, 0.8), covariance(0.06, 0.02, 0.05)])
  }

  /// One cluster, longer than it is wide.
  static func oneCluster() throws(PipelineError) -> GaussianMixture {
    try GaussianMixture(
      weights: [1], means: Matrix([2, 1], rows: 1, columns: 2), covariances: [covariance(2, 1.2, 1.1)])
  }

  static func covariance(_ xx: Double, _ xy: Double, _ yy: Double) -> Matrix {
    Matrix([xx, xy, xy, yy], rows: 2, columns: 2)
  }

  var points: [(x: Double, y: Double)] { (0..<x.rows).map { (x[$0, 0], x[$0, 1]) } }

  /// The covariance of all points.
  var covariance: Matrix {
    let centred = x.subtracting(x.mean())
    var covariance = Matrix.product(centred, centred, transposing: .left)
    for i in covariance.elements.indices { covariance.elements[i] /= Double(x.rows) }
    return covariance
  }

  /// Where EM begins, about as badly as in PRML's figure 9.8: equal weights, round covariances, and means in a line that is rather
  /// across the direction in which the points vary most than along it.
  func firstGuess(components K: Int, seed: UInt64) throws(PipelineError) -> GaussianMixture {
    guard K <= x.rows else {
      throw PipelineError(.badData, "\(K) components cannot be fitted to \(x.rows) points")
    }
    let (values, vectors) = try covariance.largestEigenpairs(2)
    let (centre, deviation) = (x.mean(), values[0].squareRoot())
    var random = Philox(seed: seed, stream: RandomStream.lectureFigures())
    let means = (0..<K).flatMap { k in
      // From -1 to 1 across. Were it across alone, EM would stay for long where no component is like a cluster.
      let across = K == 1 ? 0 : 2 * Double(k) / Double(K - 1) - 1
      let along = 0.4 * across + 0.1 * random.normal()
      return (0..<2).map { centre[$0] + deviation * (across * vectors[1, $0] + along * vectors[0, $0]) }
    }
    let variance = values[0] / 3
    return try GaussianMixture(
      weights: Array(repeating: 1 / Double(K), count: K), means: Matrix(means, rows: K, columns: 2),
      covariances: Array(repeating: Self.covariance(variance, 0, variance), count: K))
  }

  /// Points in grey, of which nothing more is known.
  func plainPlot(_ title: String, ellipses: [ScatterPlot.Ellipse] = []) -> SVG {
    ScatterPlot(
      title: title, points: points, shares: points.map { _ in [0, 0, 0, 0, 0, 0, 1] }, ellipses: ellipses
    ).drawing()
  }

  /// Points in colors of what they belong to, under a mixture's bells.
  func plot(_ title: String, shares: Matrix, _ mixture: GaussianMixture?) -> SVG {
    ScatterPlot(
      title: title, points: points, shares: (0..<x.rows).map { Array(shares.row($0)) },
      ellipses: mixture?.ellipses ?? []
    ).drawing()
  }
}

extension GaussianMixture {
  var ellipses: [ScatterPlot.Ellipse] {
    (0..<components).map { k in
      let covariance = covarianceMatrix(k)
      return ScatterPlot.Ellipse(
        mean: (means[k, 0], means[k, 1]), covariance: (covariance[0, 0], covariance[0, 1], covariance[1, 1]),
        weight: weights[k])
    }
  }
}
