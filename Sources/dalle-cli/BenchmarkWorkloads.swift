import LatentModels
import LinearAlgebra
import TensorCore

/// The workloads of the models without networks, in float64.
extension Benchmark {
  /// Expectation maximisation for a Gaussian mixture from one start, k-means included, for so many iterations.
  func mixture(_ threads: Int) throws -> Report {
    let x = mixtureData()
    var configuration = GaussianMixture.Configuration()
    (configuration.components, configuration.covariance) = (components, covariance)
    var options = GaussianMixture.Options()
    (options.maximumIterations, options.tolerance, options.threads) = (iterations, -.infinity, threads)
    var model: GaussianMixture?
    let seconds = try median { model = try GaussianMixture(fitting: x, configuration, options: options) }
    // The triangular products of the E step and the symmetric ones of the M step.
    let (N, D) = (Double(x.rows), Double(x.columns))
    let operations = covariance == .full || covariance == .tied ? 2 * N * D * D : 4 * N * D
    return try classicalReport(
      threads, seconds, x, model, operations: operations * Double(components) * Double(iterations))
  }

  /// The closed form of PPCA.
  func ppca(_ threads: Int) throws -> Report {
    let x = mixtureData()
    var model: PPCA?
    let seconds = try median { model = try PPCA(fitting: x, latentDimensions: latent, threads: threads) }
    let (N, D) = (Double(x.rows), Double(x.columns))
    return try classicalReport(threads, seconds, x, model, operations: N * D * D)
  }

  private func classicalReport(
    _ threads: Int, _ seconds: Double, _ x: Matrix, _ model: (any GenerativeModel)?, operations: Double
  ) throws -> Report {
    let logLikelihood = try model?.logLikelihood(x, seed: 0).reduce(0, +) ?? .nan
    return Report(
      workload: workload.rawValue, threads: threads, seconds: seconds,
      meanLogLikelihood: logLikelihood / Double(x.rows), gflops: operations / seconds / 1e9)
  }

  private func median(_ body: () throws -> Void) rethrows -> Double {
    var seconds: [Double] = []
    for _ in 0..<steps { seconds.append(try Self.measure(body)) }
    return seconds.sorted()[steps / 2]
  }

  /// Points around as many centres as there are components, each with a covariance of its own.
  private func mixtureData() -> Matrix {
    let (K, D) = (components, dimensions)
    let noise = { (shape: [Int], stream: UInt64) in
      Matrix(
        Tensor.normal(shape, seed: 0, stream: stream).scalars.map(Double.init), rows: shape[0], columns: shape[1])
    }
    let centres = noise([K, D], 1)
    var x = noise([points, D], 2)
    for k in 0..<K {
      let rows = stride(from: k, to: points, by: K)
      let own = Matrix(rows.flatMap { Array(x.row($0)) }, rows: Array(rows).count, columns: D)
      let mapped = Matrix.product(own, noise([D, D], UInt64(3 + k)))
      for (i, row) in rows.enumerated() {
        for j in 0..<D { x[row, j] = 2 * centres[k, j] + mapped[i, j] / 8 + 0.3 * x[row, j] }
      }
    }
    return x
  }
}

// MARK: - Janus

/// Weights of the right sizes that say nothing: what drawing takes does not depend on their values.
private struct RandomWeights: WeightSource {
  private let parts: [String: Janus.Configuration.StoredPart]
  private let width: Int

  init(_ c: Janus.Configuration) {
    parts = Dictionary(uniqueKeysWithValues: c.storedParts.map { ($0.name, $0.part) })
    width = c.width
  }

  func shape(of name: String) -> [Int]? { nil }
  func elementTypeName(of name: String) -> String? { nil }
  func only(prefix: String) -> Self { self }
  func read(into module: some Module) {}

  func tensor(_ name: String) throws(PipelineError) -> Tensor {
    guard case .vector(let count) = parts[name] else { throw PipelineError(.badData, "\(name) is no vector") }
    return Tensor(repeating: name.hasSuffix("bias") ? 0 : 1, shape: [count])
  }

  func mapped(_ name: String) throws(PipelineError) -> MappedBytes {
    guard let part = parts[name] else { throw PipelineError(.badData, "there is no \(name)") }
    // One panel or row, over and over: random numbers for all of them would take longer than drawing.
    let pattern: MappedBytes
    switch part {
    case .packed(let part):
      let weight = Tensor.normal([PackedWeight.panelWidth, part.inputs], seed: 0, stream: 0) * 0.02
      let size = PackedWeight.byteCount(outputs: PackedWeight.panelWidth, inputs: part.inputs, as: part.precision)
      pattern = MappedBytes(byteCount: size) { bytes in
        bytes.baseAddress.map { PackedWeight.pack(weight, as: part.precision, into: $0) }
      }
    case .table(_, let columns, let type), .vector(let columns) where type == .float32:
      let row = Tensor.normal([1, columns], seed: 1, stream: 0).cast(to: type)
      pattern = MappedBytes(byteCount: columns * type.size) { bytes in row.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    }
    return MappedBytes(byteCount: part.byteCount) { bytes in
      for start in stride(from: 0, to: bytes.count, by: pattern.byteCount) {
        let count = min(pattern.byteCount, bytes.count - start)
        bytes.baseAddress.map { ($0 + start).copyMemory(from: pattern.pointer, byteCount: count) }
      }
    }
  }
}
