import ArgumentParser
import Basics
import CommandSupport
import Decoding
import Foundation
import Generation
import Imaging
import Priors

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draws pictures for one or more captions (prompts) and writes a PNG.")

  @Argument(
    help:
      "What to draw; several captions give a row each, or with --count 1 a picture each. - reads them from standard input, one a line."
  )
  var captions: [String] = []
  @Option(parsing: .unconditional, help: "How many pictures a caption (samples a prompt).") var count = 4
  @Option(
    parsing: .unconditional,
    help: "Draw this many pictures a caption and keep the best --count by the ranker (reranking), best first.")
  var candidates: Int?
  @Option(parsing: .unconditional, help: "Names the random numbers: the same seed gives the same pictures.")
  var seed: UInt64 = 0
  @Option(help: "The PNG to write, - for standard output, or with --separate the folder.", completion: .file())
  var output: String?
  @Option(
    parsing: .unconditional,
    help: """
      Each pixel becomes this many pixels a side (upscaling without smoothing); up to four, so that a picture has some 512, unless \
      given.
      """)
  var scale: Int?
  @Option(parsing: .unconditional, help: "Pictures a row; about as many as rows unless given.") var columns: Int?
  @Flag(help: "One file a picture instead of one grid.") var separate = false
  @Flag(help: "Print what was made as JSON.") var json = false
  @OptionGroup var sampling: DrawingOptions
  @OptionGroup var image: ImagePromptOptions
  @OptionGroup var checkpoint: CheckpointOptions
  @OptionGroup var threads: ThreadOptions

  private struct Report: Encodable {
    var files: [String]
    var captions: [String]
    var seed: UInt64
    var count: Int
    var checkpoint: String
    /// Of the captions as they were typed.
    var unseenWords: [String]
    /// For each caption the nouns that are drawn as near ones.
    var replacements: [[NounReplacement]]
    /// For each caption that no training caption is like the nearest ones.
    var nearestCaptions: [[String]]
    var sampling: SamplingOptions
    var image: String?
    var keptRows: Int?
    var candidates: Int?
    /// For each caption the ranker's scores of its pictures, in their order, and which pictures of the seed they are.
    var scores: [[Float]]?
    var numbers: [[Int]]?
  }

  mutating func validate() throws {
    if !captions.isEmpty { return }
    guard image.variations else {
      throw ValidationError("there is no caption that says what to draw; only --variations need none")
    }
    captions = [""]
  }

  mutating func run() throws {
    if captions.contains("-") { captions = try captions.flatMap { $0 == "-" ? try Self.linesOfStandardInput() : [$0] } }
    var options = try sampling.generationOptions(seed: seed)
    guard (1...10_000).contains(count) else { throw PipelineError(.usage, "--count must be 1 to 10000, not \(count)") }
    if let candidates {
      guard (count...10_000).contains(candidates) else {
        throw PipelineError(
          .usage, "--candidates must be --count or more and at most 10000, not \(candidates) where \(count) are kept")
      }
    }
    if let scale, !(1...64).contains(scale) { throw PipelineError(.usage, "--scale must be 1 to 64, not \(scale)") }
    if let columns, columns < 1 { throw PipelineError(.usage, "--columns must be 1 or more, not \(columns)") }
    let name = Self.fileName(for: image.title(captions[0]))
    // With --separate a folder, which is made; otherwise a file in a folder that is there. Nil is standard output.
    let target: URL?
    if output == "-" {
      try checkStandardOutput()
      target = nil
    } else {
      target =
        separate
        ? URL(fileURLWithPath: output ?? OutputFile.unusedPath(name))
        : try OutputFile.picture(output ?? OutputFile.unusedPath(name, ".png"), from: [image.file])
    }
    options.imagePrompt = try image.prompt()
    let folder = try checkpoint.forReading(needing: \.isComplete).url
    let model = try TextToImageModel(contentsOf: folder, threads: try threads.count())
    let sampling = try sampling.sampling(over: model.prior.sampling)
    options.sampling = sampling
    if candidates != nil { _ = try model.ranker() }
    let side = model.imageTokenizer.pictureSize
    let scale = scale ?? min(4, max(1, 512 / side))
    self.scale = scale
    try PictureSize.check(
      count: separate ? 1 : count * captions.count, side: side, scale: scale)
    let keptRows = try options.imagePrompt.map(model.keptRows)
    if separate, let target { try AtomicFile.createDirectory(target) }
    if let keptRows, let file = image.file {
      Console.note("the first \(keptRows) of \(model.prior.gridSide) rows of tokens are those of \(file)")
    }
    var unseen: [String] = []
    var (nearest, replacements): ([[String]], [[NounReplacement]]) = ([], [])
    for caption in captions {
      let notes = try model.notes(on: caption, options: options)
      for line in notes.lines { Console.note(line) }
      unseen += notes.unseenWords.filter { !unseen.contains($0) }
      replacements.append(notes.replacements)
      nearest.append(notes.nearestCaptions)
    }
    let (pictures, ranked) = try draw(model, options)
    let files = try write(pictures, numbers: ranked?.map(\.number), options, keptRows: keptRows, folder, to: target)
    if json {
      return try Console.json(
        Report(
          files: files, captions: captions, seed: seed, count: count, checkpoint: folder.relativePath,
          unseenWords: unseen, replacements: replacements, nearestCaptions: nearest,
          sampling: sampling,
          image: image.file, keptRows: keptRows, candidates: candidates,
          scores: ranked.map { perCaption($0.map(\.score)) },
          numbers: ranked.map { perCaption($0.map(\.number)) }))
    }
    for file in files { try Console.result(file) }
  }

  /// - Throws: `PipelineError` of kind `.usage` where there is none.
  private static func linesOfStandardInput() throws(PipelineError) -> [String] {
    let lines = try StandardInput.text().split(whereSeparator: \.isNewline).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    .filter { !$0.isEmpty }
    guard !lines.isEmpty else { throw PipelineError(.usage, "there is no caption on standard input") }
    return lines
  }

  /// - Throws: `PipelineError` of kind `.usage` where one PNG on standard output makes no sense.
  private func checkStandardOutput() throws(PipelineError) {
    if separate || json {
      throw PipelineError(.usage, "--output - is for one PNG alone; leave --separate and --json out, or name a file")
    }
    if isatty(STDOUT_FILENO) == 1 {
      throw PipelineError(
        .usage, "standard output is a terminal, which shows no PNG; name a file, or send it on with | or >")
    }
  }

  /// The pictures of all captions, and how they were chosen where they were.
  private func draw(
    _ model: TextToImageModel, _ options: GenerationOptions
  ) throws -> ([Picture], ranked: [RankedPicture]?) {
    func report(_ done: Double) { Console.progress(String(format: "drawing %3.0f%%", 100 * done)) }
    guard let candidates else {
      return (try model.generate(captions: captions, count: count, options: options, progress: report), nil)
    }
    let ranked = try model.generateRanked(
      captions: captions, count: count, candidates: candidates, options: options, progress: report)
    for (caption, pictures) in zip(captions, ranked) {
      let scores = pictures.map { String(format: "%.3f (number %d)", $0.score, $0.number) }.joined(separator: ", ")
      Console.note("best of \(candidates) for \"\(caption)\": \(scores)")
    }
    let all = ranked.flatMap(\.self)
    return (all.map(\.picture), all)
  }

  /// What belongs to the pictures of all captions, a row a caption.
  private func perCaption<Element>(_ all: [Element]) -> [[Element]] {
    captions.indices.map { Array(all[$0 * count..<($0 + 1) * count]) }
  }

  /// - Parameter numbers: which pictures of the seed they are; the first ones in their order where nil.
  /// - Returns: the paths of the files.
  private func write(
    _ pictures: [Picture], numbers: [Int]?, _ options: GenerationOptions, keptRows: Int?, _ folder: URL, to target: URL?
  ) throws -> [String] {
    let scale = scale ?? 1
    var text = [
      ("Software", "dalle-cli \(programVersion)"),
      ("Checkpoint", folder.lastPathComponent), ("Seed", "\(seed)"),
      ("Settings", options.sampling.map { "\($0)" } ?? ""),
    ]
    if let keptRows, let url = image.url { text += [("Image", url.lastPathComponent), ("Kept rows", "\(keptRows)")] }
    if separate, let target {
      return try pictures.enumerated().map { place, picture in
        let (caption, number) = (captions[place / count], numbers?[place] ?? place % count)
        let name = "\(Self.fileName(for: caption))-\(seed)-\(number)"
        let file = URL(fileURLWithPath: OutputFile.unusedPath(target.appendingPathComponent(name).relativePath, ".png"))
        try picture.enlarged(by: scale).write(to: file, text: [("Title", caption)] + text + [("Number", "\(number)")])
        return file.relativePath
      }
    }
    let standard = captions.count > 1 && count > 1 ? count : Int(Double(pictures.count).squareRoot().rounded(.up))
    let grid = Picture.grid(pictures.map { $0.enlarged(by: scale) }, columns: columns ?? standard, spacing: 2 * scale)
    text = captions.map { ("Title", $0) } + text + [("Count", "\(count)")]
    guard let target else {
      try Console.result(grid.pngData(text: text))
      return []
    }
    try grid.write(to: target, text: text)
    return [target.relativePath]
  }

  /// The caption's letters and digits, joined by hyphens, as many as a file name has room for.
  static func fileName(for caption: String) -> String {
    let words = caption.lowercased().split { !$0.isLetter && !$0.isNumber }
    var name = ""
    // Bytes and not characters: a file name has 255, and letters of most scripts take two to four.
    for character in words.joined(separator: "-") {
      if name.utf8.count + character.utf8.count > 120 { break }
      name.append(character)
    }
    return name.isEmpty ? "picture" : name
  }
}

