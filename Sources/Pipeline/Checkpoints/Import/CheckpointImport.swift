import ArrayFiles
import Basics
import Decoding
import Foundation
import ImageTokenizers
import NN
import Priors
import TensorCore

/// Makes a checkpoint that draws of a downloaded model: its weights packed in the order in which drawing reads them, once, so that
/// they are mapped and not read when drawing begins.
///
/// ```swift
/// let published = try CheckpointImport(URL(filePath: "Janus-Pro-1B"), as: .int8)
/// try published.write(to: Checkpoint(URL(filePath: "checkpoints/Janus-Pro-1B")), on: ThreadTeam(count: 8))
/// ```
public struct CheckpointImport {
  private let model: PublishedModel

  /// Looks a folder through, its weights excepted.
  /// - Parameters:
  ///   - folder: as it is downloaded, of a model of the Janus family, by the names of the transformers library or DeepSeek's own.
  ///   - precision: what the weights are to be kept as.
  /// - Throws: `PipelineError` of kind `.noInput` where a file is missing, `.badData` where one is damaged, has another shape than
  ///   it must have, or the model is of another family.
  public init(_ folder: URL, as precision: WeightPrecision) throws(PipelineError) {
    model = try PublishedModel(folder: folder, precision: precision)
  }

  /// Tensors that the folder has and that are left out because nobody here knows them.
  public var unknownTensors: [String] { model.unknown }
  /// What there will be, in words.
  public var summary: String { "\(model.prior.summary); \(model.imageTokenizer.layout.summary)" }
  /// The number of bytes of the largest file.
  public var byteCount: Int { model.prior.storedParts.reduce(0) { $0 + $1.part.byteCount } }

  /// Writes the checkpoint, which is there only when all of it is. What an earlier call that was interrupted has written of the
  /// same model is kept, but for the tensor that it was at.
  /// - Parameters:
  ///   - checkpoint: a folder without one, which is made.
  ///   - team: who works.
  ///   - progress: told the share that is done, in 0 ... 1.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where there is a checkpoint already, the folder takes no files or not such large
  ///   ones, `.inputOutput` where the disk is full or fails.
  public func write(
    to checkpoint: Checkpoint, on team: ThreadTeam, progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) {
    try AtomicFile.createDirectory(checkpoint.url)
    let lock = try CheckpointLock(of: checkpoint.url)
    try withExtendedLifetime(lock) { () throws(PipelineError) in
      try checkpoint.finishSaves()
      try checkIsFree(checkpoint)
      // First, because it says where there is no room for the file.
      let writer = try makeWriter(checkpoint.priorFile)
      try writeImageTokenizer(to: checkpoint.imageTokenizerFile)
      let tokenizer = try InputFile.mapped(model.folder.appending(path: "tokenizer.json"))
      try AtomicFile.write(tokenizer, to: checkpoint.vocabularyFile)
      try writePrior(writer, on: team, progress)
      try AtomicFile.write(Data(card.utf8), to: checkpoint.modelCardFile)
      var configuration = CheckpointConfiguration()
      configuration.imageTokenizer = AnyConfiguration(model.imageTokenizer)
      configuration.prior = AnyConfiguration(model.prior)
      configuration.prompt = model.template
      // Last, because a folder without it is no checkpoint.
      try checkpoint.write(configuration)
      try AtomicFile.sync(checkpoint.url)
    }
  }

