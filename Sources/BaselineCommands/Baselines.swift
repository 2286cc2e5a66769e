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
extension FittingMethod: ExpressibleByArgument {}
extension CovarianceKind: ExpressibleByArgument {}

/// The rungs of the ladder, from one Gaussian to the discrete VAE.
package struct Baselines: ParsableCommand {
  package static let configuration = CommandConfiguration(
    abstract: "Fits, samples, scores and compares the latent-variable models that DALL·E grew out of.",
    subcommands: [
      BaselinesFit.self, BaselinesSample.self, BaselinesScore.self, BaselinesEncode.self, BaselinesVary.self,
      BaselinesCompare.self, BaselinesFigure.self,
    ])

  package init() {}
}

/// The rows that a command of the ladder works on.
struct LadderDataOptions: ParsableArguments {
  @Argument(
    help: """
      A folder of captioned pictures, or a matrix of numbers in a NumPy file, .npy or .npz, a row a point.
      """)
  var data: String

  @Option(help: "Which array of a .npz file that holds several; its array split says 0, 1, 2: train, validation, test.")
  var array: String?
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
      splits: hasArray("split") ? NumPyFile.integers(contentsOf: url, array: "split") : nil,
      allowsMissingValues: allowsMissingValues)
  }

  /// Whether the data are a .npz file that holds such an array beside others.
  func hasArray(_ name: String) throws(PipelineError) -> Bool {
    guard URL(fileURLWithPath: data).pathExtension.lowercased() == "npz" else { return false }
    let names = try NumPyFile.arrayNames(contentsOf: URL(fileURLWithPath: data))
    return names.count > 1 && names.contains(name)
  }

  /// The captioned pictures of a folder.
  func pictures(_ url: URL, size: Int) throws(PipelineError) -> PictureDataSet {
    try Self.pictures(url, size: size, fit: fit, captionColumn: captionColumn, strict: strict)
  }

  /// The same for a command that has not all of these options.
  static func pictures(
    _ url: URL, size: Int, fit: Picture.Fit = .pad, captionColumn: CaptionColumnOptions, strict: Bool = false
  ) throws(PipelineError) -> PictureDataSet {
    try PictureDataSet(
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
    guard (4...256).contains(size) else {
      throw PipelineError(.usage, "--size must be 4 to 256, not \(size)")
    }
    var options = LadderOptions()
    options.components = components
    options.covariance = covariance
    options.latentDimensions = latentDimensions
    options.bound = try length.bound()
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

      Of a folder of pictures, or a matrix with splits, the training split is used, of any other matrix all rows. Models that are learnt by gradients are \
      trained for two minutes unless --steps, --epochs or --minutes say otherwise; so is ppca by EM, where a round is an epoch.
      """)

  @Argument(help: "Which model.") var model: Rung
  @OptionGroup var data: LadderDataOptions
  @OptionGroup var fitting: LadderFitOptions
  @Flag(help: "NaN in a matrix stands for a missing value; for ppca.") var missingValues = false
  @Option(help: "How ppca is fitted: at once, or by expectation maximisation (em), which needs no eigenvectors.")
  var method: FittingMethod?
  @Option(
    parsing: .unconditional,
    help: "Beta of a VAE: what training weighs the divergence of its code by, 1 unless given; more makes codes simpler."
  )
  var klWeight: Double?
  @Option(help: "The safetensors file to write; MODEL.safetensors unless given.") var output: String?
  @Flag(help: "Print what was fitted as JSON.") var json = false

  private struct Report: Encodable {
    var model: Rung
    var output: String
    var rows: Int
    var dimensions: Int
    var parameters: Int
    var seconds: Double
    /// Of these, those of the first stage, of a model that has two.
    var tokenizerSeconds: Double?
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
    (options.method, options.klWeight) = (method, klWeight)
    try options.validate()
    let output = output ?? OutputFile.unusedPath(model.rawValue, ".safetensors")
    let file = try OutputFile.url(output, from: [data.data])
    let rows = try data.open(size: fitting.size, allowsMissingValues: missingValues)
    let part: LadderData.Part = rows.areSplitsGiven ? .train : .all
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
          parameters: fitted.model.parameterCount, seconds: fitted.seconds,
          tokenizerSeconds: fitted.tokenizerSeconds, likelihood: fitted.model.likelihood,
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

struct BaselinesCompare: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Fits the models one after the other on the same data and writes a page that compares them.",
    discussion: """
      Each model that is learnt by gradients is trained for two minutes unless --steps, --epochs or --minutes say otherwise. \
      The page is one HTML file. A matrix whose rows have S×S numbers, S from 8 to 64, all from 0 to 1, to 16 or to 255, is shown as \
      grey pictures. It ends with the text-to-image checkpoint where the data are pictures and there is one.
      """)

  @OptionGroup var data: LadderDataOptions
  @OptionGroup var fitting: LadderFitOptions
  @Option(help: "Which models, with commas between them; all that fit the data unless given.") var models: String?
  @Option(help: "The page to write; ladder.html unless given.") var output: String?
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
    let output = output ?? OutputFile.unusedPath("ladder", ".html")
    let file = try OutputFile.url(output, from: [data.data])
    let rows = try data.open(size: fitting.size)
    var comparison = try LadderComparison(rows, draws: draws, options: options)
    let rungs = chosen ?? Rung.allCases.filter { rows.side != nil || $0.takesMatrices }
    if let rung = rungs.first(where: { rows.side == nil && !$0.takesMatrices }) {
      throw PipelineError(.usage, "\(rung.rawValue) works on pictures, and \(data.data) is a matrix")
    }
    try options.requireUse(by: rungs)
    // Read now, so that a checkpoint that does not do costs none of the rungs' time.
    let dalle = dalle && rows.side != nil ? try readCheckpoint(options) : nil
    for rung in rungs {
      comparison.add(rung)
      if let last = comparison.report.models.last { Console.line(Self.line(last)) }
    }
    if let dalle {
      do throws(PipelineError) {
        try comparison.add(dalle.model, name: dalle.name, pictures: dalle.pictures)
      } catch {
        doWithoutDalle(error)
      }
    }
    try AtomicFile.write(Data(comparison.report.html().utf8), to: file)
    for expectation in comparison.report.expectations where !expectation.isMet {
      Console.note(expectation.explanation)
    }
    if json { try Console.json(Result(output: output, report: comparison.report)) } else { try Console.result(output) }
    // Each row says why; a script is to know it, too.
    guard comparison.report.models.contains(where: { $0.likelihood != nil }) else {
      throw PipelineError(.badData, "no model could be fitted: \(output) says why")
    }
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

  /// What DALL·E's row is made with. Without a checkpoint that was asked for, the page does without.
  private func readCheckpoint(
    _ options: LadderOptions
  ) throws(PipelineError) -> (name: String, model: TextToImageModel, pictures: PictureDataSet)? {
    do throws(PipelineError) {
      let folder = try checkpoint.forReading(needing: \.isComplete).url
      let model = try TextToImageModel(contentsOf: folder, threads: options.threads)
      let pictures = try data.pictures(URL(fileURLWithPath: data.data), size: model.imageTokenizer.pictureSize)
      return (folder.lastPathComponent, model, pictures)
    } catch {
      if checkpoint.name != nil { throw error }
      doWithoutDalle(error)
      return nil
    }
  }

  private func doWithoutDalle(_ error: PipelineError) {
    Console.note("the page ends without DALL·E: \(FlagNames.spelled(error.message))")
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
