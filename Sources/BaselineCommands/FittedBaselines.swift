import ArgumentParser
import ArrayFiles
import Basics
import CommandSupport
import Foundation
import Imaging
import Ladder
import LadderReport
import LatentModels
import LinearAlgebra

// What can be done with a model that baselines fit has written.

extension LadderDataOptions {
  /// The data, pictures in the size that a model was fitted to.
  fileprivate func open(for stored: LadderFile) throws(PipelineError) -> LadderData {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: data, isDirectory: &isFolder)
    return try open(size: isFolder.boolValue ? stored.pictureSide() : 0)
  }
}

struct BaselinesSample: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample", abstract: "Draws from a model: a PNG of pictures, or a .npy matrix.",
    discussion: """
      Rows of S×S×3 numbers are shown as pictures in color, rows of S×S numbers, S from 8 to 64, as grey ones: of 0 to 1, of 0 to \
      16 where one number in twenty is above 2, of 0 to 255 where one is above 32.
      """)

  @Argument(help: "A file that baselines fit has written.") var modelFile: String
  @Option(parsing: .unconditional, help: "How many rows or pictures.") var count = 64
  @Option(parsing: .unconditional, help: "Of a mixture or a Gaussian-mixture VAE: draw from this component, from 0.")
  var component: Int?
  @Option(
    parsing: .unconditional,
    help: """
      Of a hierarchical VAE: the deviations of its priors times this; below 1, draws are likelier and less varied. Means are \
      shown, without the noise of single pixels.
      """)
  var temperature: Float?
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
    let output = output ?? OutputFile.unusedPath("samples", ".npy")
    let file = try OutputFile.url(output, from: [modelFile])
    func draw() throws(PipelineError) -> Matrix {
      if let temperature {
        guard let model = stored.model as? HierarchicalVAE else {
          throw PipelineError(
            .usage, "--temperature is for a hierarchical VAE, and \(modelFile) is a \(stored.rung.rawValue)")
        }
        guard component == nil else { throw PipelineError(.usage, "a hierarchical VAE has no components") }
        guard temperature >= 0 && temperature.isFinite else {
          throw PipelineError(.usage, "--temperature must be 0 or above, not \(temperature)")
        }
        return try model.sample(
          count, seed: seed, temperatures: Array(repeating: temperature, count: model.configuration.levels),
          showsMeans: true)
      }
      guard let component else { return try stored.model.sample(count, seed: seed) }
      return try stored.clusteringModel().sample(count, component: component, seed: seed)
    }
    switch file.pathExtension.lowercased() {
    case "png":
      let side = try RowPictures.greySide(stored.model.dimensions) ?? stored.pictureSide()
      try PictureSize.check(count: count, side: side, scale: scale)
      let draws = try draw()
      let pictures = (RowPictures(greyDraws: draws) ?? RowPictures(side: side))(draws)
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
    commandName: "score", abstract: "Measures how probable a model holds data.",
    discussion: """
      Of a VAE of any kind also by K = 1, 10 and 100 draws of the code for each row, the importance-weighted bound that papers report, \
      on at most 256 of the rows; and what comes back of rows that pass through the latent variable.
      """)

  @Argument(help: "A file that baselines fit has written.") var modelFile: String
  @OptionGroup var data: LadderDataOptions
  @Option(
    name: .customLong("split"),
    help: """
      Which rows; held-out (validation and test) unless given, of a matrix without splits all. In such a matrix, one row \
      in ten counts as test.
      """)
  var part: LadderData.Part?
  @Option(parsing: .unconditional, help: "Names the random numbers of bounds that are estimated by drawing.")
  var seed: UInt64 = 0
  @Option(
    help: """
      Of a mixture or a Gaussian-mixture VAE: a .npy file, or an array of the data's own .npz file, with a number for each \
      row of the data, equal for rows of one class; how well components meet classes is measured.
      """)
  var labels: String?
  @OptionGroup var threads: ThreadOptions
  @Option(
    help: ArgumentHelp(
      """
      Of a model with one code for a row: arrays of the data's .npz file, with commas between them, with a number for each \
      row; how well one number of the code alone follows each is measured, by their correlation.
      """, valueName: "list"))
  var attributes: String?
  @Flag(help: "Print JSON.") var json = false

  private struct Report: Encodable {
    var model: Rung
    var data: String
    var split: LadderData.Part
    var rows: Int
    var dimensions: Int
    var likelihood: LikelihoodKind
    /// Nil of a model without a likelihood.
    var meanLogLikelihood: Double?
    var bitsPerDimension: Double?
    /// Of at most 256 of the rows, evenly spread, as what follows.
    var importanceWeighted: [ImportanceWeightedFigure]?
    var reconstructionError: Double
    var lossTerms: [LossTerm]?
    var clusteringAccuracy: Double?
    /// By the attribute's name, the correlation with each number of the code.
    var correlations: [String: [Double]]?
  }

  /// The labels of all rows.
  private func classes(_ labels: String) throws(PipelineError) -> [Int] {
    if try data.hasArray(labels) {
      return try NumPyFile.integers(contentsOf: URL(fileURLWithPath: data.data), array: labels)
    }
    return try NumPyFile.integers(contentsOf: URL(fileURLWithPath: labels))
  }

  /// The attributes' correlations with each number of the rows' codes.
  private func correlations(
    _ stored: LadderFile, _ x: Matrix, _ indices: [Int], rowCount: Int
  ) throws(PipelineError) -> [(name: String, values: [Double])]? {
    guard let attributes else { return nil }
    guard let codes = try (stored.model as? any EncodingModel)?.codes(x) else {
      throw PipelineError(.usage, "\(modelFile) is a \(stored.rung.rawValue), which has no code of a row")
    }
    var found: [(String, [Double])] = []
    for name in attributes.split(separator: ",").map(String.init) {
      let values = try NumPyFile.column(contentsOf: URL(fileURLWithPath: data.data), array: name)
      guard values.count == rowCount else {
        throw PipelineError(.badData, "\(name) has \(values.count) numbers for the \(rowCount) rows of \(data.data)")
      }
      do throws(PipelineError) {
        found.append((name, try attributeCorrelations(codes: codes, attribute: indices.map { values[$0] })))
      } catch {
        throw PipelineError(error.kind, "\(name): \(error.message)")
      }
    }
    return found
  }

  func run() throws {
    let threads = try threads.count()
    let stored = try LadderFile(contentsOf: URL(fileURLWithPath: modelFile), threads: threads)
    let rows = try data.open(for: stored)
    let part = part ?? (rows.areSplitsGiven ? .heldOut : .all)
    let x = try rows.matrix(of: part)
    var accuracy: Double?
    if let labels {
      let classes = try classes(labels)
      guard classes.count == rows.rows.rows else {
        throw PipelineError(
          .badData, "\(labels) has \(classes.count) labels for the \(rows.rows.rows) rows of \(data.data)")
      }
      accuracy = try clusteringAccuracy(
        clusters: stored.clusteringModel().cluster(x), labels: rows.indices(of: part).map { classes[$0] })
    }
    let correlations = try correlations(
      stored, x, rows.indices(of: part), rowCount: rows.rows.rows)
    let likelihood =
      stored.model.likelihood == .none ? nil : try stored.model.logLikelihood(x, seed: seed).mean
    let report = Report(
      model: stored.rung, data: data.data, split: part, rows: x.rows, dimensions: x.columns,
      likelihood: stored.model.likelihood, meanLogLikelihood: likelihood,
      bitsPerDimension: rows.side == nil
        ? nil : likelihood.map { LadderData.bitsPerDimension(meanLogLikelihood: $0, dimensions: x.columns) },
      importanceWeighted: try ImportanceWeightedFigure.figures(
        of: stored.model, x, arePictures: rows.side != nil, seed: seed, threads: threads),
      reconstructionError: try stored.model.reconstructionError(x.spread(over: ImportanceWeightedFigure.mostRows)),
      lossTerms: try LossTerm.terms(of: stored.model, x), clusteringAccuracy: accuracy,
      correlations: correlations.map { Dictionary($0.map { ($0.name, $0.values) }, uniquingKeysWith: { $1 }) })
    if json { return try Console.json(report) }
    try Console.result("\(report.model.rawValue) on \(data.data), \(part.rawValue), \(x.rows) rows of \(x.columns)")
    if let likelihood {
      let kind = report.likelihood == .exact ? "exact" : "a lower bound"
      try Console.result(String(format: "  mean log-likelihood   %.6f nats a row (%@)", likelihood, kind))
    }
    if let bits = report.bitsPerDimension {
      try Console.result(String(format: "  bits a dimension      %.4f", bits))
    }
    for figure in report.importanceWeighted ?? [] {
      let name = "by K = \(figure.samples)".padding(toLength: 22, withPad: " ", startingAt: 0)
      let bits = figure.bitsPerDimension.map { String(format: ", %.4f bits a dimension", $0) } ?? ""
      try Console.result(
        String(format: "  %@%.6f nats a row%@, of %d rows", name, figure.meanLogLikelihood, bits, figure.rows))
    }
    try Console.result(String(format: "  reconstruction error  %.6f, a mean square", report.reconstructionError))
    for term in report.lossTerms ?? [] { try Console.result(String(format: "    %@  %.6f", term.name, term.mean)) }
    if let accuracy { try Console.result(String(format: "  clustering accuracy   %.1f%%", 100 * accuracy)) }
    for (name, values) in correlations ?? [] {
      guard let best = values.indices.max(by: { abs(values[$0]) < abs(values[$1]) }) else { continue }
      let what = "correlation of \(name)".padding(toLength: max(21, name.count + 15), withPad: " ", startingAt: 0)
      try Console.result("  \(what) \(String(format: "%.3f", values[best])) with number \(best) of the code")
    }
  }
}

