import Basics
import Foundation

/// What `config.json` and `generation_config.json` of a downloaded folder say, of either way of writing them.
struct PublishedDescription {
  /// Whether DeepSeek's own names are used, and not those of the transformers library.
  let isOriginal: Bool
  let text: Text
  /// Pixels a side, where the number of tokens a side does not stand there.
  let pictureSize: Int
  /// Tokens a side.
  let gridSide: Int?
  let drawing: Drawing

  /// The language model, of the Llama family.
  struct Text: Decodable {
    var modelType: String?
    var vocabSize: Int?
    var hiddenSize: Int?
    var intermediateSize: Int?
    var numHiddenLayers: Int?
    var numAttentionHeads: Int?
    var numKeyValueHeads: Int?
    var headDim: Int?
    var rmsNormEps: Float?
    var hiddenAct: String?
    var attentionBias: Bool?
    var mlpBias: Bool?
    var ropeTheta: Double?
    var ropeScaling: Rope?
    var ropeParameters: Rope?
    var bosTokenId: Int32?
    var padTokenId: Int32?

    struct Rope: Decodable {
      var ropeType: String?
      var type: String?
      var ropeTheta: Double?
    }
  }

  /// How the model wants to be drawn with.
  struct Drawing: Decodable {
    var guidanceScale: Float?
    var temperature: Float?
    var bosTokenId: Int32?
    var padTokenId: Int32?
    var generationKwargs: Arguments?

    struct Arguments: Decodable { var boiTokenId: Int32? }
  }

  private struct File: Decodable {
    var modelType: String?
    var textConfig: Text?
    var languageConfig: Text?
    var visionConfig: Vision?
    var vqConfig: Pictures?

    struct Vision: Decodable {
      var imageSize: Int?
      var params: Parameters?

      struct Parameters: Decodable { var imageSize: Int? }
    }
    struct Pictures: Decodable { var numPatches: Int? }
  }

  /// The largest `config.json` that is read, in bytes.
  private static let largestFile = 1 << 20

  /// The names of published models that can be imported.
  static let modelTypes = ["janus", "multi_modality"]

  /// - Throws: `PipelineError` of kind `.noInput` where there is no `config.json`, `.badData` where it is of another model.
  init(folder: URL) throws(PipelineError) {
    let url = folder.appending(path: "config.json")
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw PipelineError(.noInput, "\(folder.path) is no downloaded model: it has no config.json")
    }
    let file = try Self.decode(File.self, url)
    guard let type = file.modelType, Self.modelTypes.contains(type) else {
      let found = file.modelType.map { "is of a model of type \($0)" } ?? "names no model_type"
      throw PipelineError(
        .badData, "\(url.path) \(found); \(Self.modelTypes.joined(separator: " and ")) are known")
    }
    isOriginal = type == "multi_modality"
    text = (isOriginal ? file.languageConfig : file.textConfig) ?? Text()
    pictureSize = file.visionConfig?.imageSize ?? file.visionConfig?.params?.imageSize ?? 384
    gridSide = file.vqConfig?.numPatches
    let drawingFile = folder.appending(path: "generation_config.json")
    drawing =
      FileManager.default.fileExists(atPath: drawingFile.path) ? try Self.decode(Drawing.self, drawingFile) : Drawing()
    do throws(PipelineError) { try checkFamily() } catch {
      throw PipelineError(error.kind, "\(url.path): \(error.message)")
    }
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ url: URL) throws(PipelineError) -> Value {
    let json = try InputFile.contents(of: url, maximumByteCount: largestFile)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do { return try decoder.decode(type, from: json) } catch DecodingError.typeMismatch(_, let context) {
      let path = context.codingPath.map(\.stringValue).joined(separator: ".")
      // As it stands in the file.
      let field = path.replacing(/[A-Z]/) { "_" + $0.output.lowercased() }
      throw PipelineError(.badData, "\(url.path): \(field.isEmpty ? "what it holds" : field) is of the wrong type")
    } catch { throw PipelineError(.badData, "\(url.path) is no description of a model") }
  }

  /// What would compute something else is refused.
  private func checkFamily() throws(PipelineError) {
    func check(_ field: String, _ value: String?, _ known: String) throws(PipelineError) {
      guard value == nil || value == known else {
        throw PipelineError(.badData, "\(field) is \(value ?? ""), and only \(known) is known")
      }
    }
    try check("the language model's model_type", text.modelType, "llama")
    try check("hidden_act", text.hiddenAct, "silu")
    for rope in [text.ropeScaling, text.ropeParameters] {
      try check("the rotary positions' rope_type", rope?.ropeType ?? rope?.type, "default")
    }
    for (field, isThere) in [("attention_bias", text.attentionBias), ("mlp_bias", text.mlpBias)] {
      guard isThere != true else { throw PipelineError(.badData, "\(field) is true, which is not known") }
    }
  }

  var ropeTheta: Double { text.ropeParameters?.ropeTheta ?? text.ropeTheta ?? 10000 }

  /// What the transformers library calls a tensor of DeepSeek's own; those that it does not have stay as they are.
  static func name(original: String) -> String {
    for (theirs, ours) in [
      ("language_model.model.", "model.language_model."), ("language_model.lm_head.", "lm_head."),
      ("gen_embed.", "model.generation_embeddings."), ("gen_aligner.layers.0.", "model.generation_aligner.fc1."),
      ("gen_aligner.layers.2.", "model.generation_aligner.hidden_layers.0."),
      ("gen_head.output_mlp_projector.", "model.generation_head.proj_out."),
      ("gen_head.vision_head.", "model.generation_head.vision_head."), ("vision_model.", "model.vision_model."),
      ("aligner.", "model.aligner."),
    ] where original.hasPrefix(theirs) { return ours + original.dropFirst(theirs.count) }
    let pictures = "gen_vision_model."
    guard original.hasPrefix(pictures) else { return original }
    var parts = original.dropFirst(pictures.count).split(separator: ".").map(String.init)
    if parts.count > 2, parts[1] == "mid" {
      parts[2] = ["0": "block_1", "1": "attn_1", "2": "block_2"][parts[2]] ?? parts[2]
    }
    if parts.count > 3, parts[1] == "conv_blocks" {
      parts[1] = parts[0] == "encoder" ? "down" : "up"
      if parts[3] == "res" { parts[3] = "block" }
    }
    return "model.vqmodel." + parts.joined(separator: ".")
  }
}
