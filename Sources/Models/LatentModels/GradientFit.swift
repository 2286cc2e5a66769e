import Basics
import LinearAlgebra
import Optimization
import TensorCore

/// Fits a rung that is learnt by gradients: AdamW over shuffled batches, a learning rate that ends annealed, and as
/// parameters the moving average of the last steps'. With a bound in steps the result depends on seed and threads alone.
public struct GradientFit: Sendable {
  /// A point of the learning curve.
  public struct Point: Sendable, Codable, Equatable {
    /// Steps made.
    public var step: Int
    public var seconds: Double
    /// The mean training loss since the last point.
    public var loss: Double
    /// The mean log p(x) of held-out rows or its bound, nats a row; nil where there are no such rows
    /// or the model has no likelihood.
    public var heldOut: Double?
  }

  public var bound: TrainingBound
  public var batchSize = 64
  public var learningRate: Float = 1e-3
  public var warmUpSteps = 100
  /// Of the moving average of the parameters.
  public var averageDecay: Float = 0.995
  public var threads = 1
  public var precision = ElementType.float32
  public var seed: UInt64 = 0
  /// Whether rows are bytes, x = (byte + u)/256, to which each epoch gives a new u, uniform in [0, 1) (Theis et al.
  /// 2016, section 3.1). Without it a density could rise without bound on the few values that bytes have.
  public var dequantizes = false
  /// The number of points of the curve.
  public var points = 10

  public init(_ bound: TrainingBound) { self.bound = bound }

  /// - Parameters:
  ///   - model: with initial parameters.
  ///   - rows: [N, D].
  ///   - heldOut: rows that the curve is measured on, and nothing is learnt from.
  ///   - report: called for each point of the curve.
  /// - Returns: the learning curve; the model's parameters are changed in place.
  /// - Throws: `PipelineError` of kind `.badData` where rows do not fit the model, `.usage` for settings that make no sense
  ///   and where the learning rate diverges.
  @discardableResult
  public func callAsFunction<Model: GradientTrainedModel>(
    _ model: Model, rows: Matrix, heldOut: Matrix? = nil, report: (Point) -> Void = { _ in }
  ) throws(PipelineError) -> [Point] {
    try rows.checkData(dimensions: model.dimensions)
    try heldOut?.checkData(dimensions: model.dimensions)
    try validate()
    let batchSize = min(batchSize, rows.rows)
    let team = try ThreadTeam(count: min(threads, batchSize))
    var options = AdamW.Options()
    options.averageDecay = averageDecay
    let optimizer = AdamW(ParameterStore(model, precision: precision), options: options)
    let trainer = ReplicaTrainer(optimizer, team: team)
    let loop = DescentLoop(
      schedule: LearningRateSchedule(peak: learningRate, warmUpSteps: warmUpSteps), bound: bound,
      stepsPerEpoch: Double(rows.rows) / Double(batchSize))
    var curve: [Point] = []
    var order = BatchOrder(rows: rows.rows, seed: seed) { RandomStream.fittingOrder($0) }
    var (sum, count) = (0.0, 0)
    try loop.run(
      advice: "lower it or scale the rows",
      step: { (step, learningRate, progress) throws(PipelineError) in
        let batch = order.next(batchSize)
        let x = self.batch(rows, batch)
        let result = trainer.step(learningRate: learningRate) { replica in
          let range = replica.range(of: batchSize)
          let part = x.view(
            range.lowerBound * rows.columns..<range.upperBound * rows.columns, shape: [range.count, rows.columns])
          let noise = NoiseStream(
            seed: seed, stream: RandomStream.fittingNoise(UInt64(step) << 8 | UInt64(replica.number)))
          return model.loss(part, progress: progress, noise: noise, precision: precision)
            * (Float(range.count) / Float(batchSize))
        }
        return .init(loss: result.loss, gradientNorm: result.gradientNorm)
      },
      after: { (progress, result) throws(PipelineError) in
        if result.isFinite { (sum, count) = (sum + Double(result.loss), count + 1) }
        if progress.isComplete || progress.fraction * Double(points) >= Double(curve.count + 1) {
          var point = Point(step: progress.step, seconds: progress.seconds, loss: sum / Double(max(1, count)))
          if let heldOut, model.likelihood != .none { point.heldOut = try measure(model, heldOut, optimizer) }
          curve.append(point)
          report(point)
          (sum, count) = (0, 0)
        }
        return true
      })
    if let average = optimizer.average { optimizer.store.values.overwrite(with: average) }
    optimizer.store.refreshOperands()
    return curve
  }

  private func validate() throws(PipelineError) {
    try bound.validate()
    guard (1...65536).contains(batchSize), (1...256).contains(threads), points > 0, learningRate > 0,
      learningRate.isFinite, (0..<1).contains(averageDecay)
    else {
      throw PipelineError(
        .usage, "batch size, threads, points and learning rate must be positive, the average's decay below 1")
    }
  }

  /// The held-out rows under the moving average of the parameters, always with the same noise.
  private func measure<Model: GradientTrainedModel>(
    _ model: Model, _ rows: Matrix, _ optimizer: AdamW
  ) throws(PipelineError) -> Double {
    let values = optimizer.store.values
    let current = Tensor(values.scalars, shape: values.shape)
    if let average = optimizer.average { values.overwrite(with: average) }
    optimizer.store.refreshOperands()
    defer {
      values.overwrite(with: current)
      optimizer.store.refreshOperands()
    }
    let x = dequantizes ? rows.dequantized(seed: seed, stream: RandomStream.heldOutDequantization()) : rows
    let logLikelihoods = try model.logLikelihood(x, seed: seed)
    return logLikelihoods.reduce(0, +) / Double(logLikelihoods.count)
  }

  private func batch(_ rows: Matrix, _ places: [BatchOrder.Place]) -> Tensor {
    let D = rows.columns
    let x = Tensor.zeros([places.count, D])
    x.withUnsafeMutableFloats { x in
      for (i, place) in places.enumerated() {
        let row = rows.row(place.row)
        if dequantizes {
          // The noise of a row is that of its number and epoch, whatever batch it comes in.
          let stream = RandomStream.fittingDequantization(UInt64(place.epoch) << 24 | UInt64(place.row))
          let noise = Tensor.uniform([D], seed: seed, stream: stream).scalars
          for (d, value) in row.enumerated() { x[i * D + d] = dequantizedByte(value, noise[d]) }
        } else {
          for (d, value) in row.enumerated() { x[i * D + d] = Float(value) }
        }
      }
    }
    return x
  }
}

/// (byte + u)/256, which is of that byte also once it is rounded.
private func dequantizedByte(_ x: Double, _ u: Float) -> Float {
  let byte = Float(min(max((x * 256).rounded(.down), 0), 255))
  return min((byte + u) / 256, ((byte + 1) / 256).nextDown)
}

extension Matrix {
  /// Rows of bytes, each within its interval of [0, 1), with uniform noise in place of what rounding took
  /// (Theis et al. 2016, section 3.1): their density bounds the bytes' probability from below.
  public func dequantized(seed: UInt64, stream: UInt64 = 0) -> Matrix {
    var random = Philox(seed: seed, stream: stream)
    return Matrix(elements.map { Double(dequantizedByte($0, random.uniform())) }, rows: rows, columns: columns)
  }
}
