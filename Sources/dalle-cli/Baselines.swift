import ArgumentParser
import ArrayFiles
import Basics
import CommandSupport
import Datasets
import Foundation
import Generation
import Imaging
import Ladder
import LadderReport
import LatentModels
import LinearAlgebra
import TensorCore

extension Rung: ExpressibleByArgument {}
extension LadderData.Part: ExpressibleByArgument {}

/// The rungs of the ladder, from one Gaussian to the discrete VAE.
struct Baselines: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fits, samples, scores and compares the latent-variable models that DALL·E grew out of.",
    subcommands: [BaselinesFit.self, BaselinesSample.self, BaselinesScore.self, BaselinesCompare.self])
}

/// The rows that a command of the ladder works on.
struct LadderDataOptions: ParsableArguments {
  @Argument(
    help: """
      A folder of captioned pictures, or a matrix of numbers in a NumPy file, .npy or .npz, a row a point.
      """)
  var data: String

  @Option(help: "Which array of a .npz file that holds several.") var array: String?
  @Option(help: "How pictures become square: pad (white) or crop (centre).") var fit: Picture.Fit = .pad
  @OptionGroup var captionColumn: CaptionColumnOptions
  @Flag(help: "A bad picture or caption ends the command instead of being skipped.") var strict = false

  /// - Parameter size: pixels a side that pictures are brought to.
  /// - Throws: `PipelineError` where there is neither.
  func open(size: Int, allowsMissingValues: Bool = false) throws(PipelineError) -> LadderData {
    let url = URL(fileURLWithPath: data)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw PipelineError(.noInput, "there is no \(data)")
    }
    if isFolder.boolValue { return try LadderData(pictures(url, size: size)) }
    guard ["npy", "npz"].contains(url.pathExtension.lowercased()) else {
      throw PipelineError(.badData, "\(data) is neither a folder of pictures nor a .npy or .npz file")
    }
    return try LadderData(
      NumPyFile.matrix(contentsOf: url, array: array), name: url.lastPathComponent,
      allowsMissingValues: allowsMissingValues)
  }

  /// The captioned pictures themselves, nil where the data are a matrix.
  func pictures(_ url: URL, size: Int) throws(PipelineError) -> PictureDataSet {
    guard (4...256).contains(size) else {
      throw PipelineError(.usage, "--size must be 4 to 256, not \(size)")
    }
    return try PictureDataSet(
      contentsOf: url, pictureSize: size, fit: fit, captionColumn: captionColumn.name, strict: strict,
      report: { Console.note($0) })
  }
}

/// How models of the ladder are fitted.
struct LadderFitOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "K, the components of a mixture.") var components: Int?
  @Option(help: "The covariances of a Gaussian or a mixture.") var covariance: CovarianceKind?
  @Option(parsing: .unconditional, help: "Dimensions of the code.") var latentDimensions: Int?
  // Of each model that is learnt by gradients; two minutes unless given.
  @OptionGroup var length: BoundOptions
  @Option(parsing: .unconditional, help: "Rows a step of a model that is learnt by gradients.")
  var batchSize: Int?
  @Option(parsing: .unconditional, help: "Names all random numbers.") var seed: UInt64 = 0
  @Option(parsing: .unconditional, help: "Pictures are box-filtered to this many pixels a side.") var size = 32
  @Option(help: "Operands of matrix products in training; bfloat16 where the CPU is fast at it.")
  var precision: ElementType?
  @OptionGroup var threads: ThreadOptions

  func options() throws(PipelineError) -> LadderOptions {
    var options = LadderOptions()
    options.components = components
    options.covariance = covariance
    options.latentDimensions = latentDimensions
    if let bound = try length.bound() { options.bound = bound }
    options.batchSize = batchSize
    options.seed = seed
    options.threads = try threads.count()
    options.precision = precision ?? Engine.preferredPrecision
    options.progress = { what, share in Console.progress(String(format: "%@ %3.0f%%", what, 100 * share)) }
    try options.validate()
    return options
  }
}

