import ArgumentParser
import BaselineCommands
import Basics
import CommandSupport
import Decoding
import Foundation
import ImageTokenizers
import LatentModels
import Optimization
import Priors
import TensorCore
import Training

struct Benchmark: ParsableCommand {
  enum Workload: String, ExpressibleByArgument, CaseIterable {
    case priorTraining = "prior-training"
    case priorGeneration = "prior-generation"
    case tokenizerTraining = "tokenizer-training"
    case attention
    case janus
    case mixture, ppca
    case startup
  }

  static let configuration = CommandConfiguration(
    abstract: "Times the program's own work on shapes of one's choice, with random data.")

  @Argument(help: "What to time.") var workload: Workload
  @Option(help: "Width of the prior.") var dim = 384
  @Option(help: "Blocks of the prior.") var layers = 8
  @Option(help: "Attention heads of the prior.") var heads = 6
  @Option(name: .customLong("attention"), help: "What the image tokens of each layer see, as in train-prior.")
  var attentionList = AttentionKind.full.rawValue
  @Option(help: "Text tokens.") var text = 32
  @Option(help: "Image tokens; a square number.") var image = 256
  @Option(help: "Different text tokens.") var textVocab = 4096
  @Option(help: "Different image tokens.") var imageVocab = 1024
  @Option(help: "Pixels a side of a picture, or of a Janus the billions of its parameters: 1b or 7b.") var size = "64"
  @Option(help: "Halvings from pixels to tokens.") var down = 2
  @Option(help: "Channels of the image tokenizer.") var channels = 128
  @Option(help: "Codes of the image tokenizer.") var codes = 1024
  @Option(help: "Dimensions of a code.") var codeDim = 64
  @Option(help: "The image tokenizer's network.") var network = VQVAE.Network.strided
  @Option(
    help: "Pixels a side of a place of the convolutions' grid of a network of patches; that of a token unless given.")
  var convolutionPatch: Int?
  @Option(help: "Codes a place.") var depth = 1
  @Flag(help: "A discriminator learns beside the image tokenizer.") var adversarial = false
  @Option(help: "Rows of the matrix that mixture and ppca are fitted to.") var points = 20_000
  @Option(help: "Columns of that matrix.") var dimensions = 64
  @Option(help: "Components of the mixture.") var components = 10
  @Option(help: "Covariances of the mixture.") var covariance = CovarianceKind.full
  @Option(help: "Iterations of expectation maximisation.") var iterations = 20
  @Option(help: "Latent dimensions of ppca.") var latent = 50
  @Option(help: "Sequences or pictures at once; 16 sequences or 32 pictures unless given.") var batch: Int?
  @Option(help: "Steps or runs to time.") var steps = 6
  @Option(help: "Operands of matrix products in training, and what a Janus keeps its weights as.")
  var precision: WeightPrecision?
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var checkpoint: CheckpointOptions
  @OptionGroup var threads: ThreadOptions

  /// One measurement. Times are medians; `seconds` of generation is the best run, as in the peer.
  struct Report: Encodable {
    var workload: String
    var engine = Engine.name
    var threads: Int
    /// Nil for the classical models, which compute in float64.
    var precision: ElementType?
    /// What a Janus keeps its weights as.
    var weights: WeightPrecision?
    var batch: Int?
    var millisecondsPerStep: Double?
    var seconds: Double?
    var secondsPerImage: Double?
    var tokensPerSecond: Double?
    var imagesPerSecond: Double?
    /// Nats a row, of what was fitted.
    var meanLogLikelihood: Double?
    /// Of the products and convolutions that the model needs, not of all that is done.
    var gflops: Double?
    /// `gflops` against a large matrix product in the same process on the same threads.
    var shareOfGemmPeak: Double?
    /// Of a Janus: until the first token is drawn, and of making pixels of the last.
    var firstTokenSeconds: Double?
    var pixelSeconds: Double?
    /// What this machine's memory gives, and how many numbers it multiplies with weights that are in a cache.
    var gigabytesPerSecond: Double?
    var gigamultiplicationsPerSecond: Double?
    /// What all tokens but the first take at best, and how many times as long they took.
    var floorSeconds: Double?
    var timesFloor: Double?
    var peakResidentBytes = 0
  }