struct BaselinesEncode: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode",
    abstract: "Tells the latent variables of data: a .npz of arrays, a row for each of the data's.",
    discussion: """
      A mixture gives responsibilities and the most probable component, probabilistic PCA and the VAEs mean and variance of \
      each code, an auto-encoder its code, a hierarchical VAE the means of each level, and models of tokens the tokens of each \
      grid. Rows stand in the data's order: pictures in that of their files' names.
      """)

  @Argument(help: "A file that baselines fit has written.") var modelFile: String
  @OptionGroup var data: LadderDataOptions
  @Option(
    name: .customLong("split"), help: "Which rows; all unless given. In a matrix, one row in ten counts as test.")
  var part = LadderData.Part.all
  @Option(help: "The .npz file to write; codes.npz unless given.") var output: String?
  @Flag(help: "Print what was written as JSON.") var json = false

  private struct Report: Encodable {
    var model: Rung
    var output: String
    var rows: Int
    /// The numbers of a row, by the array's name.
    var arrays: [String: Int]
  }

  func run() throws {
    let stored = try LadderFile(contentsOf: URL(fileURLWithPath: modelFile))
    guard let model = stored.model as? any EncodingModel else {
      throw PipelineError(.usage, "\(modelFile) is a \(stored.rung.rawValue), which has no latent variable")
    }
    let output = output ?? OutputFile.unusedPath("codes", ".npz")
    let file = try OutputFile.url(output, ending: "npz", from: [modelFile, data.data])
    let x = try data.open(for: stored).matrix(of: part)
    let arrays = try model.latentArrays(x)
    try NumPyWriter.write(
      arrays.map { ($0.name, NumPyWriter.data(of: $0.values, asIntegers: $0.areIntegers)) }, to: file)
    if json {
      return try Console.json(
        Report(
          model: stored.rung, output: output, rows: x.rows,
          arrays: Dictionary(uniqueKeysWithValues: arrays.map { ($0.name, $0.values.columns) })))
    }
    for array in arrays { Console.line("\(array.name): \(array.values.rows)×\(array.values.columns)") }
    try Console.result(output)
  }
}

