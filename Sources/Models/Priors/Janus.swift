import Basics
import Decoding
import NN
import TensorCore

/// Janus (Wu et al. 2024, section 3.1; Chen et al. 2025): a language model of the Llama family (Touvron et al. 2023) that goes on
/// with a picture where a caption ends, the picture's tokens being those of a VQGAN. It is trained elsewhere and only draws.
///
/// The sequence is the prompt's tokens, the last one of which opens the picture, then the picture's row by row:
///
///     x = textEmbedding[text], imageInputs[image]
///     x = x + output(attention(rotate(queries), rotate(keys), values))   of attentionNorm(x)      for each layer
///     x = x + down(silu(gate)·up)                                        of feedForwardNorm(x)
///     p(image token i+1) = softmax(imageHead(gelu(headHidden(norm(x_t)))))   from the prompt's last token on
///
/// Norms are by the root of the mean square (Zhang & Sennrich 2019), positions rotate queries and keys (Su et al. 2021), and nothing
/// but the head has biases. What the paper calls the generation aligner, two layers on a code's vector, depends on the token alone
/// and is a table here, `imageInputs`.
public struct Janus: Prior {
  public struct Configuration: PriorConfiguration {
    /// Tokens of a prompt that there is room for, what is put around a caption among them.
    public var textLength = 1024
    public var textVocabulary = 102_400
    public var gridSide = 24
    public var imageVocabulary = 16384
    public var width = 2048
    public var layers = 24
    public var heads = 16
    /// Heads of keys and values, each shared by as many of queries (Ainslie et al. 2023).
    public var keyHeads = 16
    public var headWidth = 128
    /// Of the layers between ``width`` and itself.
    public var feedForwardWidth = 5632
    /// ε of the norms.
    public var normEpsilon: Float = 1e-6
    /// The slowest pair of a head turns by this much less than the fastest (Su et al. 2021, eq. 15).
    public var rotaryBase = 10000.0
    /// What the layers' weights are kept as; with whole numbers the head is in bfloat16, on which guidance bears directly.
    public var precision = WeightPrecision.bfloat16
    /// The token that every prompt begins with.
    public var beginningOfText: Int32 = 100_000
    /// The one that stands for the caption's tokens where there is none.
    public var padding: Int32 = 100_015
    /// The one that a prompt ends with.
    public var beginningOfImage: Int32 = 100_016
    /// How many tokens at a prompt's end are not the caption's, and stay where it is too long.
    public var closingTokens = 1
    /// Which way of packing weights the file has.
    public var panels = 1
    /// How the model wants its tokens drawn.
    public var guidance: Float = 5
    public var temperature: Float = 1

    public init() {}

    public var codesPerPlace: Int { 1 }
    public var beginningOfPrompt: Int32? { beginningOfText }
    /// As the model's authors draw: guidance on the plain logits, and no cut.
    public var sampling: SamplingOptions {
      SamplingOptions(temperature: temperature, topK: 0, guidance: guidance, plausibleShare: 0)
    }
    /// Text and image tokens together.
    public var sequenceLength: Int { textLength + imageLength }
    /// The columns of queries, keys and values side by side.
    var queryKeyValueWidth: Int { (heads + 2 * keyHeads) * headWidth }
    var headPrecision: WeightPrecision { precision == .float32 ? .float32 : .bfloat16 }
    /// What tables, and the keys and values of positions seen, are kept as.
    package var elementType: ElementType { precision == .float32 ? .float32 : .bfloat16 }
  }

  /// One of the transformer's layers.
  struct Layer {
    let attentionNorm: Tensor
    let queryKeyValue, attentionOutput: PackedWeight
    let feedForwardNorm: Tensor
    /// The gates and what they let through, a panel of each in turn.
    let gateUp: PackedWeight
    let down: PackedWeight
  }

  public let configuration: Configuration
  /// [textVocabulary, width]
  let textEmbedding: Tensor
  /// [imageVocabulary, width]
  let imageInputs: Tensor
  let layers: [Layer]
  let norm: Tensor
  let headHidden, imageHead: PackedWeight