struct BaselinesFit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fit", abstract: "Fits one model and saves it.",
    discussion: """
      Models: \(Rung.allCases.map(\.rawValue).joined(separator: ", ")).

      \(Rung.allCases.map { "\($0.rawValue): \($0.summary)" }.joined(separator: "\n"))

      Of a folder of pictures the training split is used, of a matrix all rows. Models that are learnt by gradients are \
      trained for two minutes unless --steps, --epochs or --minutes say otherwise.
      """)

  @Argument(help: "Which model.") var model: Rung
  @OptionGroup var data: LadderDataOptions
  @OptionGroup var fitting: LadderFitOptions
  @Flag(help: "NaN in a matrix stands for a missing value; for ppca.") var missingValues = false
  @Option(help: "The safetensors file to write; MODEL.safetensors unless given.") var output: String?
  @Flag(help: "Print what was fitted as JSON.") var json = false

  private struct Report: Encodable {
    var model: Rung
    var output: String
    var rows: Int
    var dimensions: Int
    var parameters: Int
    var seconds: Double
    var likelihood: LikelihoodKind
    /// Of ``measuredRows`` of the rows that the model was fitted on, nats a row. Nil where values are missing.
    var meanLogLikelihood: Double?
    var measuredRows: Int
    var bitsPerDimension: Double?
    var notes: [String]
  }

  func run() throws {
    var options = try fitting.options()
    options.allowsMissingValues = missingValues
    let output = output ?? "\(model.rawValue).safetensors"
    let file = try OutputFile.url(output)
    let rows = try data.open(size: fitting.size, allowsMissingValues: missingValues)
    let part: LadderData.Part = rows.side == nil ? .all : .train
    let x = try rows.matrix(of: part)
    let fitted = try model.fit(x, side: rows.side, options: options)
    try fitted.model.write(to: file)
    for note in fitted.notes { Console.note(FlagNames.spelled(note)) }
    // A few hundred rows tell the mean well enough, and a bound of many rows takes its time.
    let measured = fitted.model.likelihood == .exact ? x : x.spread(over: 512)
    let likelihood =
      fitted.model.likelihood == .none || measured.elements.contains(where: \.isNaN)
      ? nil : try fitted.model.logLikelihood(measured, seed: options.seed).mean
    let bits =
      rows.side == nil
      ? nil : likelihood.map { LadderData.bitsPerDimension(meanLogLikelihood: $0, dimensions: x.columns) }
    if json {
      return try Console.json(
        Report(
          model: model, output: output, rows: x.rows, dimensions: x.columns,
          parameters: fitted.model.parameterCount, seconds: fitted.seconds, likelihood: fitted.model.likelihood,
          meanLogLikelihood: likelihood, measuredRows: measured.rows, bitsPerDimension: bits, notes: fitted.notes))
    }
    let what =
      (fitted.model.likelihood == .exact ? "log-likelihood" : "bound of the log-likelihood")
      + (measured.rows < x.rows ? " of \(measured.rows) of them" : "")
    Console.line(
      String(
        format: "%d rows of %d, %d parameters, %.1f s", x.rows, x.columns, fitted.model.parameterCount, fitted.seconds)
        + (likelihood.map { String(format: "; mean %@ %.4f nats a row", what, $0) } ?? "")
        + (bits.map { String(format: ", %.3f bits a dimension", $0) } ?? ""))
    try Console.result(output)
  }
}

struct BaselinesSample: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample", abstract: "Draws from a model: a PNG of pictures, or a .npy matrix.")

  @Argument(help: "A file that baselines fit has written.") var modelFile: String
  @Option(parsing: .unconditional, help: "How many rows or pictures.") var count = 64
  @Option(parsing: .unconditional, help: "Of a mixture or a Gaussian-mixture VAE: draw from this component, from 0.")
  var component: Int?
  @Option(parsing: .unconditional, help: "Names the random numbers; row i of a seed is always the same.")
  var seed: UInt64 = 0
  @Option(help: "What to write; its ending, .png or .npy, says which. samples.npy unless given.") var output: String?
  @Option(parsing: .unconditional, help: "Pictures in a row of the PNG.") var columns = 8
  @Option(parsing: .unconditional, help: "Each pixel becomes this many pixels a side.") var scale = 2
  @Flag(help: "Print what was written as JSON.") var json = false

  private struct Report: Encodable {
    var model: Rung
    var output: String
    var count: Int
    var dimensions: Int
    var seed: UInt64
  }

  func run() throws {
    guard (1...100_000).contains(count) else {
      throw PipelineError(.usage, "--count must be 1 to 100000, not \(count)")
    }
    guard (1...1024).contains(columns) else {
      throw PipelineError(.usage, "--columns must be 1 to 1024, not \(columns)")
    }
    guard (1...64).contains(scale) else { throw PipelineError(.usage, "--scale must be 1 to 64, not \(scale)") }
    let stored = try LadderFile(contentsOf: URL(fileURLWithPath: modelFile))
    let output = output ?? "samples.npy"
    let file = try OutputFile.url(output)
    func draw() throws(PipelineError) -> Matrix {
      guard let component else { return try stored.model.sample(count, seed: seed) }
      return try stored.clusteringModel().sample(count, component: component, seed: seed)
    }
    switch file.pathExtension.lowercased() {
    case "png":
      let side = try stored.pictureSide()
      try PictureSize.check(count: count, side: side, scale: scale)
      let pictures = try draw().pictures(side: side)
      try Picture.grid(pictures.map { $0.enlarged(by: scale) }, columns: columns).write(to: file)
    case "npy": try NumPyWriter.write(draw(), to: file)
    default: throw PipelineError(.usage, "--output must end in .png or .npy, which \(output) does not")
    }
    if json {
      return try Console.json(
        Report(
          model: stored.rung, output: output, count: count, dimensions: stored.model.dimensions, seed: seed))
    }
    try Console.result(output)
  }
}

