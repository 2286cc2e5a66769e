import ArrayFiles
import Basics
import Decoding
import Foundation
import ImageTokenizers
import NN
import PretrainedTokenizers
import Priors
import TensorCore

/// A downloaded model of the Janus family, looked through: its shape, and its tensors by the names of the transformers library.
struct PublishedModel {
  let folder: URL
  let prior: Janus.Configuration
  let imageTokenizer: VQGAN.Configuration
  let template: PromptTemplate
  /// Tensors that nobody here knows, as the files name them.
  let unknown: [String]
  private let tensors: PublishedTensors
  /// What the files call a tensor.
  private let fileNames: [String: String]

  static let imageTokenizerPrefix = "model.vqmodel."
  /// Parts of the model that see pictures, and the head for text: drawing does without.
  private static let notNeeded = [
    "model.vision_model.", "model.aligner.", "lm_head.", imageTokenizerPrefix + "quantize.codebook_used",
  ]

  /// Reads headers and descriptions, and compares every shape with the one that it must have.
  /// - Parameter precision: what the layers' weights are to be kept as.
  /// - Throws: `PipelineError` of kind `.noInput` where a file is missing, `.badData` where one is damaged, one contradicts another
  ///   or the model is of another family.
  init(folder: URL, precision: WeightPrecision) throws(PipelineError) {
    self.folder = folder
    let description = try PublishedDescription(folder: folder)
    let tensors = try PublishedTensors(folder: folder)
    var fileNames: [String: String] = [:]
    for name in tensors.names {
      let known = description.isOriginal ? PublishedDescription.name(original: name) : name
      if let other = fileNames.updateValue(name, forKey: known) {
        throw PipelineError(.badData, "\(folder.path): \(other) and \(name) are one tensor by two names")
      }
    }
    let tokenizer = try PretrainedTokenizer(contentsOf: folder.appending(path: "tokenizer.json"))
    let isWithBars = tokenizer.id(of: "<|User|>") != nil
    template = PromptTemplate(
      before: isWithBars ? "<|User|>: " : "User: ",
      after: (isWithBars ? "\n\n<|Assistant|>:" : "\n\nAssistant:") + "<begin_of_image>")
    let names = fileNames
    func shape(_ name: String) throws(PipelineError) -> [Int] {
      guard let shape = names[name].flatMap(tensors.shape) else { throw Self.isMissing(name, folder) }
      return shape
    }
    do throws(PipelineError) {
      imageTokenizer = try Self.readImageTokenizer(
        pictureSize: description.pictureSize, names: Set(names.keys), shape: shape)
      prior = try Self.readPrior(description, tokenizer, imageTokenizer, template, precision)
    } catch { throw PipelineError(error.kind, "\(folder.path): \(error.message)") }
    let textRows = description.text.vocabSize ?? Janus.Configuration().textVocabulary
    guard tokenizer.vocabularySize <= textRows else {
      throw PipelineError(
        .badData, "\(folder.path): tokenizer.json has \(tokenizer.vocabularySize) tokens, and the model \(textRows)")
    }
    var needed = Self.shapes(of: prior, textRows: textRows, codeDimensions: imageTokenizer.codeDimensions)
    let model = VQGAN(imageTokenizer, .unread, precision: .float32)
    let theirNames = Dictionary(
      Self.names(fileNames.keys, below: Self.imageTokenizerPrefix).compactMap { name in
        VQGAN.name(published: name).map { ($0, name) }
      },
      uniquingKeysWith: { first, _ in first })
    for (name, tensor) in model.namedTensors() {
      guard let theirs = theirNames[name] else { throw Self.isMissing("\(name) of the image tokenizer", folder) }
      needed[Self.imageTokenizerPrefix + theirs] = Self.published(tensor.shape)
    }
    let expected = needed
    unknown = fileNames.filter { name, _ in
      expected[name] == nil && !Self.notNeeded.contains { name.hasPrefix($0) }
    }.values.sorted()
    (self.fileNames, self.tensors) = (fileNames, tensors)
    for (name, shape) in expected.sorted(by: { $0.key < $1.key }) { try check(name, shape) }
  }

  private static func isMissing(_ name: String, _ folder: URL) -> PipelineError {
    PipelineError(.badData, "\(folder.path) is no whole model: \(name) is missing")
  }

  /// - Throws: `PipelineError` of kind `.badData` where a tensor is missing or has another shape.
  private func check(_ name: String, _ shape: [Int]) throws(PipelineError) {
    guard let found = fileNames[name].flatMap(tensors.shape) else { throw Self.isMissing(name, folder) }
    guard found == shape else {
      throw PipelineError(
        .badData, "\(folder.path): \(fileNames[name] ?? name) has the shape \(found) where \(shape) is expected")
    }
  }

  /// Of a convolution's weight [O, KH, KW, C] as it is published: [O, C, KH, KW].
  static func published(_ shape: [Int]) -> [Int] {
    shape.count == 4 ? [shape[0], shape[3], shape[1], shape[2]] : shape
  }

  /// Names below a prefix, without it.
  func names(below prefix: String) -> [String] { Self.names(fileNames.keys, below: prefix) }

  private static func names(_ all: some Collection<String>, below prefix: String) -> [String] {
    all.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted()
  }

  /// The size of a tensor's first axis.
  func rowCount(_ name: String) -> Int { fileNames[name].flatMap(tensors.shape)?.first ?? 0 }

  /// - Returns: float32.
  func tensor(_ name: String) throws(PipelineError) -> Tensor { try tensors.tensor(fileNames[name] ?? name) }

  /// Rows of the first axis.
  /// - Returns: float32.
  func rows(_ name: String, _ range: Range<Int>) throws(PipelineError) -> Tensor {
    try tensors.rows(fileNames[name] ?? name, range)
  }