  /// Tables and weights stay in the file, which is mapped.
  /// - Throws: `PipelineError` of kind `.badData` where it does not hold such a model.
  public init(_ c: Configuration, reading weights: some WeightSource) throws(PipelineError) {
    configuration = c
    func table(_ name: String, _ rows: Int) throws(PipelineError) -> Tensor {
      let type = c.elementType == .float32 ? "F32" : "BF16"
      let bytes = try Self.mapped(name, type, byteCount: rows * c.width * c.elementType.size, weights)
      return Tensor(bytes, shape: [rows, c.width], type: c.elementType)
    }
    func vector(_ name: String, _ count: Int) throws(PipelineError) -> Tensor {
      let tensor = try weights.tensor(name)
      guard tensor.shape == [count], tensor.type == .float32 else {
        throw PipelineError(.badData, "\(name) has the shape \(tensor.shape) where [\(count)] is expected")
      }
      return tensor
    }
    func packed(_ part: PackedPart, _ name: String) throws(PipelineError) -> PackedWeight {
      let bytes = try Self.mapped(name, "U8", byteCount: part.byteCount, weights)
      return PackedWeight(
        bytes.pointer, keptBy: bytes, outputs: part.outputs, inputs: part.inputs, as: part.precision,
        bias: part.hasBias ? try vector(name + ".bias", part.outputs) : nil)
    }
    textEmbedding = try table("textEmbedding", c.textVocabulary)
    imageInputs = try table("imageInputs", c.imageVocabulary)
    var layers: [Layer] = []
    for i in 0..<c.layers {
      let name = "layers.\(i)"
      layers.append(
        Layer(
          attentionNorm: try vector("\(name).attentionNorm", c.width),
          queryKeyValue: try packed(c.queryKeyValue, "\(name).queryKeyValue"),
          attentionOutput: try packed(c.attentionOutput, "\(name).attentionOutput"),
          feedForwardNorm: try vector("\(name).feedForwardNorm", c.width),
          gateUp: try packed(c.gateUp, "\(name).gateUp"), down: try packed(c.down, "\(name).down")))
    }
    self.layers = layers
    norm = try vector("norm", c.width)
    headHidden = try packed(c.headHidden, "headHidden")
    imageHead = try packed(c.imageHead, "imageHead")
  }

  private static func mapped(
    _ name: String, _ type: String, byteCount: Int, _ weights: some WeightSource
  ) throws(PipelineError) -> MappedBytes {
    let bytes = try weights.mapped(name)
    let found = weights.elementTypeName(of: name) ?? type
    guard bytes.byteCount == byteCount, found == type else {
      throw PipelineError(
        .badData,
        "\(name) has \(bytes.byteCount) bytes of the type \(found) where \(byteCount) of the type \(type) are expected")
    }
    return bytes
  }

  public var textLength: Int { configuration.textLength }
  public var imageVocabulary: Int { configuration.imageVocabulary }
  public var gridSide: Int { configuration.gridSide }
  public var parameterCount: Int { configuration.parameterCount }
  public var sampling: SamplingOptions { configuration.sampling }

  public func makeDecoder(team: ThreadTeam) -> any ImageTokenDecoder { JanusDecoder(self, team: team) }
}

// MARK: - What a file holds

/// A packed weight's shape.
package struct PackedPart: Sendable {
  /// N
  package var outputs: Int
  /// K
  package var inputs: Int
  package var precision: WeightPrecision
  package var hasBias = false

  package var byteCount: Int { PackedWeight.byteCount(outputs: outputs, inputs: inputs, as: precision) }
}

extension Janus.Configuration {
  package var queryKeyValue: PackedPart { .init(outputs: queryKeyValueWidth, inputs: width, precision: precision) }
  package var attentionOutput: PackedPart { .init(outputs: width, inputs: heads * headWidth, precision: precision) }
  package var gateUp: PackedPart { .init(outputs: 2 * feedForwardWidth, inputs: width, precision: precision) }
  package var down: PackedPart { .init(outputs: width, inputs: feedForwardWidth, precision: precision) }
  package var headHidden: PackedPart {
    .init(outputs: width, inputs: width, precision: headPrecision, hasBias: true)
  }
  package var imageHead: PackedPart {
    .init(outputs: imageVocabulary, inputs: width, precision: headPrecision, hasBias: true)
  }

  /// What a file holds of a part of the model.
  package enum StoredPart: Sendable {
    /// Float32.
    case vector(Int)
    case table(rows: Int, columns: Int, type: ElementType)
    case packed(PackedPart)

    package var byteCount: Int {
      switch self {
      case .vector(let count): 4 * count
      case .table(let rows, let columns, let type): rows * columns * type.size
      case .packed(let part): part.byteCount
      }
    }
  }

