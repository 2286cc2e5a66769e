import ArgumentParser
import Basics
import CommandSupport
import Compositions
import Datasets
import EmojiData
import Foundation
import VoiceData

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a data set from what the system has.",
    subcommands: [PrepareEmoji.self, PrepareDigits.self, PrepareVoices.self])
}

struct PrepareEmoji: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "emoji", abstract: "Makes the default data set from the system's color emoji font.")

  @Option(help: "The folder to make.") var output = DataOptions.standardFolder
  @Flag(inversion: .prefixedNo, help: "Take CLDR's keywords as further captions.") var keywords = true
  @Option(parsing: .unconditional, help: "Add this many compositions of the emoji, as compose makes them.")
  var compositions: Int?
  @OptionGroup var options: CompositionOptions
  @Flag(help: "Print what was made as JSON.") var json = false

  private struct Report: Encodable {
    var emoji: EmojiDataSet.Summary
    var compositions: CompositionFolder.Summary
  }

  func run() throws {
    if let compositions { try CompositionFolder.checkCount(compositions, setting: "compositions") }
    // Emoji have captions in more languages than compositions.
    let settings = try options.settings(languages: compositions == nil ? ["en"] : options.languageCodes)
    let team = try ThreadTeam(count: options.threads.count())
    var composed: CompositionFolder.Summary?
    let summary = try EmojiDataSet.prepare(
      to: URL(fileURLWithPath: output), languages: options.languageCodes, keywords: keywords,
      report: { Console.note($0) }
    ) { (folder) throws(PipelineError) in
      guard let compositions else { return }
      let maker = try CompositionOptions.maker(of: folder, settings: settings, team: team)
      composed = try CompositionFolder.add(
        to: folder, count: compositions, by: maker, team: team,
        progress: { CompositionOptions.showProgress($0, of: compositions) })
    }
    guard let composed else {
      if json { return try Console.json(summary) }
      Console.line(
        "\(summary.pictures) pictures: \(summary.train) train, \(summary.validation) validation, \(summary.test) test")
      return try Console.result(output)
    }
    if json { return try Console.json(Report(emoji: summary, compositions: composed)) }
    Console.line(
      "\(summary.pictures) emoji: \(summary.train) train, \(summary.validation) validation, \(summary.test) test")
    CompositionOptions.show(composed)
    try Console.result(output)
  }
}

/// Speech, for the ladder.
struct PrepareVoices: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "voices", abstract: "Has espeak-ng speak in several voices, for the Gaussian-mixture VAE.",
    discussion: """
      What is made is a .npz file for baselines fit: spectra of utterances, and their voices, pitches and rates. Validation and test \
      are of sentences that are not trained on.
      """)

  @Option(help: "The file to make; voices.npz unless given.") var output: String?
  @Option(parsing: .unconditional, help: "How often each voice speaks.")
  var utterances = VoiceDataSet.Settings().utterances
  @Option(parsing: .unconditional, help: "Names all random numbers.") var seed: UInt64 = 0
  @OptionGroup var threads: ThreadOptions
  @Flag(help: "Print what was made as JSON.") var json = false

  private struct Report: Encodable {
    var output: String
    var voices: [String]
    var train, validation, test: Int
    var dimensions: Int
  }

  func run() throws {
    let output = output ?? OutputFile.unusedPath("voices", ".npz")
    let file = try OutputFile.url(output, ending: "npz")
    var settings = VoiceDataSet.Settings()
    (settings.utterances, settings.seed) = (utterances, seed)
    let total = settings.voices.count * utterances
    let voices = try VoiceDataSet(
      settings, team: ThreadTeam(count: threads.count()),
      progress: { Console.progress("\($0) of \(total) utterances", isLast: $0 == total) })
    try voices.write(to: file)
    let counts = voices.counts
    if json {
      return try Console.json(
        Report(
          output: output, voices: settings.voices, train: counts[0], validation: counts[1], test: counts[2],
          dimensions: voices.rows.columns))
    }
    Console.line(
      "\(voices.rows.rows) utterances of \(settings.voices.count) voices, \(voices.rows.columns) numbers each: "
        + "\(counts[0]) train, \(counts[1]) validation, \(counts[2]) test")
    try Console.result(output)
  }
}