  func run() throws {
    try validateShape()
    let threads = try threads.count()
    let precision = try operandType()
    var report: Report
    switch workload {
    case .priorTraining: report = try priorTraining(threads, precision)
    case .priorGeneration: report = try priorGeneration(threads)
    case .tokenizerTraining: report = try tokenizerTraining(threads, precision)
    case .attention: report = try attention(threads, precision)
    case .janus: report = try janus(threads)
    case .mixture: report = try mixture(threads)
    case .ppca: report = try ppca(threads)
    case .startup: report = try startup(threads)
    }
    if report.peakResidentBytes == 0 { report.peakResidentBytes = Self.peakResidentBytes }
    if json { return try Console.json(report) }
    let lines: [(String, Double?, String)] = [
      ("a step", report.millisecondsPerStep, "ms"), ("in all", report.seconds, "s"),
      ("a picture", report.secondsPerImage, "s"), ("tokens", report.tokensPerSecond, "/s"),
      ("pictures", report.imagesPerSecond, "/s"), ("log-likelihood", report.meanLogLikelihood, "nats a row"),
      ("arithmetic", report.gflops, "GFLOP/s"),
      ("of the GEMM peak", report.shareOfGemmPeak.map { 100 * $0 }, "%"),
      ("the first token", report.firstTokenSeconds, "s"), ("pixels", report.pixelSeconds, "s"),
      ("memory gives", report.gigabytesPerSecond, "GB/s"),
      ("cores multiply", report.gigamultiplicationsPerSecond, "G/s"),
      ("further tokens' floor", report.floorSeconds, "s"), ("times the floor", report.timesFloor, ""),
      ("peak memory", Double(report.peakResidentBytes) / 1e6, "MB"),
    ]
    try Console.result(
      "\(workload.rawValue), \(report.weights?.rawValue ?? report.precision?.rawValue ?? "float64"), \(threads) threads, "
        + report.engine)
    for case (let name, let value?, let unit) in lines {
      let label = name.padding(toLength: 22, withPad: " ", startingAt: 0)
      try Console.result("  \(label)\(String(format: "%.4g", value)) \(unit)")
    }
  }

  private func validateShape() throws(PipelineError) {
    for (name, value) in [
      ("dim", dim), ("layers", layers), ("heads", heads), ("image", image), ("text-vocab", textVocab),
      ("image-vocab", imageVocab), ("channels", channels), ("codes", codes), ("code-dim", codeDim),
      ("batch", batch ?? 1), ("steps", steps), ("points", points), ("dimensions", dimensions),
      ("components", components), ("iterations", iterations), ("latent", latent), ("depth", depth),
      ("convolution-patch", convolutionPatch ?? 1),
    ] where value < 1 || value > 1 << 20 {
      throw PipelineError(.usage, "--\(name) must be 1 to \(1 << 20), not \(value)")
    }
    guard text >= 2 else { throw PipelineError(.usage, "--text must be 2 or more, not \(text)") }
    guard dim % heads == 0 else { throw PipelineError(.usage, "--dim must be a multiple of --heads") }
    guard gridSide * gridSide == image else {
      throw PipelineError(.usage, "--image must be a square number, not \(image)")
    }
    if workload != .janus { _ = try pictureSize() }
    _ = try [AttentionKind](list: attentionList, setting: "--attention")
  }

  /// Pixels a side.
  private func pictureSize() throws(PipelineError) -> Int {
    guard let side = Int(size), (1...1 << 20).contains(side), (0...10).contains(down), side % (1 << down) == 0 else {
      throw PipelineError(.usage, "--size must be a multiple of 2 to the power of --down, not \(size)")
    }
    return side
  }

  private func operandType() throws(PipelineError) -> ElementType {
    guard let precision, workload != .janus else { return Engine.preferredPrecision }
    guard let type = ElementType(rawValue: precision.rawValue) else {
      throw PipelineError(
        .usage, "--precision must be float32 or bfloat16 for \(workload.rawValue), not \(precision.rawValue)")
    }
    return type
  }

  private var gridSide: Int { Int(Double(image).squareRoot().rounded()) }

  private func priorConfiguration() throws(PipelineError) -> TransformerPrior.Configuration {
    var c = TransformerPrior.Configuration()
    c.attention = try [AttentionKind](list: attentionList, setting: "--attention")
    (c.textLength, c.gridSide, c.textVocabulary, c.imageVocabulary) = (text, gridSide, textVocab, imageVocab)
    (c.width, c.layers, c.heads, c.dropout) = (dim, layers, heads, 0)
    return c
  }

