import ArgumentParser
import CommandSupport
import EmojiData
import Foundation

struct Prepare: ParsableCommand {
  enum Source: String, ExpressibleByArgument, CaseIterable { case emoji }

  static let configuration = CommandConfiguration(
    abstract: "Makes the default data set from the system's color emoji font.")

  @Argument(help: "What to prepare.") var source: Source
  @Option(help: "The folder to make.") var output = DataOptions.standardFolder
  @Flag(inversion: .prefixedNo, help: "Take CLDR's keywords as further captions.") var keywords = true
  @Flag(help: "Print what was made as JSON.") var json = false

  func run() throws {
    let summary = try EmojiDataSet.prepare(
      to: URL(fileURLWithPath: output), keywords: keywords, report: { Console.note($0) })
    if json { return try Console.json(summary) }
    Console.line(
      "\(summary.pictures) pictures: \(summary.train) train, \(summary.validation) validation, \(summary.test) test")
    try Console.result(output)
  }
}
