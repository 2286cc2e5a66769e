import ArgumentParser
import Basics
import Checkpoints
import CommandSupport
import Decoding
import Foundation

extension WeightPrecision: ExpressibleByArgument {}

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a published model of the Janus family, which you have downloaded, ready to draw.",
    discussion: """
      The folder is taken as it is downloaded: config.json, tokenizer.json and model.safetensors, or several shards with \
      model.safetensors.index.json. Its weights stay under the licence that they were published under. An import that was \
      interrupted goes on where it stood.
      """)

  @Argument(help: "The downloaded folder.", completion: .directory) var folder: String
  @Option(
    help: "The checkpoint's folder; checkpoints/NAME unless given, NAME being the folder's.", completion: .directory)
  var output: String?
  @Option(
    help: """
      What the weights are kept as. Drawing a token reads all of them, and so takes about half as long in int8 as in bfloat16, and \
      a third in int4, which rounds them most.
      """)
  var precision = WeightPrecision.bfloat16
  @Flag(help: "Print what was made as JSON.") var json = false
  @OptionGroup var threads: ThreadOptions

  private struct Report: Encodable {
    var checkpoint: String
    var precision: WeightPrecision
    var unknownTensors: [String]
    var seconds: Double
  }

  func run() throws {
    let source = URL(fileURLWithPath: folder, isDirectory: true)
    let target =
      output.map { URL(fileURLWithPath: $0, isDirectory: true) }
      ?? URL(fileURLWithPath: "checkpoints").appendingPathComponent(source.standardizedFileURL.lastPathComponent)
    guard target.standardizedFileURL.path != source.standardizedFileURL.path else {
      throw PipelineError(.usage, "\(folder) is what is imported; name another folder with --output")
    }
    let start = ContinuousClock.now
    let published = try CheckpointImport(source, as: precision)
    if !published.unknownTensors.isEmpty {
      let names = published.unknownTensors
      Console.note(
        "left out, because nothing here knows them: \(names.prefix(5).joined(separator: ", "))"
          + (names.count > 5 ? " and \(names.count - 5) more" : ""))
    }
    Console.note(published.summary)
    try published.write(to: Checkpoint(target), on: ThreadTeam(count: threads.count())) { done in
      Console.progress(String(format: "importing %3.0f%%", 100 * done), isLast: done == 1)
    }
    if json {
      return try Console.json(
        Report(
          checkpoint: target.relativePath, precision: precision, unknownTensors: published.unknownTensors,
          seconds: (ContinuousClock.now - start).inSeconds))
    }
    try Console.result(target.relativePath)
  }
}