  private func priorTraining(_ threads: Int, _ precision: ElementType) throws -> Report {
    let batch = batch ?? 16
    let team = try ThreadTeam(count: min(threads, batch))
    let model = TransformerPrior(try priorConfiguration(), seed: 0)
    let trainer = ReplicaTrainer(AdamW(ParameterStore(model, precision: precision)), team: team)
    var random = Philox(seed: 0, stream: 0)
    let texts = (0..<batch).map { _ in (0..<text).map { _ in Int32(random.index(below: textVocab)) } }
    let images = (0..<batch * image).map { _ in Int32(random.index(below: imageVocab)) }
    let seconds = median(warmUp: 2) {
      _ = trainer.step(learningRate: 3e-4) { replica in
        let range = replica.range(of: batch)
        return model.loss(
          .init(
            texts: Array(texts[range]),
            images: Array(images[range.lowerBound * image..<range.upperBound * image])),
          share: Float(range.count) / Float(batch), precision: precision
        ).total
      }
    }
    // Backward is two products for each one forward.
    let positions = Double(text + image - 1)
    let (width, blocks) = (Double(dim), Double(layers))
    let perSequence =
      positions * blocks * 24 * width * width + attentionOperations(model.configuration)
      + 2 * width * (Double(text - 1) * Double(textVocab) + Double(image) * Double(imageVocab))
    return report(
      team, precision, batch: batch, seconds: seconds, operations: 3 * perSequence * Double(batch),
      tokens: Double(batch * (text + image)))
  }

  /// Multiplications and additions of one sequence's attention in all layers, forward.
  private func attentionOperations(_ c: TransformerPrior.Configuration) -> Double {
    let seen = c.masks.reduce(0) { sum, mask in
      (0..<c.sequenceLength - 1).reduce(sum) { $0 + mask.seenCount(from: $1) }
    }
    return 4 * Double(c.width) * Double(seen)
  }

  /// The attention of all layers alone, forward and backward, without the products that make queries, keys and values.
  private func attention(_ threads: Int, _ precision: ElementType) throws -> Report {
    let batch = batch ?? 16
    let team = try ThreadTeam(count: threads)
    let c = try priorConfiguration()
    let positions = c.sequenceLength - 1
    let inputs = (0..<threads).map { shard in
      let shape = [team.range(of: shard, total: batch).count, positions, 3 * dim]
      return Tensor.normal(shape, seed: 0, stream: UInt64(shard)).cast(to: precision)
    }
    let seconds = median(warmUp: 2) {
      team.run { shard in
        guard inputs[shard].shape[0] > 0 else { return }
        for mask in c.masks {
          _ = valueAndGradient(of: [inputs[shard]]) { TensorCore.attention($0[0], heads: heads, mask: mask).sum() }
        }
      }
    }
    return report(
      team, precision, batch: batch, seconds: seconds, operations: 3 * attentionOperations(c) * Double(batch),
      tokens: Double(batch * positions))
  }

  private func tokenizerTraining(_ threads: Int, _ precision: ElementType) throws -> Report {
    let batch = batch ?? 32
    let team = try ThreadTeam(count: min(threads, batch))
    var c = VQVAE.Configuration()
    (c.network, c.pictureSize, c.patchSize) = (network, try pictureSize(), 1 << down)
    (c.channels, c.blocks, c.codes, c.codeDimensions) = (channels, 2, codes, codeDim)
    (c.convolutionPatchSize, c.depth) = (convolutionPatch, depth)
    try c.validate()
    let size = c.pictureSize
    let model = VQVAE(c, seed: 0)
    let adversary =
      adversarial
      ? AdversarialTraining(team: team, batchSize: batch, learningRate: 3e-4, precision: precision, seed: 0) : nil
    let trainer = ReplicaTrainer(AdamW(ParameterStore(model, precision: precision)), team: team)
    let pictures = Tensor.uniform([batch, size, size, 3], seed: 0, stream: 0)
    let pixels = size * size * 3
    func shard(_ range: Range<Int>) -> Tensor {
      pictures.view(range.lowerBound * pixels..<range.upperBound * pixels, shape: [range.count, size, size, 3])
    }
    var step = 0
    let seconds = median(warmUp: 2) {
      let views = adversary?.views(step: step, side: size)
      let (_, left) = trainer.step(learningRate: 3e-4) { replica in
        let range = replica.range(of: batch)
        let (pictures, share) = (shard(range), Float(range.count) / Float(batch))
        let step = ImageTokenizerStep(precision: precision)
        guard let adversary, let views else {
          let loss = model.loss(pictures, step: step)
          return (loss.total * share, (replica.number, loss.statistics, Tensor?.none))
        }
        let forward = model.forward(pictures, step: step)
        let loss = adversary.loss(model, forward, pictures, share: share, views.judged[range], replica)
        return (loss.total, (replica.number, forward.statistics, loss.reconstruction.pictures.detached()))
      }
      model.finishStep(left.map(\.1), step: step, seed: 0)
      if let adversary, let views {
        let made = left.compactMap { number, _, made in made.map { (number, $0) } }
        adversary.step(shard, Dictionary(uniqueKeysWithValues: made), views)
      }
      step += 1
    }
    return report(
      team, precision, batch: batch, seconds: seconds, operations: nil, tokens: nil, images: Double(batch))
  }

