import ArgumentParser
import ArrayFiles
import Basics
import Captions
import Checkpoints
import CommandSupport
import DataFiles
import Datasets
import Foundation
import ImageTokenizers
import Imaging
import TextTokenizer

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what a checkpoint, a vocabulary, a safetensors file, a data set or a picture holds.")

  @Argument(help: "The folder or file; a name alone also means a checkpoint of that name.", completion: .file())
  var path: String
  @OptionGroup var captionColumn: CaptionColumnOptions
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    if path.isEmpty { throw ValidationError("the folder or file is named by nothing") }
  }

  /// What was found: lines for a person, or fields for a program.
  private struct Finding: Encodable {
    var kind: String
    var path: String
    var fields: [Field]

    struct Field {
      var name: String
      var value: any Encodable
    }

    mutating func add(_ name: String, _ value: some Encodable) { fields.append(Field(name: name, value: value)) }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(kind, forKey: Key("kind"))
      try container.encode(path, forKey: Key("path"))
      for field in fields {
        try container.encode(field.value, forKey: Key(field.name.replacing(" ", with: "_")))
      }
    }

    struct Key: CodingKey {
      var stringValue: String
      var intValue: Int? { nil }
      init(_ name: String) { stringValue = name }
      init?(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }
  }

  func run() throws {
    var url = URL(fileURLWithPath: path)
    var isFolder: ObjCBool = false
    if !FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) {
      guard let checkpoint = CheckpointOptions.existing(named: path) else {
        throw PipelineError(.noInput, "there is no \(path), and no checkpoint of that name")
      }
      (url, isFolder) = (checkpoint.url, true)
    }
    let finding: Finding
    if isFolder.boolValue {
      let checkpoint = Checkpoint(url)
      finding =
        FileManager.default.fileExists(atPath: checkpoint.configurationFile.path)
        ? try inspect(checkpoint) : try inspectDataSet(url)
    } else if url.pathExtension == "safetensors" {
      finding = try inspectTensors(url)
    } else if let format = try PictureFormat(of: InputFile.head(of: url, byteCount: PictureFormat.headByteCount)) {
      finding = try inspectPicture(url, format)
    } else {
      if let refusal = refusal(of: url) { throw PipelineError(.badData, "\(path) is \(refusal)") }
      finding = try inspectVocabulary(url)
    }
    if json { return try Console.json(finding) }
    try Console.result("\(finding.kind) \(finding.path)")
    let width = finding.fields.map(\.name.count).max() ?? 0
    for field in finding.fields {
      try Console.result("  \(field.name.padding(toLength: width, withPad: " ", startingAt: 0))  \(field.value)")
    }
  }

  private func inspect(_ checkpoint: Checkpoint) throws -> Finding {
    var finding = Finding(kind: "checkpoint", path: path, fields: [])
    let configuration = try checkpoint.readConfiguration()
    if checkpoint.hasImageTokenizer, let description = configuration.imageTokenizer {
      let model = try checkpoint.readUpsampledImageTokenizer(configuration)
      finding.add("image tokenizer", description.kind.rawValue)
      let upsampled = model as? UpsampledImageTokenizer
      finding.add("image tokenizer parameters", (upsampled?.base ?? model).parameterCount)
      if let upsampler = upsampled?.upsampler {
        finding.add("upsampler", upsampler.configuration.summary)
        finding.add("upsampler parameters", upsampler.parameterCount)
      }
      finding.add("picture size", model.pictureSize)
      finding.add("token grid", model.gridSides.map { "\($0)×\($0)" }.joined(separator: ", "))
      finding.add("codes a place", model.codesPerPlace)
      finding.add("codes", model.codeCount)
    }
    if checkpoint.hasPrior, let c = configuration.prior {
      let model = try checkpoint.readPrior(configuration)
      finding.add("prior", "\(c.kind.rawValue), \(c.summary)")
      finding.add("prior parameters", model.parameterCount)
      finding.add("text tokens", c.textLength)
      finding.add("text vocabulary", c.textVocabulary)
    }
    if checkpoint.hasRanker, let c = configuration.ranker {
      let model = try checkpoint.readRanker(configuration)
      finding.add("ranker", c.summary)
      finding.add("ranker parameters", model.parameterCount)
    }
    if let words = configuration.captionWords {
      let isWord = { (text: Substring) in BytePairEncoding.signs(in: String(text)).isEmpty }
      finding.add("caption words", words.split(separator: " ").count(where: isWord))
    }
    if let data = configuration.data {
      finding.add(
        "data",
        "\(data.name): \(data.trainPictures) train, \(data.validationPictures) validation, \(data.testPictures) test")
    }
    for (name, training) in [
      ("image tokenizer training", configuration.tokenizerTraining),
      ("upsampler training", configuration.upsamplerTraining), ("prior training", configuration.priorTraining),
      ("ranker training", configuration.rankerTraining),
    ] {
      guard let t = training else { continue }
      finding.add(
        name,
        "\(t.steps) steps, \(t.epochs) epochs, \(t.minutes) minutes on \(t.threads) threads in \(t.precision.rawValue)")
    }
    return finding
  }

  private static let maximumPictures = 100_000

  private func inspectDataSet(_ url: URL) throws -> Finding {
    var finding = Finding(kind: "data set", path: path, fields: [])
    // Tokens and models play no part: the pictures are read as small as possible, and very many are not read at all.
    let dataSet = try PictureDataSet(
      contentsOf: url, pictureSize: 1, captionColumn: captionColumn.name,
      maximumBytesInMemory: 3 * Self.maximumPictures,
      report: { Console.note($0) })
    if !dataSet.isInMemory && dataSet.encoded == nil {
      Console.note("there are more than \(Self.maximumPictures) pictures, which were not looked at")
    }
    finding.add("pictures", dataSet.entries.count)
    for split in Split.allCases { finding.add(split.rawValue, dataSet.indices(of: split).count) }
    finding.add("captions", dataSet.entries.reduce(0) { $0 + $1.captions.count })
    var words: Set<String> = []
    for entry in dataSet.entries {
      for caption in entry.allCaptions { words.formUnion(BytePairEncoding.words(in: caption)) }
    }
    finding.add("caption words", words.count)
    finding.add("fingerprint", dataSet.fingerprint)
    return finding
  }

  private func inspectPicture(_ url: URL, _ format: PictureFormat) throws -> Finding {
    var finding = Finding(kind: "picture", path: path, fields: [])
    let picture = try Picture(contentsOf: url)
    finding.add("format", format.name)
    finding.add("width", picture.width)
    finding.add("height", picture.height)
    return finding
  }

  /// What a file is that is a part of something, or something for another command; nil for what may be a vocabulary.
  private func refusal(of url: URL) -> String? {
    let folder = url.deletingLastPathComponent().relativePath
    let name = url.lastPathComponent.lowercased()
    switch url.pathExtension.lowercased() {
    case _ where MetadataFile.names.contains(name): return "the metadata of a data set: inspect its folder, \(folder)"
    case "jsonl", "csv":
      return "a table, and that of a data set is called \(MetadataFile.names.joined(separator: " or "))"
    case "tar": return "a shard of a data set: inspect the folder of the shards, \(folder)"
    case "txt", "caption":
      return "a text, which may be a picture's captions: inspect the folder of the pictures, \(folder)"
    case "npy", "npz": return "a file of NumPy, which baselines fit takes"
    case "json" where Checkpoint(url.deletingLastPathComponent()).configurationFile.lastPathComponent == name:
      return "the configuration of a checkpoint: inspect its folder, \(folder)"
    case _ where TarArchive.isCompressed(name):
      return "a compressed archive, which cannot be read: unpack it and inspect the folder"
    default: return nil
    }
  }

  private func inspectTensors(_ url: URL) throws -> Finding {
    var finding = Finding(kind: "safetensors", path: path, fields: [])
    let file = try SafeTensors(contentsOf: url)
    for name in file.names { finding.add(name, "\(file.shape(of: name) ?? [])") }
    return finding
  }

  private func inspectVocabulary(_ url: URL) throws -> Finding {
    var finding = Finding(kind: "vocabulary", path: path, fields: [])
    let vocabulary = try BytePairEncoding(contentsOf: url)
    finding.add("pieces", vocabulary.vocabularySize)
    let last = vocabulary.pieces((max(0, vocabulary.vocabularySize - 8)..<vocabulary.vocabularySize).map(Int32.init))
    finding.add("newest pieces", last.map { "\"\($0)\"" }.joined(separator: " "))
    return finding
  }
}