struct BaselinesScore: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score", abstract: "Measures how probable a model holds data.")

  @Argument(help: "A file that baselines fit has written.") var modelFile: String
  @OptionGroup var data: LadderDataOptions
  @Option(
    name: .customLong("split"),
    help: """
      Which rows; of pictures held-out (validation and test) unless given, of a matrix all. In a matrix, one row in ten \
      counts as test.
      """)
  var part: LadderData.Part?
  @Option(parsing: .unconditional, help: "Names the random numbers of bounds that are estimated by drawing.")
  var seed: UInt64 = 0
  @Option(
    help: """
      Of a mixture or a Gaussian-mixture VAE: a .npy file with a number for each row of the data, equal for rows of one \
      class; how well components meet classes is measured.
      """)
  var labels: String?
  @Flag(help: "Print JSON.") var json = false

  private struct Report: Encodable {
    var model: Rung
    var data: String
    var split: LadderData.Part
    var rows: Int
    var dimensions: Int
    var likelihood: LikelihoodKind
    var meanLogLikelihood: Double
    var bitsPerDimension: Double?
    var clusteringAccuracy: Double?
  }

  func run() throws {
    let stored = try LadderFile(contentsOf: URL(fileURLWithPath: modelFile))
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: data.data, isDirectory: &isFolder)
    let rows = try data.open(size: isFolder.boolValue ? stored.pictureSide() : 0)
    let part = part ?? (rows.side == nil ? .all : .heldOut)
    let x = try rows.matrix(of: part)
    var accuracy: Double?
    if let labels {
      let classes = try NumPyFile.integers(contentsOf: URL(fileURLWithPath: labels))
      guard classes.count == rows.rows.rows else {
        throw PipelineError(
          .badData, "\(labels) has \(classes.count) labels for the \(rows.rows.rows) rows of \(data.data)")
      }
      accuracy = try clusteringAccuracy(
        clusters: stored.clusteringModel().cluster(x), labels: rows.indices(of: part).map { classes[$0] })
    }
    let likelihood = try stored.model.logLikelihood(x, seed: seed).mean
    let report = Report(
      model: stored.rung, data: data.data, split: part, rows: x.rows, dimensions: x.columns,
      likelihood: stored.model.likelihood, meanLogLikelihood: likelihood,
      bitsPerDimension: rows.side.map { _ in
        LadderData.bitsPerDimension(meanLogLikelihood: likelihood, dimensions: x.columns)
      }, clusteringAccuracy: accuracy)
    if json { return try Console.json(report) }
    try Console.result("\(report.model.rawValue) on \(data.data), \(part.rawValue), \(x.rows) rows of \(x.columns)")
    let kind = report.likelihood == .exact ? "exact" : "a lower bound"
    try Console.result(String(format: "  mean log-likelihood   %.6f nats a row (%@)", likelihood, kind))
    if let bits = report.bitsPerDimension {
      try Console.result(String(format: "  bits a dimension      %.4f", bits))
    }
    if let accuracy { try Console.result(String(format: "  clustering accuracy   %.1f%%", 100 * accuracy)) }
  }
}