  private func priorGeneration(_ threads: Int) throws -> Report {
    let batch = batch ?? 1
    let team = try ThreadTeam(count: threads)
    let decoder = TransformerDecoder(TransformerPrior(try priorConfiguration(), seed: 0), team: team)
    var sampling = SamplingOptions()
    (sampling.temperature, sampling.topK, sampling.guidance) = (1, 0, 1)
    var random = Philox(seed: 0, stream: 0)
    var best = Double.infinity
    for _ in 0..<max(steps, 3) {
      // Other texts each time: the decoder keeps those that it has read.
      let requests = (0..<batch).map { number in
        DrawingRequest(
          text: (0..<text).map { _ in Int32(random.index(below: textVocab)) }, sampling: sampling, seed: 0,
          number: number)
      }
      best = min(best, measure { _ = decoder.draw(requests, atOnce: batch) })
    }
    return Report(
      workload: workload.rawValue, threads: threads, precision: .bfloat16, batch: batch, seconds: best,
      secondsPerImage: best / Double(batch), tokensPerSecond: Double(batch * image) / best)
  }

  /// `generate --count 1` from a process of its own, its start included.
  private func startup(_ threads: Int) throws -> Report {
    let folder = try checkpoint.forReading(needing: \.isComplete).url
    let output = FileManager.default.temporaryDirectory.appendingPathComponent("startup-\(getpid()).png")
    defer { try? FileManager.default.removeItem(at: output) }
    var failure: Int32 = 0
    let seconds = median(warmUp: 1) {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      process.arguments = [
        "generate", "a tapir made of accordion", "--count", "1", "--threads", "\(threads)", "--checkpoint",
        folder.path, "--output", output.path,
      ]
      process.standardOutput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      do {
        try process.run()
        process.waitUntilExit()
        failure = max(failure, process.terminationStatus)
      } catch { failure = 1 }
    }
    guard failure == 0 else { throw PipelineError(.badData, "generate fails with the checkpoint \(folder.path)") }
    return Report(
      workload: workload.rawValue, threads: threads, precision: .bfloat16, batch: 1, seconds: seconds,
      secondsPerImage: seconds)
  }

  private func report(
    _ team: ThreadTeam, _ precision: ElementType, batch: Int, seconds: Double, operations: Double?, tokens: Double?,
    images: Double? = nil
  ) -> Report {
    let gflops = operations.map { $0 / seconds / 1e9 }
    return Report(
      workload: workload.rawValue, threads: team.count, precision: precision, batch: batch,
      millisecondsPerStep: 1000 * seconds, tokensPerSecond: tokens.map { $0 / seconds },
      imagesPerSecond: images.map { $0 / seconds }, gflops: gflops,
      shareOfGemmPeak: gflops.map { $0 / Self.gemmPeak(team, precision) })
  }

  /// The GFLOP/s of 1024×1024×1024 products, one on each thread: the median of several.
  private static func gemmPeak(_ team: ThreadTeam, _ precision: ElementType) -> Double {
    let n = 1024
    let a = (0..<team.count).map { Tensor.normal([n, n], seed: 0, stream: UInt64($0)).cast(to: precision) }
    let b = (0..<team.count).map { Tensor.normal([n, n], seed: 1, stream: UInt64($0)).cast(to: precision) }
    let repetitions = 4
    let times = (0..<9).map { _ in
      measure {
        team.run { thread in
          for _ in 0..<repetitions { _ = matrixProduct(a[thread], b[thread]) }
        }
      }
    }
    return Double(team.count * repetitions) * 2 * Double(n * n * n) / times.sorted()[times.count / 2] / 1e9
  }

  private func median(warmUp: Int, _ body: () -> Void) -> Double {
    for _ in 0..<warmUp { body() }
    return (0..<steps).map { _ in Self.measure(body) }.sorted()[steps / 2]
  }

  private func measure(_ body: () -> Void) -> Double { Self.measure(body) }

  static func measure(_ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let duration = try clock.measure(body).components
    return Double(duration.seconds) + Double(duration.attoseconds) * 1e-18
  }

  static var peakResidentBytes: Int {
    var usage = rusage()
    #if os(Linux)
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      return usage.ru_maxrss * 1024
    #else
      getrusage(RUSAGE_SELF, &usage)
      return usage.ru_maxrss
    #endif
  }
}

extension VQVAE.Network: ExpressibleByArgument {}