  /// All that a file holds, in the order in which drawing reads it.
  package var storedParts: [(name: String, part: StoredPart)] {
    var parts: [(name: String, part: StoredPart)] = [
      ("textEmbedding", .table(rows: textVocabulary, columns: width, type: elementType)),
      ("imageInputs", .table(rows: imageVocabulary, columns: width, type: elementType)),
    ]
    func add(_ name: String, _ part: PackedPart) {
      parts.append((name, .packed(part)))
      if part.hasBias { parts.append((name + ".bias", .vector(part.outputs))) }
    }
    for i in 0..<layers {
      parts.append(("layers.\(i).attentionNorm", .vector(width)))
      add("layers.\(i).queryKeyValue", queryKeyValue)
      add("layers.\(i).attentionOutput", attentionOutput)
      parts.append(("layers.\(i).feedForwardNorm", .vector(width)))
      add("layers.\(i).gateUp", gateUp)
      add("layers.\(i).down", down)
    }
    parts.append(("norm", .vector(width)))
    add("headHidden", headHidden)
    add("imageHead", imageHead)
    return parts
  }

  /// The bytes that drawing a token reads, whatever the number of pictures.
  package var bytesPerToken: Int {
    let layer = [queryKeyValue, attentionOutput, gateUp, down].reduce(0) { $0 + $1.byteCount }
    return layers * layer + headHidden.byteCount + imageHead.byteCount
  }

  /// Multiplications of a sequence's token, but for those of attention.
  package var multiplicationsPerToken: Int {
    let layer = [queryKeyValue, attentionOutput, gateUp, down].reduce(0) { $0 + $1.outputs * $1.inputs }
    return layers * layer + width * (width + imageVocabulary)
  }
}

// MARK: - Its shape

extension Janus.Configuration {
  public static let kind = "janus"
  public static let title = "Janus"

  public var summary: String {
    "\(width) wide, \(layers) layers, \(heads) heads, weights in \(precision.rawValue)"
  }

  /// - Throws: `PipelineError` of kind `.badData` that names the first field of which no model can be made.
  public func validate() throws(PipelineError) {
    try check("text_length", textLength, in: 8...16384)
    try check("text_vocabulary", textVocabulary, in: 4...10_000_000)
    try check("grid_side", gridSide, in: 1...256)
    try check("image_vocabulary", imageVocabulary, in: 2...1 << 20)
    try check("width", width, in: 1...16384)
    try check("layers", layers, in: 1...256)
    try check("heads", heads, in: 1...256)
    try check("key_heads", keyHeads, in: 1...heads)
    try check("key_heads", keyHeads, divides: "heads", heads)
    try check("head_width", headWidth, in: 2...512)
    try check("head_width", 2, divides: "head_width", headWidth)
    try check("feed_forward_width", feedForwardWidth, in: 1...65536)
    try check("feed_forward_width", PackedWeight.panelWidth, divides: "feed_forward_width", feedForwardWidth)
    try check("norm_epsilon", normEpsilon, in: 0...0.1)
    try check("rotary_base", rotaryBase, in: 1...1e12)
    for (field, token) in [
      ("beginning_of_text", beginningOfText), ("padding", padding), ("beginning_of_image", beginningOfImage),
    ] { try check(field, Int(token), in: 0...textVocabulary - 1) }
    try check(panels == 1, "panels are packed in another way than this version reads: import the model again")
    try check("closing_tokens", closingTokens, in: 1...textLength - 1)
    do throws(PipelineError) { try sampling.validate() } catch {
      throw PipelineError(.badData, error.message)
    }
  }

  /// The number of trained numbers that drawing takes.
  var parameterCount: Int {
    let norms = (2 * layers + 1) * width
    return multiplicationsPerToken + norms + width * (textVocabulary + imageVocabulary) + width + imageVocabulary
  }

  /// In whole numbers of four bits, a parameter takes less than the two bytes that are expected of a file.
  public var leastParameterCount: Int { precision == .int4 ? parameterCount / 4 : parameterCount / 2 }

  public func validateForCaptions() throws(PipelineError) { try validate() }

  public func makeModel(reading weights: some WeightSource) throws(PipelineError) -> any Prior {
    try Janus(self, reading: weights)
  }
}