struct BaselinesCompare: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Fits the models one after the other on the same data and writes a page that compares them.",
    discussion: """
      Each model that is learnt by gradients is trained for two minutes unless --steps, --epochs or --minutes say otherwise. \
      The page is one HTML file. It ends with the text-to-image checkpoint where the data are pictures and there is one.
      """)

  @OptionGroup var data: LadderDataOptions
  @OptionGroup var fitting: LadderFitOptions
  @Option(help: "Which models, with commas between them; all that fit the data unless given.") var models: String?
  @Option(help: "The page to write.") var output = "ladder.html"
  @Option(parsing: .unconditional, help: "Draws from each model for the Fréchet distance.") var draws = 512
  @Flag(inversion: .prefixedNo, help: "End with DALL·E's own row from a checkpoint.") var dalle = true
  @Flag(help: "Print the figures as JSON.") var json = false
  @OptionGroup var checkpoint: CheckpointOptions

  func run() throws {
    guard (8...10_000).contains(draws) else {
      throw PipelineError(.usage, "--draws must be 8 to 10000, not \(draws)")
    }
    let options = try fitting.options()
    let chosen = try chosenModels()
    let file = try OutputFile.url(output)
    let rows = try data.open(size: fitting.size)
    var comparison = try LadderComparison(rows, draws: draws, options: options)
    let rungs = chosen ?? Rung.allCases.filter { rows.side != nil || $0.takesMatrices }
    if let rung = rungs.first(where: { rows.side == nil && !$0.takesMatrices }) {
      throw PipelineError(.usage, "\(rung.rawValue) works on pictures, and \(data.data) is a matrix")
    }
    for rung in rungs {
      comparison.add(rung)
      if let last = comparison.report.models.last { Console.line(Self.line(last)) }
    }
    if dalle, rows.side != nil { try addCheckpoint(to: &comparison, options) }
    try AtomicFile.write(Data(comparison.report.html().utf8), to: file)
    for expectation in comparison.report.expectations where !expectation.isMet {
      Console.note(expectation.explanation)
    }
    if json { return try Console.json(Result(output: output, report: comparison.report)) }
    try Console.result(output)
  }

  private struct Result: Encodable {
    var output: String
    var report: LadderReport

    enum CodingKeys: String, CodingKey { case output }

    func encode(to encoder: any Encoder) throws {
      try report.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(output, forKey: .output)
    }
  }

  private func chosenModels() throws(PipelineError) -> [Rung]? {
    guard let models else { return nil }
    var rungs: [Rung] = []
    for name in models.split(separator: ",") {
      guard let rung = Rung(rawValue: name.trimmingCharacters(in: .whitespaces)) else {
        throw PipelineError(
          .usage,
          "--models: there is no model \"\(name)\"; there are \(Rung.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      if !rungs.contains(rung) { rungs.append(rung) }
    }
    guard !rungs.isEmpty else { throw PipelineError(.usage, "--models names no model") }
    return rungs
  }

  /// DALL·E's row. Without a checkpoint that was asked for, the page does without.
  private func addCheckpoint(to comparison: inout LadderComparison, _ options: LadderOptions) throws(PipelineError) {
    let folder: URL
    do throws(PipelineError) {
      folder = try checkpoint.forReading(needing: \.isComplete).url
    } catch {
      if checkpoint.name != nil { throw error }
      return Console.note("the page ends without DALL·E: \(FlagNames.spelled(error.message))")
    }
    let model = try TextToImageModel(contentsOf: folder, threads: options.threads)
    let pictures = try data.pictures(URL(fileURLWithPath: data.data), size: model.imageTokenizer.pictureSize)
    try comparison.add(model, name: folder.lastPathComponent, pictures: pictures)
  }

  private static func line(_ rung: RungReport) -> String {
    guard let distance = rung.frechetDistance else {
      return "\(rung.model.rawValue): \(rung.notes.joined(separator: " "))"
    }
    let likelihood = rung.meanLogLikelihood.map { String(format: "%.3f nats a row, ", $0) } ?? ""
    let bits = rung.bitsPerDimension.map { String(format: "%.3f bits a dimension, ", $0) } ?? ""
    return String(
      format: "%@: %@%@Fréchet distance %.3f, %d parameters, %.1f s", rung.model.rawValue, likelihood, bits, distance,
      rung.parameters, rung.seconds)
  }
}