  /// Tells this model from others.
  func fingerprint() throws(PipelineError) -> String { try tensors.fingerprint() }

  // MARK: - Shapes

  /// The image tokenizer, by the shapes of its tensors: DeepSeek's description says nothing of them.
  private static func readImageTokenizer(
    pictureSize: Int, names: Set<String>, shape: (String) throws(PipelineError) -> [Int]
  ) throws(PipelineError) -> VQGAN.Configuration {
    func size(_ name: String, _ axis: Int) throws(PipelineError) -> Int {
      let sizes = try shape(imageTokenizerPrefix + name)
      guard sizes.indices.contains(axis) else {
        throw PipelineError(.badData, "\(name) of the image tokenizer has the shape \(sizes)")
      }
      return sizes[axis]
    }
    func count(_ name: (Int) -> String) -> Int {
      (0..<64).prefix { names.contains(imageTokenizerPrefix + name($0)) }.count
    }
    var c = VQGAN.Configuration()
    c.pictureSize = pictureSize
    c.baseChannels = try size("encoder.conv_in.weight", 0)
    c.blocks = count { "encoder.down.0.block.\($0).conv1.weight" }
    let levels = count { "encoder.down.\($0).block.0.conv1.weight" }
    c.channelMultipliers = []
    for level in 0..<levels {
      c.channelMultipliers.append(
        try size("encoder.down.\(level).block.0.conv1.weight", 0) / max(1, c.baseChannels))
    }
    c.latentChannels = try size("encoder.conv_out.weight", 0)
    c.codes = try size("quantize.embedding.weight", 0)
    c.codeDimensions = try size("quantize.embedding.weight", 1)
    try c.validate()
    return c
  }

  private static func readPrior(
    _ description: PublishedDescription, _ tokenizer: PretrainedTokenizer, _ imageTokenizer: VQGAN.Configuration,
    _ template: PromptTemplate, _ precision: WeightPrecision
  ) throws(PipelineError) -> Janus.Configuration {
    let (text, drawing) = (description.text, description.drawing)
    var c = Janus.Configuration()
    c.precision = precision
    c.textVocabulary = tokenizer.vocabularySize
    c.gridSide = imageTokenizer.layout.gridSides[0]
    c.imageVocabulary = imageTokenizer.codes
    c.width = text.hiddenSize ?? c.width
    c.layers = text.numHiddenLayers ?? c.layers
    c.heads = text.numAttentionHeads ?? c.heads
    c.keyHeads = text.numKeyValueHeads ?? c.heads
    c.headWidth = text.headDim ?? c.width / max(1, c.heads)
    c.feedForwardWidth = text.intermediateSize ?? c.feedForwardWidth
    c.normEpsilon = text.rmsNormEps ?? c.normEpsilon
    c.rotaryBase = description.ropeTheta
    c.guidance = drawing.guidanceScale ?? c.guidance
    c.temperature = drawing.temperature ?? c.temperature
    // Models of different sizes have different ids for the same tokens.
    func token(_ names: [String], _ described: Int32?) throws(PipelineError) -> Int32 {
      guard let id = names.lazy.compactMap(tokenizer.id).first ?? described else {
        throw PipelineError(.badData, "tokenizer.json has no \(names[0])")
      }
      return id
    }
    c.beginningOfText = try token(["<｜begin▁of▁sentence｜>"], drawing.bosTokenId ?? text.bosTokenId)
    c.padding = try token(["<｜▁pad▁｜>"], drawing.padTokenId ?? text.padTokenId)
    c.beginningOfImage = try token(["<begin_of_image>"], drawing.generationKwargs?.boiTokenId)
    c.closingTokens = tokenizer.encode(template.after).count
    try c.validate()
    return c
  }

  /// All tensors of the language model with its head and aligner.
  private static func shapes(of c: Janus.Configuration, textRows: Int, codeDimensions: Int) -> [String: [Int]] {
    let (query, key) = (c.heads * c.headWidth, c.keyHeads * c.headWidth)
    let (W, F) = (c.width, c.feedForwardWidth)
    var shapes: [String: [Int]] = [
      "model.language_model.embed_tokens.weight": [textRows, W], "model.language_model.norm.weight": [W],
      "model.generation_embeddings.weight": [c.imageVocabulary, codeDimensions],
      "model.generation_aligner.fc1.weight": [W, codeDimensions], "model.generation_aligner.fc1.bias": [W],
      "model.generation_aligner.hidden_layers.0.weight": [W, W], "model.generation_aligner.hidden_layers.0.bias": [W],
      "model.generation_head.proj_out.weight": [W, W], "model.generation_head.proj_out.bias": [W],
      "model.generation_head.vision_head.weight": [c.imageVocabulary, W],
      "model.generation_head.vision_head.bias": [c.imageVocabulary],
    ]
    for i in 0..<c.layers {
      let layer = "model.language_model.layers.\(i)."
      shapes[layer + "input_layernorm.weight"] = [W]
      shapes[layer + "post_attention_layernorm.weight"] = [W]
      shapes[layer + "self_attn.q_proj.weight"] = [query, W]
      shapes[layer + "self_attn.k_proj.weight"] = [key, W]
      shapes[layer + "self_attn.v_proj.weight"] = [key, W]
      shapes[layer + "self_attn.o_proj.weight"] = [W, query]
      shapes[layer + "mlp.gate_proj.weight"] = [F, W]
      shapes[layer + "mlp.up_proj.weight"] = [F, W]
      shapes[layer + "mlp.down_proj.weight"] = [W, F]
    }
    return shapes
  }
}
