import ArrayFiles
import Basics
import Decoding
import Foundation
import PipelineTestSupport
import TensorCore
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct CheckpointImportTests {
  private func message(_ body: () throws -> Void) -> String {
    do { try body() } catch let error as PipelineError { return error.message } catch { return "\(error)" }
    return ""
  }

  /// What an import of a changed folder says; nothing may be written.
  private func refusal(
    of folder: URL, change: (URL) throws -> Void, tensors: (inout [String: Tensor]) -> Void = { _ in }
  ) throws -> String {
    let (published, target) = (folder.appending(path: "published"), folder.appending(path: "target"))
    try PublishedJanus.write(to: published, changing: tensors)
    try change(published)
    let message = message {
      try CheckpointImport(published, as: .int8).write(to: Checkpoint(target), on: ThreadTeam(count: 1))
    }
    #expect(!FileManager.default.fileExists(atPath: target.path))
    #expect(!message.contains("\n"))
    return message
  }

  private func edit(_ file: URL, _ change: (inout [String: Any]) -> Void) throws {
    var object = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    change(&object)
    try JSONSerialization.data(withJSONObject: object).write(to: file)
  }

  private func editText(_ folder: URL, _ change: (inout [String: Any]) -> Void) throws {
    try edit(folder.appending(path: "config.json")) { config in
      var text = config["text_config"] as? [String: Any] ?? [:]
      change(&text)
      config["text_config"] = text
    }
  }

  @Test func whatItIsMadeOfIsRead() throws {
    try withTemporaryFolder { folder in
      let target = Checkpoint(folder.appending(path: "target"))
      let published = try CheckpointImport(PublishedJanus.url, as: .int8)
      #expect(published.unknownTensors.isEmpty)
      var shares: [Double] = []
      try published.write(to: target, on: ThreadTeam(count: 2)) { shares.append($0) }
      #expect(shares.last == 1 && shares == shares.sorted())
      #expect(target.isComplete && !target.exists(target.trainingStateFile))
      let configuration = try target.readConfiguration()
      #expect(configuration.pictureSize == 8)
      #expect(configuration.prompt?.before == "<|User|>: ")
      #expect(configuration.prompt?.after == "\n\n<|Assistant|>:<begin_of_image>")
      // Only rows that the tokenizer can name are kept of the 320.
      #expect(configuration.prior?.textVocabulary == 294)
    }
  }

  @Test func aCheckpointThatIsThereIsNotReplaced() throws {
    try withTemporaryFolder { folder in
      let target = Checkpoint(folder)
      try Data("{}".utf8).write(to: target.configurationFile)
      let published = try CheckpointImport(PublishedJanus.url, as: .float32)
      #expect(message { try published.write(to: target, on: ThreadTeam(count: 1)) }.contains("a checkpoint already"))
      #expect(try Data(contentsOf: target.configurationFile) == Data("{}".utf8))
    }
  }

  @Test(arguments: [1, 7, 18]) func anImportThatWasInterruptedGoesOn(_ panels: Int) throws {
    try withTemporaryFolder { folder in
      let (whole, interrupted) = (Checkpoint(folder.appending(path: "a")), Checkpoint(folder.appending(path: "b")))
      let published = try CheckpointImport(PublishedJanus.url, as: .bfloat16)
      let team = try ThreadTeam(count: 1)
      try published.write(to: whole, on: team)
      // As far as a run that was killed there came.
      let source = try SafeTensors(contentsOf: whole.priorFile)
      let parts = try PublishedModel(folder: PublishedJanus.url, precision: .bfloat16).prior.storedParts
      try AtomicFile.createDirectory(interrupted.url)
      var writer: SafeTensorsWriter? = try SafeTensorsWriter(
        to: interrupted.priorFile,
        tensors: parts.map { ($0.name, source.elementTypeName(of: $0.name) ?? "", source.shape(of: $0.name) ?? []) },
        metadata: source.metadata)
      for part in parts.prefix(panels) {
        let bytes = try source.mapped(part.name)
        try writer?.append(UnsafeRawBufferPointer(start: bytes.pointer, count: bytes.byteCount))
      }
      writer = nil
      var shares: [Double] = []
      try published.write(to: interrupted, on: team) { shares.append($0) }
      #expect((shares.first ?? 0) > 0 && shares.last == 1)
      #expect(shares.count == parts.count - panels)
      #expect(try Data(contentsOf: interrupted.priorFile) == Data(contentsOf: whole.priorFile))
    }
  }

  @Test func unknownTensorsAreNamed() throws {
    try withTemporaryFolder { folder in
      try PublishedJanus.write(to: folder.appending(path: "x")) {
        $0["model.video_head.weight"] = Tensor([1], shape: [1])
      }
      #expect(
        try CheckpointImport(folder.appending(path: "x"), as: .int4).unknownTensors == ["model.video_head.weight"])
    }
  }

  @Test func foldersThatAreNotOfTheFamilyAreRefused() throws {
    try withTemporaryFolder { folder in
      #expect(message { _ = try CheckpointImport(folder, as: .int8) }.contains("has no config.json"))
    }
    for (type, expected) in [("qwen2", "type qwen2"), ("", "type ")] {
      try withTemporaryFolder { folder in
        let message = try refusal(of: folder) { published in
          try edit(published.appending(path: "config.json")) { $0["model_type"] = type }
        }
        #expect(message.contains(expected) && message.contains("janus and multi_modality"))
      }
    }
    let changes: [(String, Any, String)] = [
      ("hidden_act", "gelu", "hidden_act is gelu"), ("attention_bias", true, "attention_bias"),
      ("rope_scaling", ["type": "yarn"], "rope_type is yarn"), ("model_type", "gemma", "gemma"),
      ("num_hidden_layers", 1 << 40, "layers"), ("num_hidden_layers", 3, "layers.2"),
      ("num_hidden_layers", 1, "layers.1"),
      ("num_hidden_layers", "two", "wrong type"), ("num_attention_heads", 0, "heads"),
      ("num_key_value_heads", 3, "key_heads"), ("intermediate_size", 95, "feed_forward_width"),
      ("intermediate_size", 128, "has the shape [64, 96] where [64, 128]"), ("vocab_size", 100, "tokenizer.json has"),
      ("hidden_size", 1 << 62, "width"),
    ]
    for (field, value, expected) in changes {
      try withTemporaryFolder { folder in
        let message = try refusal(of: folder) { published in try editText(published) { $0[field] = value } }
        #expect(message.contains(expected), "\(field): \(message)")
      }
    }
  }

  @Test func weightsThatAreNotWholeAreRefused() throws {
    let norm = "model.language_model.norm.weight"
    try withTemporaryFolder { folder in
      let message = try refusal(of: folder, change: { _ in }, tensors: { $0[norm] = nil })
      #expect(message.contains("\(norm) is missing"))
    }
    try withTemporaryFolder { folder in
      let message = try refusal(of: folder, change: { _ in }, tensors: { $0[norm] = Tensor.zeros([63]) })
      #expect(message.contains("\(norm) has the shape [63] where [64]"))
    }
    try withTemporaryFolder { folder in
      let name = "model.vqmodel.decoder.conv_in.weight"
      let message = try refusal(of: folder, change: { _ in }, tensors: { $0[name] = Tensor.zeros([32, 32, 3, 1]) })
      #expect(message.contains("\(name) has the shape [32, 32, 3, 1]"))
    }
    try withTemporaryFolder { folder in
      let message = try refusal(of: folder) { published in
        try Data(Data(contentsOf: PublishedJanus.url.appending(path: "model.safetensors")).dropLast(100))
          .write(to: published.appending(path: "model.safetensors"))
      }
      #expect(message.contains("model.safetensors"))
    }
  }

  @Test func whatWouldComputeSomethingElseIsRefused() throws {
    for name in [
      "model.language_model.layers.0.self_attn.q_proj.bias", "model.generation_head.gate.weight",
      "model.vqmodel.decoder.extra.weight", "model.vqmodel.decoder._.weight", "model.vqmodel.encoder.__.bias",
    ] {
      try withTemporaryFolder { folder in
        let message = try refusal(of: folder, change: { _ in }, tensors: { $0[name] = Tensor([1], shape: [1]) })
        #expect(message.contains("nothing here knows what"), "\(name): \(message)")
      }
    }
    // Of old checkpoints, in which what the rotation takes stands, too.
    try withTemporaryFolder { folder in
      try PublishedJanus.write(to: folder.appending(path: "x")) {
        $0["model.language_model.layers.0.self_attn.rotary_emb.inv_freq"] = Tensor([1], shape: [1])
      }
      #expect(try CheckpointImport(folder.appending(path: "x"), as: .int8).unknownTensors.isEmpty)
    }
  }

  @Test func typesThatAreNotReadAreRefusedBeforehand() throws {
    try withTemporaryFolder { folder in
      try PublishedJanus.write(to: folder.appending(path: "x"), as: "F8_E4M3")
      #expect(
        message { _ = try CheckpointImport(folder.appending(path: "x"), as: .int8) }.contains("has the type F8_E4M3"))
    }
  }

  @Test func numbersThatAreNotFiniteAreRefused() throws {
    for (name, value) in [
      ("model.language_model.layers.1.mlp.up_proj.weight", Float.infinity),
      ("model.vqmodel.decoder.conv_in.bias", .nan), ("model.generation_embeddings.weight", -.infinity),
    ] {
      try withTemporaryFolder { folder in
        let published = folder.appending(path: "x")
        try PublishedJanus.write(to: published) { tensors in
          var scalars = tensors[name]!.scalars
          scalars[scalars.count / 2] = value
          tensors[name] = Tensor(scalars, shape: tensors[name]!.shape)
        }
        let target = Checkpoint(folder.appending(path: "target"))
        #expect(
          message { try CheckpointImport(published, as: .int4).write(to: target, on: ThreadTeam(count: 2)) }
            .contains("\(name) holds numbers that are not finite"))
        #expect(!target.isComplete)
      }
    }
  }

  /// A few kilobytes do not decide how much memory is asked for.
  @Test func anImageTokenizerThatItsFileCannotHoldIsRefused() throws {
    try withTemporaryFolder { folder in
      let message = try refusal(of: folder, change: { _ in }) { tensors in
        tensors["model.vqmodel.encoder.conv_in.weight"] = .zeros([1024, 1])
        for level in 0..<2 {
          tensors["model.vqmodel.encoder.down.\(level).block.0.conv1.weight"] = .zeros([16384, 1])
        }
      }
      #expect(message.contains("too few for its channels"), "\(message)")
    }
  }

  /// DeepSeek's own description of its larger model leaves out all in which that is like the smallest Llama.
  @Test func whatADescriptionLeavesOutIsALlamas() throws {
    try withTemporaryFolder { folder in
      let message = try refusal(of: folder) { published in
        try edit(published.appending(path: "config.json")) { config in
          config["text_config"] = ["model_type": "llama", "num_hidden_layers": 2, "vocab_size": 320] as [String: Any]
        }
      }
      #expect(message.contains("where [64, 4096] is expected") || message.contains("4096"), "\(message)")
    }
  }

  @Test func aFolderWithOtherFilesIsLeftAlone() throws {
    try withTemporaryFolder { folder in
      try Data("mine".utf8).write(to: folder.appending(path: "README.md"))
      let published = try CheckpointImport(PublishedJanus.url, as: .int8)
      #expect(
        message { try published.write(to: Checkpoint(folder), on: ThreadTeam(count: 1)) }.contains("holds README.md"))
      #expect(try Data(contentsOf: folder.appending(path: "README.md")) == Data("mine".utf8))
      #expect(!Checkpoint(folder).hasImageTokenizer)
    }
  }

  @Test func anotherPrecisionBeginsAnew() throws {
    try withTemporaryFolder { folder in
      let (a, b) = (Checkpoint(folder.appending(path: "a")), Checkpoint(folder.appending(path: "b")))
      let team = try ThreadTeam(count: 1)
      try CheckpointImport(PublishedJanus.url, as: .int8).write(to: a, on: team)
      try CheckpointImport(PublishedJanus.url, as: .bfloat16).write(to: b, on: team)
      // As if the import in int8 had been interrupted where all but the configuration was there.
      try FileManager.default.removeItem(at: a.configurationFile)
      try CheckpointImport(PublishedJanus.url, as: .bfloat16).write(to: a, on: team)
      for file in [\Checkpoint.priorFile, \.imageTokenizerFile, \.configurationFile] {
        #expect(try Data(contentsOf: a[keyPath: file]) == Data(contentsOf: b[keyPath: file]))
      }
    }
  }

  @Test func twoAtOnceAreNotOne() throws {
    try withTemporaryFolder { folder in
      let lock = try CheckpointLock(of: folder)
      let published = try CheckpointImport(PublishedJanus.url, as: .int8)
      #expect(
        message { try published.write(to: Checkpoint(folder), on: ThreadTeam(count: 1)) }.contains(
          "another run is writing"))
      withExtendedLifetime(lock) {}
    }
  }

  @Test func aConfigurationWithoutItsPromptIsRefused() throws {
    try withTemporaryFolder { folder in
      let checkpoint = Checkpoint(folder.appending(path: "x"))
      try CheckpointImport(PublishedJanus.url, as: .int8).write(to: checkpoint, on: ThreadTeam(count: 1))
      try edit(checkpoint.configurationFile) { $0["prompt"] = nil }
      let configuration = try checkpoint.readConfiguration()
      #expect(message { _ = try checkpoint.readTextEncoder(configuration) }.contains("belongs to a prior"))
      try edit(checkpoint.configurationFile) { config in
        var prior = config["prior"] as? [String: Any] ?? [:]
        prior["panels"] = 2
        config["prior"] = prior
      }
      #expect(message { _ = try checkpoint.readConfiguration() }.contains("import the model again"))
    }
  }

  @Test func aTokenizerOfAnotherKindIsRefused() throws {
    for (json, expected) in [
      ("{", "tokenizer"), (#"{"model": {"type": "Unigram", "vocab": []}}"#, "Unigram"),
      (#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#, "begin▁of▁sentence"),
    ] {
      try withTemporaryFolder { folder in
        let message = try refusal(of: folder) { published in
          try Data(json.utf8).write(to: published.appending(path: "tokenizer.json"))
          try editText(published) { $0["bos_token_id"] = nil }
          try FileManager.default.removeItem(at: published.appending(path: "generation_config.json"))
        }
        #expect(message.contains(expected), "\(message)")
      }
    }
  }

  @Test func aDownloadedFolderSaysThatItMustBeImported() {
    #expect(
      message { _ = try Checkpoint(PublishedJanus.url).readConfiguration() }.contains("dalle-cli import"))
  }
}
