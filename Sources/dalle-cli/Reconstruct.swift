import ArgumentParser
import Basics
import CommandSupport
import Datasets
import Foundation
import Generation
import Imaging
import MPIExchange
import Optimization

struct Reconstruct: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Passes pictures through the image tokenizer and back, originals above their reconstructions.")

  @Argument(help: "PNG, JPEG or WebP files.", completion: .file()) var images: [String]
  @Option(help: "The PNG to write; reconstructions.png, with a number where that is there, unless given.")
  var output: String?
  @Option(parsing: .unconditional, help: "Each pixel becomes this many pixels a side.") var scale = 3
  @Flag(help: "Print the error of each picture as JSON.") var json = false
  @OptionGroup var checkpoint: CheckpointOptions
  @OptionGroup var threads: ThreadOptions

  private struct Report: Encodable {
    struct Picture: Encodable {
      var file: String
      var psnrInDecibels: Double
    }
    var output: String
    var pictures: [Picture]
  }

  func run() throws {
    guard (1...64).contains(scale) else { throw PipelineError(.usage, "--scale must be 1 to 64, not \(scale)") }
    let file = try OutputFile.picture(output ?? OutputFile.unusedPath("reconstructions", ".png"), from: images)
    let pictures = try images.map { try Picture(contentsOf: URL(fileURLWithPath: $0)) }
    let tokenizer = try StandaloneImageTokenizer(
      checkpoint.forReading(needing: \.hasImageTokenizer), threads: try threads.count())
    let results = tokenizer.reconstruct(pictures)
    try PictureSize.check(count: 2 * results.count, side: results[0].original.width, scale: scale)
    try Picture.reconstructionGrid(
      originals: results.map { $0.original.enlarged(by: scale) },
      reconstructions: results.map { $0.reconstruction.enlarged(by: scale) }
    ).write(to: file)
    if json {
      return try Console.json(
        Report(
          output: file.relativePath,
          pictures: zip(images, results).map { .init(file: $0, psnrInDecibels: $1.psnrInDecibels) }))
    }
    for (image, result) in zip(images, results) {
      Console.line("\(image): \(String(format: "%.2f", result.psnrInDecibels)) dB")
    }
    try Console.result(file.relativePath)
  }
}

/// A data set's tokens, kept.
struct Encode: JointCommand {
  static let configuration = CommandConfiguration(
    abstract: "Keeps the tokens of a data set's pictures, for train-prior to take in their place.",
    discussion: """
      What is written takes a few kilobytes a picture, and training on it never reads or encodes a picture again. It \
      belongs to the image tokenizer that made it. Under mpirun the processes share out blocks of \(EncodedPictures.shardLength) pictures.
      """)

  @Option(help: "The folder to make.") var output: String
  @Option(
    parsing: .unconditional,
    help:
      "Pixels a side of the pictures (resolution), where the image tokenizer leaves the choice; its own unless given.")
  var pictureSize: Int?
  @Flag(help: "Print what was made as JSON.") var json = false
  @OptionGroup var checkpoint: CheckpointOptions
  @OptionGroup var threads: ThreadOptions
  @OptionGroup var data: DataOptions

  var exchangeOptions: ExchangeOptions { ExchangeOptions() }

  func run(with processes: any TrainingProcesses) throws {
    let target = URL(fileURLWithPath: output)
    // The first process is to make it while the others begin.
    if processes.isFirst { try AtomicFolder.requireEmpty(target) }
    let tokenizer = try StandaloneImageTokenizer(
      checkpoint.forReading(needing: \.hasImageTokenizer), isUpsampled: false, pictureSize: pictureSize,
      threads: try threads.count())
    let dataSet = try data.open(pictureSize: tokenizer.pictureSize, fit: tokenizer.fit)
    try processes.agree(on: [
      ("the data set's fingerprint", dataSet.fingerprint), ("the image tokenizer", tokenizer.fingerprint),
      ("the picture size", "\(tokenizer.pictureSize)"), ("how pictures become square", "\(dataSet.fit)"),
      ("the folder to make", target.path),
    ])
    let summary = try tokenizer.encode(
      dataSet, to: target, with: .init(rank: processes.rank, count: processes.count) { processes.sum($0) },
      progress: { Console.progress("\($0) of \($1) pictures", isLast: $0 == $1) })
    guard processes.isFirst else { return }
    if json { return try Console.json(summary) }
    Console.line("\(summary.pictures) pictures, \(summary.tokensPerPicture) tokens each")
    try Console.result(output)
  }
}