  /// - Throws: `PipelineError` of kind `.cannotCreate` where the folder holds anything but what an import has left.
  private func checkIsFree(_ checkpoint: Checkpoint) throws(PipelineError) {
    if checkpoint.exists(checkpoint.configurationFile) {
      throw PipelineError(.cannotCreate, "\(checkpoint.url.path) is a checkpoint already; name another folder")
    }
    let prior = checkpoint.priorFile.lastPathComponent
    var own = [
      ".lock", prior, prior + ".partial", prior + ".progress", checkpoint.imageTokenizerFile.lastPathComponent,
      checkpoint.vocabularyFile.lastPathComponent,
    ]
    // The last but one that is written.
    if checkpoint.exists(checkpoint.priorFile) { own.append(checkpoint.modelCardFile.lastPathComponent) }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoint.url.path)) ?? []
    if let other = names.sorted().first(where: { !own.contains($0) && !$0.hasSuffix(".partial") }) {
      throw PipelineError(
        .cannotCreate, "\(checkpoint.url.path) holds \(other), which no import has made; name an empty folder")
    }
  }

  private var card: String {
    """
    # \(model.folder.standardizedFileURL.lastPathComponent)

    Made by `dalle-cli import` of a published model, to draw with: \(summary).

    The weights are their authors', and whoever uses them is bound by the licence that they were published under.

    """
  }

  // MARK: - The image tokenizer

  private func writeImageTokenizer(to file: URL) throws(PipelineError) {
    let prefix = PublishedModel.imageTokenizerPrefix
    var tensors: [NamedTensor] = []
    for published in model.imageTokenizerNames {
      guard let name = VQGAN.name(published: published) else { continue }
      let tensor = try model.tensor(prefix + published)
      tensors.append((name, tensor.shape.count == 4 ? tensor.channelsLast() : tensor))
    }
    try SafeTensors.write(tensors, as: model.prior.precision == .float32 ? .float32 : .bfloat16, to: file)
  }

  // MARK: - The prior

  /// Bytes of float32 weights that are read, packed and written at a time.
  private static let blockSize = 64 << 20

  private func makeWriter(_ file: URL) throws(PipelineError) -> SafeTensorsWriter {
    try SafeTensorsWriter(
      to: file,
      tensors: model.prior.storedParts.map { name, part in
        switch part {
        case .vector(let count): (name, "F32", [count])
        case .table(let rows, let columns, let type): (name, type == .float32 ? "F32" : "BF16", [rows, columns])
        case .packed(let part): (name, "U8", [part.byteCount])
        }
      }, metadata: ["source": try model.fingerprint(), "panels": "\(model.prior.panels)"])
  }

  private func writePrior(
    _ writer: SafeTensorsWriter, on team: ThreadTeam, _ progress: (Double) -> Void
  ) throws(PipelineError) {
    let parts = model.prior.storedParts
    let total = Double(byteCount)
    var done = parts[..<writer.firstMissing].reduce(0) { $0 + $1.part.byteCount }
    for (name, part) in parts[writer.firstMissing...] {
      try write(name, part, on: team) { bytes throws(PipelineError) in
        try writer.append(bytes)
        done += bytes.count
        progress(Double(done) / total)
      }
    }
    try writer.finish()
  }

  private typealias Output = (UnsafeRawBufferPointer) throws(PipelineError) -> Void

  private func write(
    _ name: String, _ part: Janus.Configuration.StoredPart, on team: ThreadTeam, _ output: Output
  ) throws(PipelineError) {
    func write(_ tensor: Tensor) throws(PipelineError) {
      let result: Result<Void, PipelineError> = tensor.withUnsafeBytes { bytes in
        do throws(PipelineError) { return .success(try output(bytes)) } catch { return .failure(error) }
      }
      try result.get()
    }
    switch part {
    case .vector: try write(try model.tensor(source(of: name)[0].name))
    case .table(let rows, let columns, let type):
      let sources = source(of: name)
      let aligner = name == "imageInputs" ? try Aligner(sources.dropFirst().map(\.name), of: model) : nil
      let atOnce = max(1, Self.blockSize / 4 / columns)
      for start in stride(from: 0, to: rows, by: atOnce) {
        let table = try model.rows(sources[0].name, start..<min(rows, start + atOnce))
        try write((aligner.map { $0(table) } ?? table).cast(to: type))
      }
    case .packed(let part):
      let panel = PackedWeight.panelWidth
      let panels = (part.outputs + panel - 1) / panel
      let atOnce = max(1, Self.blockSize / 4 / (panel * part.inputs))
      let panelSize = PackedWeight.byteCount(outputs: panel, inputs: part.inputs, as: part.precision)
      for start in stride(from: 0, to: panels, by: atOnce) {
        let count = min(atOnce, panels - start)
        let block = Storage(byteCount: count * panelSize)
        nonisolated(unsafe) let base = block.base
        _ = try team.throwingMap(count) { i throws(PipelineError) in
          let weight = try panelRows(name, start + i, of: part)
          PackedWeight.pack(weight, as: part.precision, into: base + i * panelSize)
        }
        try output(UnsafeRawBufferPointer(start: base, count: count * panelSize))
      }
    }
  }

  /// The rows of a packed weight's panel.
  /// - Returns: [32 or fewer in the last one, K]
  private func panelRows(_ name: String, _ panel: Int, of part: PackedPart) throws(PipelineError) -> Tensor {
    let width = PackedWeight.panelWidth
    let sources = source(of: name)
    if name.hasSuffix(".gateUp") {
      let first = panel / 2 * width
      return try model.rows(sources[panel % 2].name, first..<first + width)
    }
    // One below the other.
    let range = panel * width..<min(part.outputs, (panel + 1) * width)
    var rows: [Float] = []
    var first = 0
    for source in sources {
      let mine = range.clamped(to: first..<first + source.shape[0])
      if !mine.isEmpty {
        let tensor = try model.rows(source.name, mine.lowerBound - first..<mine.upperBound - first)
        if mine == range { return tensor }
        rows += tensor.scalars
      }
      first += source.shape[0]
    }
    return Tensor(rows, shape: [range.count, part.inputs])
  }

  /// - Precondition: the prior's file has such a part.
  private func source(of name: String) -> [PublishedModel.Source] {
    guard let sources = model.sources[name] else { preconditionFailure("nothing says where \(name) comes from") }
    return sources
  }
}

/// What the language model is given of a code's vector: hidden(gelu(first(vector))) (Wu et al. 2024, section 3.1).
private struct Aligner {
  let first, firstBias, hidden, hiddenBias: Tensor

  /// - Parameter names: of weight and bias of both layers.
  init(_ names: [String], of model: PublishedModel) throws(PipelineError) {
    (first, firstBias) = (try model.tensor(names[0]), try model.tensor(names[1]))
    (hidden, hiddenBias) = (try model.tensor(names[2]), try model.tensor(names[3]))
  }

  func callAsFunction(_ codes: Tensor) -> Tensor {
    linear(linear(codes, weight: first, bias: firstBias).applying(.geluExact), weight: hidden, bias: hiddenBias)
  }
}

extension Tensor {
  /// A published convolution's weight [O, C, KH, KW] as [O, KH, KW, C].
  fileprivate func channelsLast() -> Tensor {
    let (O, C, area) = (shape[0], shape[1], shape[2] * shape[3])
    let from = scalars
    var to = [Float](repeating: 0, count: from.count)
    for o in 0..<O {
      for c in 0..<C { for p in 0..<area { to[(o * area + p) * C + c] = from[(o * C + c) * area + p] } }
    }
    return Tensor(to, shape: [O, shape[2], shape[3], C])
  }
}
