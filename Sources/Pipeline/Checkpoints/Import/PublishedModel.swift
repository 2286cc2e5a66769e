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
  private(set) var unknown: [String] = []
  /// Where each part of the prior's file comes from: published tensors, one below the other but for those of `imageInputs`.
  let sources: [String: [Source]]
  /// Of the image tokenizer's tensors, without ``imageTokenizerPrefix``.
  let imageTokenizerNames: [String]
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
      imageTokenizer = try Self.readImageTokenizer(description, names: Set(names.keys), shape: shape)
      prior = try Self.readPrior(description, tokenizer, imageTokenizer, template, precision)
    } catch { throw PipelineError(error.kind, "\(folder.path): \(error.message)") }
    let textRows = description.text.vocabSize ?? Llama.vocabSize
    guard tokenizer.vocabularySize <= textRows else {
      throw PipelineError(
        .badData, "\(folder.path): tokenizer.json has \(tokenizer.vocabularySize) tokens, and the model \(textRows)")
    }
    sources = Self.sources(of: prior, textRows: textRows, codeDimensions: imageTokenizer.codeDimensions)
    imageTokenizerNames = Self.names(fileNames.keys, below: Self.imageTokenizerPrefix).filter {
      VQGAN.name(published: $0) != nil
    }
    (self.fileNames, self.tensors) = (fileNames, tensors)
    try checkImageTokenizer()
    for source in sources.values.flatMap(\.self).sorted(by: { $0.name < $1.name }) {
      try check(source.name, source.shape)
    }
    unknown = try unknownTensors()
  }

  /// What of the language model, its head and its aligner is computed here.
  private static let computed = ["model.language_model.", "model.generation_"]

  /// - Throws: `PipelineError` of kind `.badData` where one would change what is computed.
  private func unknownTensors() throws(PipelineError) -> [String] {
    let needed = Set(sources.values.flatMap(\.self).map(\.name))
      .union(imageTokenizerNames.map { Self.imageTokenizerPrefix + $0 })
    let unknown = fileNames.keys.filter { name in
      !needed.contains(name) && !Self.notNeeded.contains { name.hasPrefix($0) }
        && !name.hasSuffix(".rotary_emb.inv_freq")
    }.sorted()
    if let name = unknown.first(where: { name in Self.computed.contains { name.hasPrefix($0) } }) {
      throw PipelineError(
        .badData, "\(folder.path): nothing here knows what \(fileNames[name] ?? name) is for: it is another model")
    }
    return unknown.map { fileNames[$0] ?? $0 }
  }

  /// Compares names and shapes, without making a model of a size that nothing but a few of them says.
  private func checkImageTokenizer() throws(PipelineError) {
    var parameters = 0
    for name in imageTokenizerNames {
      let shape = fileNames[Self.imageTokenizerPrefix + name].flatMap(tensors.shape) ?? []
      // Each shape is that of a tensor in a file, and so its product is known to be possible.
      parameters += shape.reduce(1, *)
    }
    // A smaller difference is told by the tensor's name.
    guard imageTokenizer.leastParameterCount / 2 <= parameters else {
      throw PipelineError(
        .badData,
        "\(folder.path): the image tokenizer has \(parameters) parameters, too few for its channels")
    }
    let theirs = Dictionary(
      imageTokenizerNames.compactMap { name in VQGAN.name(published: name).map { ($0, name) } },
      uniquingKeysWith: { first, _ in first })
    let model = VQGAN(imageTokenizer, .unread, precision: .bfloat16)
    let own = model.namedTensors()
    for (name, tensor) in own {
      guard let published = theirs[name] else { throw Self.isMissing("\(name) of the image tokenizer", folder) }
      try check(Self.imageTokenizerPrefix + published, Self.published(tensor.shape))
    }
    guard own.count == imageTokenizerNames.count else {
      let known = Set(own.map(\.name))
      let other = imageTokenizerNames.first { !known.contains(VQGAN.name(published: $0) ?? "") } ?? "a tensor"
      throw PipelineError(.badData, "\(folder.path): nothing here knows what \(other) of the image tokenizer is for")
    }
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
    let type = fileNames[name].flatMap(tensors.elementType) ?? "none"
    guard PublishedTensors.elementTypes.contains(type) else {
      throw PipelineError(
        .badData, "\(folder.path): \(fileNames[name] ?? name) has the type \(type); F32, F16 and BF16 are supported")
    }
  }

  /// Of a convolution's weight [O, KH, KW, C] as it is published: [O, C, KH, KW].
  static func published(_ shape: [Int]) -> [Int] {
    shape.count == 4 ? [shape[0], shape[3], shape[1], shape[2]] : shape
  }

  private static func names(_ all: some Collection<String>, below prefix: String) -> [String] {
    all.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted()
  }

  /// - Returns: float32.
  /// - Throws: `PipelineError` of kind `.badData` where a number is not finite, `.inputOutput` where reading fails.
  func tensor(_ name: String) throws(PipelineError) -> Tensor {
    let tensor = try tensors.tensor(fileNames[name] ?? name)
    return try finite(tensor, name)
  }

  /// Rows of the first axis; otherwise as ``tensor(_:)``.
  func rows(_ name: String, _ range: Range<Int>) throws(PipelineError) -> Tensor {
    let tensor = try tensors.rows(fileNames[name] ?? name, range)
    return try finite(tensor, name)
  }

  private func finite(_ tensor: Tensor, _ name: String) throws(PipelineError) -> Tensor {
    guard tensor.isFinite else {
      throw PipelineError(.badData, "\(folder.path): \(fileNames[name] ?? name) holds numbers that are not finite")
    }
    return tensor
  }

  /// Tells this model from others.
  func fingerprint() throws(PipelineError) -> String { try tensors.fingerprint() }

  // MARK: - Shapes

  /// The image tokenizer, by the shapes of its tensors: DeepSeek's description says nothing of them.
  private static func readImageTokenizer(
    _ description: PublishedDescription, names: Set<String>, shape: (String) throws(PipelineError) -> [Int]
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
    c.baseChannels = try size("encoder.conv_in.weight", 0)
    c.blocks = count { "encoder.down.0.block.\($0).conv1.weight" }
    let levels = count { "encoder.down.\($0).block.0.conv1.weight" }
    c.channelMultipliers = []
    for level in 0..<levels {
      c.channelMultipliers.append(
        try size("encoder.down.\(level).block.0.conv1.weight", 0) / max(1, c.baseChannels))
    }
    if let side = description.gridSide {
      guard (1...256).contains(side) else { throw PipelineError(.badData, "num_patches must be 1 to 256, not \(side)") }
      c.pictureSize = side << max(0, levels - 1)
    } else {
      c.pictureSize = description.pictureSize
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
    c.width = text.hiddenSize ?? Llama.hiddenSize
    c.layers = text.numHiddenLayers ?? Llama.numHiddenLayers
    c.heads = text.numAttentionHeads ?? Llama.numAttentionHeads
    c.keyHeads = text.numKeyValueHeads ?? c.heads
    c.headWidth = text.headDim ?? c.width / max(1, c.heads)
    c.feedForwardWidth = text.intermediateSize ?? Llama.intermediateSize
    c.normEpsilon = text.rmsNormEps ?? c.normEpsilon
    c.rotaryBase = description.ropeTheta
    c.guidance = drawing.guidanceScale ?? c.guidance
    c.temperature = drawing.temperature ?? c.temperature
    // Models of different sizes have different ids for the same tokens.
    func token(_ name: String, _ described: Int32?) throws(PipelineError) -> Int32 {
      guard let id = tokenizer.id(of: name) ?? described else {
        throw PipelineError(.badData, "tokenizer.json has no \(name)")
      }
      return id
    }
    c.beginningOfText = try token("<｜begin▁of▁sentence｜>", drawing.bosTokenId ?? text.bosTokenId)
    c.padding = try token("<｜▁pad▁｜>", drawing.padTokenId ?? text.padTokenId)
    c.beginningOfImage = try token("<begin_of_image>", drawing.generationKwargs?.boiTokenId)
    let closing = tokenizer.encode(template.after)
    guard closing.last == c.beginningOfImage else {
      throw PipelineError(.badData, "tokenizer.json does not end a prompt with <begin_of_image>")
    }
    c.closingTokens = closing.count
    try c.validate()
    return c
  }

  /// A published tensor.
  struct Source {
    var name: String
    var shape: [Int]
  }

  private static func sources(
    of c: Janus.Configuration, textRows: Int, codeDimensions: Int
  ) -> [String: [Source]] {
    let (query, key, W, F) = (c.heads * c.headWidth, c.keyHeads * c.headWidth, c.width, c.feedForwardWidth)
    func source(_ name: String, _ shape: Int...) -> Source { Source(name: "model.\(name)", shape: shape) }
    var sources = [
      "textEmbedding": [source("language_model.embed_tokens.weight", textRows, W)],
      // The codes' vectors, and the aligner's two layers, which make the table of them.
      "imageInputs": [
        source("generation_embeddings.weight", c.imageVocabulary, codeDimensions),
        source("generation_aligner.fc1.weight", W, codeDimensions), source("generation_aligner.fc1.bias", W),
        source("generation_aligner.hidden_layers.0.weight", W, W), source("generation_aligner.hidden_layers.0.bias", W),
      ],
      "norm": [source("language_model.norm.weight", W)],
      "headHidden": [source("generation_head.proj_out.weight", W, W)],
      "headHidden.bias": [source("generation_head.proj_out.bias", W)],
      "imageHead": [source("generation_head.vision_head.weight", c.imageVocabulary, W)],
      "imageHead.bias": [source("generation_head.vision_head.bias", c.imageVocabulary)],
    ]
    for i in 0..<c.layers {
      let (part, layer) = ("layers.\(i).", "language_model.layers.\(i).")
      sources[part + "attentionNorm"] = [source(layer + "input_layernorm.weight", W)]
      sources[part + "queryKeyValue"] = [
        source(layer + "self_attn.q_proj.weight", query, W), source(layer + "self_attn.k_proj.weight", key, W),
        source(layer + "self_attn.v_proj.weight", key, W),
      ]
      sources[part + "attentionOutput"] = [source(layer + "self_attn.o_proj.weight", W, query)]
      sources[part + "feedForwardNorm"] = [source(layer + "post_attention_layernorm.weight", W)]
      sources[part + "gateUp"] = [
        source(layer + "mlp.gate_proj.weight", F, W), source(layer + "mlp.up_proj.weight", F, W),
      ]
      sources[part + "down"] = [source(layer + "mlp.down_proj.weight", W, F)]
    }
    return sources
  }
}

/// What a description of a model of the Llama family leaves out it means so (Touvron et al. 2023, table 2, the smallest).
private enum Llama {
  static let vocabSize = 32000
  static let hiddenSize = 4096
  static let intermediateSize = 11008
  static let numHiddenLayers = 32
  static let numAttentionHeads = 32
}

extension Tensor {
  /// Whether none of the numbers is infinite or none at all.
  fileprivate var isFinite: Bool {
    withUnsafeBytes { bytes in
      // A product with zero is zero, or not a number.
      bytes.bindMemory(to: Float.self).reduce(0) { $0 + $1 * 0 } == 0
    }
  }
}
