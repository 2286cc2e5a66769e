import ArrayFiles
import Foundation
import TensorCore
import TestSupport

/// The small Janus in `Tests/Fixtures/janus`, as it is downloaded, and written in other ways.
public enum PublishedJanus {
  public static let url = Fixtures.url("janus")

  /// What the reference library makes of a caption.
  public struct Drawing: Decodable, Sendable {
    public var caption: String
    /// Tokens of the prompt.
    public var text: [Int32]
    /// Of the last position, with the caption and without.
    public var hidden: [[Float]]
    public var logits: [[Float]]
    /// The likeliest one each time.
    public var tokens: [Int32]
    /// [8, 8, 3], in [0, 1].
    public var pixels: [Float]
  }

  public static func drawings() throws -> [Drawing] {
    try JSONDecoder().decode([Drawing].self, from: Data(contentsOf: url.appending(path: "expected.json")))
  }

  /// Copies the folder.
  public static func copy(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
      try FileManager.default.copyItem(at: url.appending(path: name), to: folder.appending(path: name))
    }
  }

  /// Copies the folder with other weights.
  /// - Parameters:
  ///   - type: what they are stored as.
  ///   - shards: how many files there are; with an index where more than one.
  ///   - change: of the tensors by their names.
  public static func write(
    to folder: URL, as type: String = "BF16", shards: Int = 1,
    changing change: (inout [String: Tensor]) -> Void = { _ in }
  ) throws {
    try copy(to: folder)
    let file = folder.appending(path: "model.safetensors")
    let source = try SafeTensors(contentsOf: file)
    var tensors: [String: Tensor] = [:]
    for name in source.names { tensors[name] = try source.tensor(name) }
    try FileManager.default.removeItem(at: file)
    change(&tensors)
    let names = tensors.keys.sorted()
    var weightMap: [String: String] = [:]
    for shard in 0..<shards {
      let name = shards == 1 ? "model.safetensors" : "model-\(shard).safetensors"
      let mine = names.indices.filter { $0 % shards == shard }.map { names[$0] }
      let writer = try SafeTensorsWriter(
        to: folder.appending(path: name), tensors: mine.map { ($0, type, tensors[$0]!.shape) }, metadata: [:])
      for tensor in mine {
        weightMap[tensor] = name
        let scalars = tensors[tensor]!.scalars
        switch type {
        case "F16": try scalars.map { Float16($0) }.withUnsafeBytes { try writer.append($0) }
        case "F8_E4M3":
          try [UInt8](repeating: 0, count: scalars.count).withUnsafeBytes { try writer.append($0) }
        case "F32": try scalars.withUnsafeBytes { try writer.append($0) }
        default: try scalars.map { UInt16($0.bitPattern >> 16) }.withUnsafeBytes { try writer.append($0) }
        }
      }
      try writer.finish()
    }
    if shards > 1 {
      try JSONSerialization.data(withJSONObject: ["weight_map": weightMap])
        .write(to: folder.appending(path: "model.safetensors.index.json"))
    }
  }

  /// Copies the folder by DeepSeek's own names.
  public static func writeOriginal(to folder: URL, as type: String = "BF16", shards: Int = 1) throws {
    try write(to: folder, as: type, shards: shards) { tensors in
      tensors = Dictionary(uniqueKeysWithValues: tensors.map { (original($0), $1) })
      tensors["gen_vision_model.quantize.codebook_used"] = Tensor([1, 2], shape: [2])
    }
    try FileManager.default.removeItem(at: folder.appending(path: "generation_config.json"))
    let config: [String: Any] = [
      "model_type": "multi_modality",
      "language_config": [
        "model_type": "llama", "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
      ] as [String: Any],
      "vision_config": ["params": ["image_size": 8]],
    ]
    try JSONSerialization.data(withJSONObject: config).write(to: folder.appending(path: "config.json"))
  }

  private static func original(_ name: String) -> String {
    for (theirs, original) in [
      ("model.language_model.", "language_model.model."), ("model.generation_embeddings.", "gen_embed."),
      ("model.generation_aligner.fc1.", "gen_aligner.layers.0."),
      ("model.generation_aligner.hidden_layers.0.", "gen_aligner.layers.2."),
      ("model.generation_head.proj_out.", "gen_head.output_mlp_projector."),
      ("model.generation_head.vision_head.", "gen_head.vision_head."), ("model.vision_model.", "vision_model."),
      ("model.aligner.", "aligner."),
    ] where name.hasPrefix(theirs) { return original + name.dropFirst(theirs.count) }
    return name.replacing("model.vqmodel.", with: "gen_vision_model.")
      .replacing("mid.block_1", with: "mid.0").replacing("mid.attn_1", with: "mid.1")
      .replacing("mid.block_2", with: "mid.2")
      .replacing(".block.", with: ".res.").replacing("decoder.up.", with: "decoder.conv_blocks.")
      .replacing("encoder.down.", with: "encoder.conv_blocks.")
  }
}
