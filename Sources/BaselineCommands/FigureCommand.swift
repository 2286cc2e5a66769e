import ArgumentParser
import ArrayFiles
import Basics
import Checkpoints
import CommandSupport
import EmojiData
import Foundation
import Generation
import Imaging
import Ladder
import LadderReport
import LectureFigures

struct BaselinesFigure: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "figure",
    abstract: "Makes a figure of the lecture that the ladder follows; without a name, lists them.",
    discussion: """
      \(LectureFigure.all.map { "\($0.name): \($0.shows)" }.joined(separator: "\n"))

      Figures of points are drawn from points of their own unless a matrix or a folder of pictures is given; figures of \
      digits and of pictures are made of data/digits and data/emoji, which are prepared when missing. Models that are learnt by \
      gradients are trained for two minutes unless --steps, --epochs or --minutes say otherwise.
      """)

  @Argument(help: "Which figure.") var name: String?
  @Argument(help: "A folder of captioned pictures, or a matrix of numbers in a NumPy file, .npy or .npz.")
  var data: String?
  @Option(help: "What to write: .svg, or .png where the figure is of pictures; NAME.svg unless given.") var output:
    String?
  @Option(help: "Which array of a .npz file that holds several.") var array: String?
  @OptionGroup var captionColumn: CaptionColumnOptions
  @OptionGroup var fitting: LadderFitOptions
  @OptionGroup var checkpoint: CheckpointOptions
  @Flag(help: "Print what was made, and its numbers, as JSON.") var json = false

  private struct Report: Encodable {
    var figure: String
    var section: String
    var shows: String
    var output: String
    var caption: String
    var values: [LectureFigure.Content.Value]
  }

  func run() throws {
    guard let name else {
      for figure in LectureFigure.all {
        try Console.result("\(figure.name)  (\(figure.section))  \(figure.shows)")
      }
      return
    }
    guard let figure = LectureFigure(named: name) else {
      let names = LectureFigure.all.map(\.name)
      throw PipelineError(
        .usage,
        "there is no figure \"\(name)\""
          + (names.nearest(to: name).map { "; did you mean \($0)?" } ?? "; there are \(names.joined(separator: ", "))"))
    }
    let output = output ?? OutputFile.unusedPath(name, ".svg")
    let ending = URL(fileURLWithPath: output).pathExtension.lowercased()
    guard ["svg", "png"].contains(ending) else {
      throw PipelineError(.usage, "--output must end in .svg or .png, which \(output) does not")
    }
    guard ending == "svg" || figure.source != .points else {
      throw PipelineError(.usage, "the figure \(name) is a drawing, which is written as .svg; \(output) is not")
    }
    let file = try OutputFile.url(output, from: [data])
    let content = try figure.content(context(figure))
    if ending == "png", let picture = content.picture() {
      try picture.write(to: file)
    } else {
      try AtomicFile.write(Data(content.svg(title: figure.shows).utf8), to: file)
    }
    if json {
      return try Console.json(
        Report(
          figure: name, section: figure.section, shows: figure.shows, output: output, caption: content.caption,
          values: content.values))
    }
    Console.line(content.caption)
    try Console.result(output)
  }

  /// What the figure is made of: opened, and prepared where nothing was named and nothing is there.
  private func context(_ figure: LectureFigure) throws(PipelineError) -> LectureFigure.Context {
    let options = try fitting.options()
    var context = LectureFigure.Context(options: options)
    if figure.source == .checkpoint {
      if let data {
        throw PipelineError(.usage, "the figure \(figure.name) is drawn by a checkpoint, not made of \(data)")
      }
      let folder = try checkpoint.forReading(needing: \.isComplete).url
      context.model = try TextToImageModel(contentsOf: folder, threads: options.threads)
      return context
    }
    if let data {
      context.data = try open(data)
    } else if let folder = try standardFolder(figure.source) {
      context.data = try open(folder)
    }
    if figure.source != .points && context.data?.side == nil {
      throw PipelineError(.usage, "the figure \(figure.name) is made of pictures, and \(data ?? "") is a matrix")
    }
    return context
  }

  private func standardFolder(_ source: LectureFigure.Source) throws(PipelineError) -> String? {
    let folder: String
    switch source {
    case .points, .checkpoint: return nil
    case .digits: folder = "data/digits"
    case .pictures: folder = "data/emoji"
    }
    if FileManager.default.fileExists(atPath: folder) { return folder }
    Console.note("preparing \(folder)")
    let url = URL(fileURLWithPath: folder)
    if source == .digits {
      _ = try DigitDataSet.prepare(to: url, report: { Console.note($0) })
    } else {
      _ = try EmojiDataSet.prepare(to: url, report: { Console.note($0) })
    }
    return folder
  }

  private func open(_ data: String) throws(PipelineError) -> LadderData {
    let url = URL(fileURLWithPath: data)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw PipelineError(.noInput, "there is no \(data)")
    }
    guard isFolder.boolValue else {
      return try LadderData(NumPyFile.matrix(contentsOf: url, array: array), name: url.lastPathComponent)
    }
    return try LadderData(LadderDataOptions.pictures(url, size: fitting.size, captionColumn: captionColumn))
  }
}
