import Basics
import Captions
import Datasets
import Foundation
import Imaging

/// Pictures of the ten digits, drawn from the system's fonts: black on white, captioned "the digit 7".
///
/// What is held out are fonts: no family of validation or test is seen in training. Each picture is of a family chosen at random, of
/// one of its faces, and is shifted, slanted, scaled and made bolder or thinner at random.
public enum DigitDataSet {
  /// Where systems keep fonts.
  public static let standardFolders = [
    "/usr/share/fonts", "/usr/local/share/fonts", NSHomeDirectory() + "/.local/share/fonts",
    NSHomeDirectory() + "/.fonts", "/Library/Fonts", "/System/Library/Fonts",
  ].map { URL(fileURLWithPath: $0) }

  public struct Settings: Sendable {
    /// Folders of fonts, and what lies below them.
    public var fonts = DigitDataSet.standardFolders
    /// Pictures in all.
    public var count = 6000
    /// Pixels a side.
    public var pictureSize = 28
    /// Names all random numbers.
    public var seed: UInt64 = 0

    public init() {}

    /// - Throws: `PipelineError` of kind `.usage` for a setting that makes no sense.
    public func validate() throws(PipelineError) {
      for (name, value, range) in [
        ("count", count, 10...1_000_000), ("pictureSize", pictureSize, 8...256),
      ] where !range.contains(value) {
        throw PipelineError(.usage, "`\(name)` must be \(range.lowerBound) to \(range.upperBound), not \(value)")
      }
    }
  }

  /// What was prepared.
  public struct Summary: Sendable, Equatable, Codable {
    /// Pictures written; the sum of the next three.
    public var pictures = 0
    public var train = 0
    public var validation = 0
    public var test = 0
    /// Font files, without those that draw the same digits as another.
    public var fonts = 0
    public var families = 0
  }

  /// Draws the digits and writes `folder` in the imagefolder form. The folder appears whole at the end, by a rename.
  ///
  /// The same fonts and settings give the same bytes.
  /// - Parameters:
  ///   - folder: made whole, or not at all.
  ///   - settings: how many, how large, and from which fonts.
  ///   - report: told what a person should know.
  /// - Throws: `PipelineError` of kind `.noInput` where no font has digits, `.usage` for settings that make no sense,
  ///   `.cannotCreate` where `folder` holds files already or cannot be created, and `.inputOutput` where writing fails.
  @discardableResult
  public static func prepare(
    to folder: URL, _ settings: Settings = .init(), report: (String) -> Void = { _ in }
  ) throws(PipelineError) -> Summary {
    try settings.validate()
    let families = Dictionary(grouping: fonts(below: settings.fonts), by: \.family)
    guard !families.isEmpty else {
      throw PipelineError(
        .noInput,
        "no font with digits lies below \(settings.fonts.map(\.path).joined(separator: ", ")); on Debian, install some by: "
          + "apt-get install fonts-dejavu-core fonts-liberation fonts-freefont-ttf")
    }
    let splits = splits(of: Array(families.keys))
    if splits == nil {
      report(
        "there are fewer than three families of fonts: pictures are held out, and not fonts; fonts-liberation and "
          + "fonts-freefont-ttf have more")
    }
    let names = families.keys.sorted()
    return try AtomicFolder.make(folder) { (partial) throws(PipelineError) in
      var summary = Summary()
      summary.families = names.count
      summary.fonts = families.values.reduce(0) { $0 + $1.count }
      var metadata = Data()
      for number in 0..<settings.count {
        let digit = number % OutlineFont.digits.count
        let (picture, family) = try draw(number, digit, families, names, settings)
        let split = splits?[family] ?? [0: .test, 1: .validation][number / OutlineFont.digits.count % 10] ?? .train
        let file = String(format: "%06d.png", number)
        try AtomicFolder.write(picture.pngData(), to: partial.appendingPathComponent(file))
        metadata += try MetadataLine(fileName: file, texts: ["the digit \(digit)"], split: split).encoded()
        summary.pictures += 1
        switch split {
        case .train: summary.train += 1
        case .validation: summary.validation += 1
        case .test: summary.test += 1
        }
      }
      try AtomicFile.write(metadata, to: partial.appendingPathComponent(MetadataLine.fileName))
      return summary
    }
  }

  /// A tenth of the families is for each of validation and test, the first by the hash of their names.
  /// - Returns: nil where there are fewer than three.
  static func splits(of families: [String]) -> [String: Split]? {
    guard families.count > 2 else { return nil }
    let part = max(1, families.count / 10)
    let order = families.sorted { (FNV1a.hash($0), $0) < (FNV1a.hash($1), $1) }
    return Dictionary(
      uniqueKeysWithValues: order.enumerated().map {
        ($1, $0 < part ? Split.test : $0 < 2 * part ? .validation : .train)
      })
  }

  private static func draw(
    _ number: Int, _ digit: Int, _ families: [String: [OutlineFont]], _ names: [String], _ settings: Settings
  ) throws(PipelineError) -> (Picture, family: String) {
    var random = Philox(seed: settings.seed, stream: RandomStream.digits(UInt64(number)))
    let family = names[random.index(below: names.count)]
    let faces = families[family] ?? []
    let font = faces[random.index(below: faces.count)]
    func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * Double(random.uniform()) }
    let scale = Double(settings.pictureSize) / 28
    var variation = OutlineFont.Variation()
    variation.height = uniform(16, 21) * scale
    variation.slant = uniform(-0.15, 0.3)
    variation.weight = uniform(-0.4, 1.0) * scale
    variation.shift = (uniform(-2, 2) * scale, uniform(-2, 2) * scale)
    if let picture = font.picture(of: OutlineFont.digits[digit], side: settings.pictureSize, variation) {
      return (picture, family)
    }
    // Strokes that are too thin to lose any of their weight.
    variation.weight = 0.5 * scale
    guard let picture = font.picture(of: OutlineFont.digits[digit], side: settings.pictureSize, variation) else {
      throw PipelineError(.badData, "the font \(family) draws no \(digit)")
    }
    return (picture, family)
  }

  /// Fonts that have digits, in the order of their paths, without those that draw the same as one before.
  private static func fonts(below folders: [URL]) -> [OutlineFont] {
    var paths: Set<String> = []
    for folder in folders {
      let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
      while let file = files?.nextObject() as? URL {
        if ["ttf", "otf", "ttc", "pfb", "t1"].contains(file.pathExtension.lowercased()) {
          paths.insert(file.resolvingSymlinksInPath().path)
        }
      }
    }
    var known: Set<UInt64> = []
    return paths.sorted().compactMap { OutlineFont(contentsOf: URL(fileURLWithPath: $0)) }
      .filter { known.insert($0.shapeHash).inserted }
  }
}