/// Digits in many fonts, for the ladder.
struct PrepareDigits: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "digits",
    abstract: "Draws the ten digits in the system's fonts, for the ladder and the lecture's figures.",
    discussion: """
      Each picture is black on white, captioned "the digit 7", and shifted, slanted, and made bolder or thinner at random. \
      Validation and test are of families of fonts that are not trained on.
      """)

  @Option(help: "The folder to make.") var output = "data/digits"
  @Option(
    name: .customLong("fonts"), parsing: .singleValue,
    help: ArgumentHelp(
      "A folder of fonts (.ttf, .otf, .ttc, .pfb), in place of the system's; may be given several times.",
      valueName: "folder"), completion: .directory)
  var fonts: [String] = []
  @Option(parsing: .unconditional, help: "Pictures to draw.") var count = DigitDataSet.Settings().count
  @Option(parsing: .unconditional, help: "Pixels a side.") var pictureSize = DigitDataSet.Settings().pictureSize
  @Option(parsing: .unconditional, help: "Names all random numbers.") var seed: UInt64 = 0
  @Flag(help: "Print what was made as JSON.") var json = false

  func run() throws {
    var settings = DigitDataSet.Settings()
    if !fonts.isEmpty { settings.fonts = fonts.map { URL(fileURLWithPath: $0) } }
    (settings.count, settings.pictureSize, settings.seed) = (count, pictureSize, seed)
    let summary = try DigitDataSet.prepare(
      to: URL(fileURLWithPath: output), settings, report: { Console.note($0) })
    if json { return try Console.json(summary) }
    Console.line(
      "\(summary.pictures) pictures of \(summary.fonts) fonts in \(summary.families) families: \(summary.train) train, "
        + "\(summary.validation) validation, \(summary.test) test")
    try Console.result(output)
  }
}

/// Compositions of somebody's own pictures.
struct Compose: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes compositions of a folder's pictures, with captions.",
    discussion: """
      The pictures show one thing each on transparent or plain white ground, and their captions name it. What is made is \
      a data set to train on: things made of others, in other colors, several, beside and on top of each other, as \
      sketches, and so on. Pairs are held out for validation and test whatever the wording.
      """)

  @Argument(help: "A folder of captioned pictures.") var folder: String
  @OptionGroup var captionColumn: CaptionColumnOptions
  @Option(help: "The folder to make.") var output: String
  @Option(parsing: .unconditional, help: "Compositions to make.") var count: Int
  @Flag(help: "Copy the folder's own pictures beside them: what a model is to draw alone, it has to see alone.")
  var withOriginals = false
  @OptionGroup var options: CompositionOptions
  @Flag(help: "Print what was made as JSON.") var json = false

  func run() throws {
    try CompositionFolder.checkCount(count)
    let settings = try options.settings(languages: options.languageCodes)
    let target = URL(fileURLWithPath: output)
    try CompositionFolder.checkPlace(target, besides: URL(fileURLWithPath: folder))
    try AtomicFolder.requireEmpty(target)
    let team = try ThreadTeam(count: options.threads.count())
    let maker = try CompositionOptions.maker(
      of: URL(fileURLWithPath: folder), captionColumn: captionColumn.name, settings: settings, team: team)
    let summary = try CompositionFolder.write(
      to: target, count: count, by: maker, team: team, withOriginals: withOriginals,
      progress: { CompositionOptions.showProgress($0, of: count) })
    if json { return try Console.json(summary) }
    if let originals = summary.originals { Console.line("\(originals) pictures of \(folder)") }
    CompositionOptions.show(summary)
    try Console.result(output)
  }
}

/// How compositions are made.
struct CompositionOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "Names all random numbers.") var seed: UInt64 = 0
  @Option(parsing: .unconditional, help: "The side of compositions, in pixels.")
  var pictureSize = CompositionMaker.Settings().pictureSize
  @Option(
    help: ArgumentHelp(
      """
      Which relations things have in compositions: all, or a list with commas of \
      \(Relation.all.map(\.name).joined(separator: ", ")).
      """, valueName: "list"))
  var relations = "all"
  @Option(
    help: ArgumentHelp(
      """
      The languages of captions, a list with commas, the primary one first: of compositions \
      \(CompositionMaker.languages.joined(separator: " and ")), of emoji alone all that CLDR has.
      """, valueName: "list"))
  var languages = "en"
  @OptionGroup var threads: ThreadOptions

  var languageCodes: [String] { languages.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }

  /// - Throws: `PipelineError` for what makes no sense, before anything is read.
  func settings(languages: [String]) throws(PipelineError) -> CompositionMaker.Settings {
    var settings = CompositionMaker.Settings()
    settings.languages = languages
    settings.seed = seed
    settings.pictureSize = pictureSize
    if relations != "all" {
      settings.relations = relations.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    try settings.validate()
    return settings
  }

  static func maker(
    of folder: URL, captionColumn: String? = nil, settings: CompositionMaker.Settings, team: ThreadTeam
  ) throws(PipelineError) -> CompositionMaker {
    // Nothing is decoded on opening: of each picture its cutout is kept, and nothing else.
    let dataSet = try PictureDataSet(
      contentsOf: folder, pictureSize: settings.pictureSize, captionColumn: captionColumn, maximumBytesInMemory: 0,
      report: { Console.note($0) })
    return try CompositionMaker(dataSet, settings: settings, team: team, report: { Console.note($0) })
  }

  static func showProgress(_ done: Int, of count: Int) {
    Console.progress("\(done) of \(count) compositions", isLast: done == count)
  }

  static func show(_ summary: CompositionFolder.Summary) {
    Console.line(
      "\(summary.pictures) compositions: \(summary.train) train, \(summary.validation) validation, \(summary.test) test"
    )
    for relation in Relation.all {
      guard let count = summary.relations[relation.name] else { continue }
      Console.line("  \(relation.name): \(count)")
    }
  }
}