/// A picture that others begin with.
struct ImagePromptOptions: ParsableArguments {
  @Option(
    name: .customLong("image"),
    help: "A PNG, JPEG or WebP to begin with (image prompt): its upper part is kept, the rest is drawn.",
    completion: .file())
  var file: String?
  @Option(parsing: .unconditional, help: "How many rows of the image's tokens are kept; half of them unless given.")
  var keepRows: Int?
  @Flag(help: "Draw the image anew (image to image), with a caption or without one.") var variations = false

  var url: URL? { file.map { URL(fileURLWithPath: $0) } }

  /// What a picture's file is named after: with an image its name, too, so that it is not replaced where it was drawn
  /// from the same caption.
  func title(_ caption: String) -> String {
    guard let url else { return caption }
    return "\(caption.isEmpty ? "variations" : caption) from \(url.deletingPathExtension().lastPathComponent)"
  }

  /// - Throws: `PipelineError` where the image cannot be read, or is missing beside the other options.
  func prompt() throws(PipelineError) -> ImagePrompt? {
    guard let url else {
      if keepRows != nil { throw PipelineError(.usage, "--keep-rows needs the image to keep rows of: --image FILE") }
      if variations { throw PipelineError(.usage, "--variations needs the image to draw anew: --image FILE") }
      return nil
    }
    return ImagePrompt(try Picture(contentsOf: url), keptRows: keepRows)
  }
}