struct BaselinesVary: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vary", abstract: "Shows what single numbers of a Gaussian-mixture VAE's code do: a PNG.",
    discussion: """
      Below each other the components, beside each other the numbers of the code. Each block has a line of pixels for each \
      step from two deviations below the component's mean to two above it: the decoded row, from black for -2.5 to white for \
      2.5.
      """)

  @Argument(help: "A file that baselines fit has written.") var modelFile: String
  @Option(help: "Which numbers of the code, from 0, with commas between them.") var latents: String
  @Option(parsing: .unconditional, help: "Lines of a block.") var steps = 9
  @Option(parsing: .unconditional, help: "Each number becomes this many pixels a side.") var scale = 4
  @Option(help: "The PNG to write; varied.png unless given.") var output: String?

  func run() throws {
    let stored = try LadderFile(contentsOf: URL(fileURLWithPath: modelFile))
    guard let model = stored.model as? GaussianMixtureVAE else {
      throw PipelineError(.usage, "\(modelFile) is a \(stored.rung.rawValue), and no Gaussian-mixture VAE")
    }
    guard (2...256).contains(steps) else { throw PipelineError(.usage, "--steps must be 2 to 256, not \(steps)") }
    guard (1...64).contains(scale) else { throw PipelineError(.usage, "--scale must be 1 to 64, not \(scale)") }
    let numbers = latents.split(separator: ",").compactMap { Int($0) }
    guard !numbers.isEmpty, numbers.count == latents.split(separator: ",", omittingEmptySubsequences: false).count
    else {
      throw PipelineError(.usage, "--latents is a list of whole numbers, not \(latents)")
    }
    let output = output ?? OutputFile.unusedPath("varied", ".png")
    let file = try OutputFile.url(output, from: [modelFile])
    try PictureSize.check(
      count: model.components * numbers.count, width: model.dimensions, height: steps, scale: scale)
    let blocks = try (0..<model.components).flatMap { component in
      try numbers.map { latent in
        let rows = try model.varied(component: component, latent: latent, count: steps)
        let bytes = rows.elements.flatMap { value in
          Array(repeating: UInt8(min(255, max(0, (value + 2.5) * 51))), count: 3)
        }
        return Picture(width: rows.columns, height: steps, pixels: bytes).enlarged(by: scale)
      }
    }
    try Picture.grid(blocks, columns: numbers.count).write(to: file)
    try Console.result(output)
  }
}
