import Basics
import Decoding
import ImageTokenizers
import LatentModels
import LinearAlgebra
import NN
import Priors
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

extension Benchmark {
  /// How large published models of the family are.
  enum JanusSize: String, CaseIterable {
    case oneBillion = "1b"
    case sevenBillion = "7b"

    var configuration: Janus.Configuration {
      var c = Janus.Configuration()
      if self == .sevenBillion {
        (c.width, c.layers, c.heads, c.keyHeads, c.feedForwardWidth) = (4096, 30, 32, 32, 11008)
      }
      return c
    }
  }

  /// One drawing of `batch` pictures with guidance, beside what the machine would take at best: the time of the bytes that are read or
  /// of the multiplications, whichever is longer, at the speed of both that is measured in the same process.
  func janus(_ threads: Int) throws -> Report {
    let team = try ThreadTeam(count: threads)
    let batch = batch ?? 1
    let (prior, imageTokenizer) = try janusModels()
    let c = prior.configuration
    let decoder = JanusDecoder(prior, team: team)
    let session = DrawingSession(decoder, capacity: batch)
    var random = Philox(seed: 0, stream: 0)
    let prompt =
      [c.beginningOfText] + (0..<text).map { _ in Int32(random.index(below: c.textVocabulary)) } + [c.beginningOfImage]
    for number in 0..<batch {
      session.join(DrawingRequest(text: prompt, sampling: prior.sampling, seed: 0, number: number))
    }
    let limits = MachineLimits(of: c.precision, on: team)
    var tokens: [[Int32]] = []
    func next() { tokens = session.next().map(\.tokens) }
    var report = Report(workload: workload.rawValue, threads: threads, batch: batch)
    let first = Self.measure(next)
    var rest = 0.0
    while !session.isEmpty {
      // Beside others on a machine memory is fast at one moment and slow at the next: it is measured all along.
      if tokens[0].count % 32 == 1 { limits.measureMemory() }
      rest += Self.measure(next)
    }
    var pixels = 0.0
    if let imageTokenizer {
      let decode = { for tokens in tokens { _ = imageTokenizer.decode(tokens, on: team) } }
      // Once more, because the first time kernels are made for the shapes.
      if batch == 1 { decode() }
      pixels = Self.measure(decode)
    }
    report.weights = c.precision
    report.firstTokenSeconds = first
    report.millisecondsPerStep = 1000 * rest / Double(c.imageLength - 1)
    report.pixelSeconds = pixels
    report.seconds = first + rest + pixels
    report.secondsPerImage = (first + rest + pixels) / Double(batch)
    report.peakResidentBytes = Self.peakResidentBytes - MachineLimits.memorySize
    // Each step reads all keys and values of both sequences, and the whole of the weights once.
    let positions = (1..<c.imageLength).reduce(0) { $0 + prompt.count + $1 }
    let cacheBytes = 2 * batch * positions * c.layers * 2 * c.keyHeads * c.headWidth * c.elementType.size
    let steps = Double(c.imageLength - 1)
    let reading = (steps * Double(c.bytesPerToken) + Double(cacheBytes)) / limits.bytesPerSecond
    let rate = limits.multiplicationsPerSecond(rows: 2 * batch)
    let multiplying = steps * Double(2 * batch * c.multiplicationsPerToken) / rate
    report.gigabytesPerSecond = limits.bytesPerSecond / 1e9
    report.gigamultiplicationsPerSecond = rate / 1e9
    report.floorSeconds = max(reading, multiplying)
    report.timesFloor = rest / max(reading, multiplying)
    return report
  }

  /// The checkpoint that is named, or a model with random weights in memory.
  private func janusModels() throws -> (Janus, VQGAN?) {
    if checkpoint.name != nil {
      let checkpoint = try checkpoint.forReading(needing: \.isComplete)
      let configuration = try checkpoint.readConfiguration()
      guard let prior = try checkpoint.readPrior(configuration) as? Janus else {
        throw PipelineError(.usage, "\(checkpoint.url.path) is no Janus")
      }
      return (prior, try checkpoint.readImageTokenizer(configuration) as? VQGAN)
    }
    guard let size = JanusSize(rawValue: size) else {
      throw PipelineError(
        .usage, "--size must be \(JanusSize.allCases.map(\.rawValue).joined(separator: " or ")) for janus, not \(size)")
    }
    var c = size.configuration
    c.precision = precision ?? .bfloat16
    c.textVocabulary = c.textVocabulary + 600
    return (
      try Janus(c, reading: RandomWeights(c)), VQGAN(VQGAN.Configuration(), Initializer(seed: 0))
    )
  }
}

/// What a machine does at best with weights that are read anew for every token.
private final class MachineLimits {
  private let precision: WeightPrecision
  private let team: ThreadTeam
  private let memory: MappedBytes
  private let sums: [Tensor]
  private var secondsPerByte: [Double] = []

  /// Larger than caches.
  static let memorySize = 1 << 28

  init(of precision: WeightPrecision, on team: ThreadTeam) {
    (self.precision, self.team) = (precision, team)
    memory = MappedBytes(byteCount: Self.memorySize) { $0.initializeMemory(as: UInt8.self, repeating: 1) }
    sums = (0..<team.count).map { _ in Tensor.zeros([1]) }
  }

  /// Times the best of three readings.
  func measureMemory() {
    let (memory, sums, team) = (memory, sums, team)
    let seconds = (0..<3).map { _ in
      Benchmark.measure {
        team.run { thread in
          let range = team.range(of: thread, total: Self.memorySize, multiple: 4096)
          PackedWeight.touch(memory.pointer + range.lowerBound, byteCount: range.count, into: sums[thread])
        }
      }
    }
    secondsPerByte.append((seconds.min() ?? .infinity) / Double(Self.memorySize))
  }

  /// The mean of what was measured.
  var bytesPerSecond: Double { Double(secondsPerByte.count) / secondsPerByte.reduce(0, +) }

  /// With a weight that stays in each core's cache: the best of several runs.
  /// - Parameter rows: of a step.
  func multiplicationsPerSecond(rows: Int) -> Double {
    let (N, K, repetitions) = (256, 1024, 200)
    let weight = PackedWeight(weight: .normal([N, K], seed: 0, stream: 0), bias: nil, as: precision)
    let x = (0..<team.count).map { _ in Tensor.normal([rows, K], seed: 1, stream: 0) }
    let y = (0..<team.count).map { _ in Tensor.zeros([rows, N]) }
    let best =
      (0..<5).map { _ in
        Benchmark.measure {
          team.run { thread in
            for _ in 0..<repetitions { weight.multiply(x[thread], rows: rows, into: y[thread], range: 0..<N) }
          }
        }
      }.min() ?? .infinity
    return Double(repetitions * team.count * rows * N * K) / best
  }
}

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
    case .vector: throw PipelineError(.badData, "\(name) is a vector")
    case .table(_, let columns, let type):
      let row = Tensor.normal([1, columns], seed: 1, stream: 0).cast(to: type)
      pattern = MappedBytes(byteCount: columns * type.size) { bytes in
        row.withUnsafeBytes { bytes.copyMemory(from: $0) }
      }
    }
    return MappedBytes(byteCount: part.byteCount) { bytes in
      for start in stride(from: 0, to: bytes.count, by: pattern.byteCount) {
        let count = min(pattern.byteCount, bytes.count - start)
        bytes.baseAddress.map { ($0 + start).copyMemory(from: pattern.pointer, byteCount: count) }
      }
    }
  }
}
