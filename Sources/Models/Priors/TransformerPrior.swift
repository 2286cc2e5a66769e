import Basics
import Decoding
import NN
import TensorCore

/// The autoregressive prior over text and image tokens (Ramesh et al. 2021, section 2.2): a causal transformer
/// (Vaswani et al. 2017) with pre-normalisation, in which image tokens see all of the text and what each layer's mask lets
/// them see of the image (appendix B.1).
///
/// The sequence is the caption's tokens, filled up to `textLength` by a padding token learnt for each position, then the
/// picture's tokens row by row:
///
///     x = [text embedding + text position, image embedding + row position + column position]
///     x = x + attention(norm(x));  x = x + mlp(norm(x))                               for each block
///     p(text token t+1)  = softmax(textHead(norm(x_t)))     for t < textLength - 1
///     p(image token i+1) = softmax(imageHead(norm(x_t)))    from the last text position on
///
/// Where the image tokenizer has D > 1 codes a place, a place is one position of the sequence: its input is the sum of its
/// codes' embeddings, and its codes are predicted one after the other from what the transformer makes of the places before
/// (Lee et al. 2022, section 3.2), by one ``Refinement`` each after the first.
public struct TransformerPrior: TrainablePrior {
  public struct Configuration: TrainablePriorConfiguration {
    public typealias Model = TransformerPrior

    /// The number of text tokens, padding included.
    public var textLength = 24
    /// Places a side of the image tokens' grid.
    public var gridSide = 8
    /// D, the number of image tokens at each place, each of a range of its own; 1 where nil.
    public var depth: Int?
    /// The number of different text tokens, without padding.
    public var textVocabulary = 2048
    /// The number of different image tokens, D·K.
    public var imageVocabulary = 1024
    public var width = 384
    public var layers = 8
    public var heads = 6
    /// The probability of dropping an element of the residual branches and of the embeddings.
    public var dropout: Float = 0.05
    /// What the image tokens see of each other, layer by layer and repeated as often as there are layers; everything where
    /// nil. The paper's layers have row, column, row, row and so on, and convolution in the last.
    public var attention: [AttentionKind]?

    public init() {}

    /// D
    public var codesPerPlace: Int { depth ?? 1 }
    /// K, the number of different tokens that each of a place's may be.
    public var codes: Int { imageVocabulary / codesPerPlace }
    /// P, the places of the image tokens' grid.
    public var placeCount: Int { gridSide * gridSide }
    /// Text tokens and places of image tokens together.
    public var sequenceLength: Int { textLength + placeCount }

    /// Which positions see which in each layer.
    public var masks: [AttentionMask] {
      (0..<layers).map { layer in
        let kind = attention.map { $0[layer % $0.count] } ?? .full
        return AttentionMask(kind, textLength: textLength, gridSide: gridSide)
      }
    }
  }

  public let textEmbedding: Embedding
  /// One vector for each text position that the caption leaves empty.
  public let padding: Embedding
  public let textPosition: Embedding
  public let imageEmbedding: Embedding
  public let rowPosition: Embedding
  public let columnPosition: Embedding
  public let blocks: [TransformerBlock]
  public let norm: LayerNorm
  public let textHead: Linear
  public let imageHead: Linear
  /// Of the D - 1 further codes of a place.
  public let refinements: [Refinement]
  public let configuration: Configuration

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    let c = configuration
    self.configuration = c
    textEmbedding = Embedding(c.textVocabulary, c.width, &initializer)
    padding = Embedding(c.textLength, c.width, &initializer)
    textPosition = Embedding(c.textLength, c.width, &initializer)
    imageEmbedding = Embedding(c.imageVocabulary, c.width, &initializer)
    rowPosition = Embedding(c.gridSide, c.width, &initializer)
    columnPosition = Embedding(c.gridSide, c.width, &initializer)
    blocks = c.masks.map { mask in
      TransformerBlock(width: c.width, heads: c.heads, layers: c.layers, mask: mask, &initializer)
    }
    norm = LayerNorm(c.width)
    textHead = Linear(c.width, c.textVocabulary, deviation: 0.02, &initializer)
    imageHead = Linear(c.width, c.codes, deviation: 0.02, &initializer)
    refinements = (1..<c.codesPerPlace).map { _ in
      Refinement(codes: c.codes, width: c.width, layers: c.layers, &initializer)
    }
  }

  public typealias Batch = PriorBatch
  public typealias Losses = PriorLosses

  public var textLength: Int { configuration.textLength }
  public var imageVocabulary: Int { configuration.imageVocabulary }
  public var gridSide: Int { configuration.gridSide }
  public var codesPerPlace: Int { configuration.codesPerPlace }

  public var textTokenParameters: [Parameter] {
    [textEmbedding.weight, textHead.weight] + [textHead.bias].compactMap(\.self)
  }

  public func makeDecoder(team: ThreadTeam) -> any ImageTokenDecoder { TransformerDecoder(self, team: team) }

  /// The text part of the input, [B, textLength, width]: embeddings with padding vectors in the empty places, plus
  /// positions.
  func embedded(texts: [[Int32]]) -> Tensor {
    let T = configuration.textLength
    let seen = texts.map { $0.prefix(T) }
    let words = seen.allSatisfy(\.isEmpty) ? [0] : seen.flatMap(\.self)
    let empty = min(seen.map(\.count).min() ?? 0, T - 1)..<T
    // The rows of both tables that are needed, at least one of each, and then their order: a whole table would be copied.
    let rows = Tensor.stacked(
      textEmbedding(words, shape: [words.count]), padding(empty.map(Int32.init), shape: [empty.count]))
    var next = 0
    let order = seen.flatMap { text in
      let own = next..<next + text.count
      next += text.count
      return own + (text.count..<T).map { words.count + $0 - empty.lowerBound }
    }
    return rows.rows(order).reshaped([texts.count, T, configuration.width]).addingRows(textPosition.weight())
  }

  /// The image part of the input, [B, placeCount - 1, width]: embeddings plus positions.
  private func embedded(images batch: Batch) -> Tensor {
    let c = configuration
    let B = batch.texts.count
    let seen = batch.imageInputs ?? batch.images
    let shape = [B, c.placeCount - 1]
    let codes = (0..<c.codesPerPlace).map { d in
      imageEmbedding(
        (0..<B).flatMap { b in (0..<c.placeCount - 1).map { seen[(b * c.placeCount + $0) * c.codesPerPlace + d] } },
        shape: shape)
    }
    let positions = gridEmbedding(rows: rowPosition.weight(), columns: columnPosition.weight())
    return codes.dropFirst().reduce(codes[0], +)
      .addingRows(
        positions.reshaped([1, c.placeCount, c.width]).positions(0..<c.placeCount - 1).reshaped([-1, c.width]))
  }

  /// The model's outputs after the last norm, [B, textLength + placeCount - 1, width]; the last place is not an input.
  func hidden(_ batch: Batch, precision: ElementType, dropout: DropoutStream?) -> Tensor {
    var x = embedded(texts: batch.texts)
    // A grid of one place is all target and no input.
    if configuration.placeCount > 1 { x = Tensor.concatenated([x, embedded(images: batch)]) }
    x = dropout.applied(to: x)
    for block in blocks { x = block(x, precision: precision, dropout: dropout) }
    return norm(x, as: precision)
  }

  /// The logits of each of a place's codes given all before it, D times [B, P, K].
  /// - Parameter h: as ``hidden(_:precision:dropout:)`` gives it.
  private func codeLogits(
    _ h: Tensor, of images: [Int32], precision: ElementType, as type: ElementType
  ) -> [Tensor] {
    let c = configuration
    let h = h.positions(c.textLength - 1..<c.sequenceLength - 1)
    var logits = [imageHead(h, as: type)]
    var stream = h.cast(to: .float32)
    for (d, refinement) in refinements.enumerated() {
      stream = refinement(stream, after: codes(d, of: images), precision: precision)
      logits.append(refinement.logits(stream, precision: precision, as: type))
    }
    return logits
  }

  /// The code of each place from codebook d, below K.
  private func codes(_ d: Int, of images: [Int32]) -> [Int32] {
    stride(from: d, to: images.count, by: codesPerPlace).map { images[$0] - Int32(d * configuration.codes) }
  }

  /// The loss of the paper's section 2.2: text and image cross entropy weighted 1/8 and 7/8. Padding is no target.
  ///
  /// Of a place's codes each weighs half as much as the one before: the first decide what the picture shows, the last are
  /// the hardest to tell and would drown them.
  /// - Parameters:
  ///   - batch: captions and the tokens of their pictures.
  ///   - share: the part of the whole batch's pictures that these are, where it is split over threads.
  ///   - textShare: the part of the whole batch's text targets that these have; see ``textTargetCount(_:)``.
  ///   - precision: of the operands of products.
  ///   - dropout: nil outside training.
  public func loss(
    _ batch: Batch, share: Float = 1, textShare: Float? = nil, precision: ElementType, dropout: DropoutStream? = nil
  ) -> Losses {
    let c = configuration
    let B = batch.texts.count
    let h = hidden(batch, precision: precision, dropout: dropout)
    let textLoss = self.textLoss(h, of: batch.texts)
    let logits = codeLogits(h, of: batch.images, precision: precision, as: precision)
    let codeLosses = logits.enumerated().map { d, logits in
      crossEntropy(logits, targets: codes(d, of: batch.images), scale: 1 / Float(B * c.placeCount))
    }
    var imageLoss = codeLosses[0]
    for (d, loss) in codeLosses.enumerated().dropFirst() { imageLoss = imageLoss + loss * Self.weight(ofCode: d) }
    imageLoss = imageLoss * (1 / (0..<c.codesPerPlace).reduce(0) { $0 + Self.weight(ofCode: $1) })
    return Losses(
      total: textLoss * ((textShare ?? share) / 8) + imageLoss * (share * 7 / 8), text: textLoss.item,
      image: codeLosses.reduce(0) { $0 + $1.item } / Float(c.codesPerPlace))
  }

  /// The mean cross entropy of the captions' tokens after the first. Positions without a target cost nothing.
  /// - Parameter h: as ``hidden(_:precision:dropout:)`` gives it.
  private func textLoss(_ h: Tensor, of texts: [[Int32]]) -> Tensor {
    let length = h.shape[1]
    // Text position t predicts token t + 1 where the caption has one.
    var (rows, targets): ([Int], [Int32]) = ([], [])
    for (b, text) in texts.enumerated() {
      let seen = text.prefix(configuration.textLength)
      rows += (0..<max(0, seen.count - 1)).map { b * length + $0 }
      targets += seen.dropFirst()
    }
    let scale = 1 / Float(max(1, targets.count))
    // Rows that are no target fill up: matrix products are prepared anew for each number of rows.
    let missing = max(1, (targets.count + Self.textRows - 1) / Self.textRows) * Self.textRows - targets.count
    rows += Array(repeating: 0, count: missing)
    targets += Array(repeating: -1, count: missing)
    return crossEntropy(textHead(h.rows(rows)), targets: targets, scale: scale)
  }

  /// Text positions are predicted in multiples of this many.
  private static let textRows = 32

  /// 2⁻ᵈ
  private static func weight(ofCode d: Int) -> Float { Float(sign: .plus, exponent: -d, significand: 1) }

  /// The number of text tokens of captions that are predicted: all that there is room for but the first.
  public func textTargetCount(_ texts: [[Int32]]) -> Int {
    texts.reduce(0) { $0 + max(0, min($1.count, configuration.textLength) - 1) }
  }

  /// The logits of each image token given the caption and the image tokens before it, [B, imageLength, K].
  public func imageLogits(_ batch: Batch, precision: ElementType) -> Tensor {
    let c = configuration
    let h = hidden(batch, precision: precision, dropout: nil)
    let logits = codeLogits(h, of: batch.images, precision: precision, as: .float32)
    // [B·P, D, K]: each place's codes in their order.
    let byPlace = Tensor.concatenated(logits.map { $0.reshaped([-1, 1, c.codes]) })
    return byPlace.reshaped([batch.texts.count, imageLength, c.codes])
  }
}

/// Predicts one more code of a place from what the transformer makes of the places before and the codes of this place so
/// far, a stream s of its own at each place:
///
///     s = s + embedding(the code before);  s = s + mlp(norm1(s));  p(code) = softmax(head(norm2(s)))
///
/// Residual codes add up, and so do their embeddings: no attention among a place's few codes is needed.
public struct Refinement: Module, Sendable {
  /// Of the code before.
  public let codes: Embedding
  public let norm1: LayerNorm
  public let mlp: MultilayerPerceptron
  public let norm2: LayerNorm
  public let head: Linear

  init(codes: Int, width: Int, layers: Int, _ initializer: inout Initializer) {
    // The stream begins with a layer norm's outputs, of variance one.
    self.codes = Embedding(codes, width, deviation: 0.5, &initializer)
    norm1 = LayerNorm(width)
    mlp = MultilayerPerceptron(width: width, layers: layers, &initializer)
    norm2 = LayerNorm(width)
    head = Linear(width, codes, deviation: 0.02, &initializer)
  }

  /// The stream after the code before, one for each row of the stream.
  func callAsFunction(_ stream: Tensor, after before: [Int32], precision: ElementType) -> Tensor {
    let s = stream + codes(before, shape: stream.shape.dropLast())
    return s + mlp(norm1(s, as: precision))
  }

  /// Of the code that the stream has been brought to, [.., K].
  func logits(_ stream: Tensor, precision: ElementType, as type: ElementType) -> Tensor {
    head(norm2(stream, as: precision), as: type)
  }
}

extension TransformerPrior.Configuration {
  public static let kind = "transformer"
  public static let title = "transformer"

  public static func preset(_ preset: Preset) -> Self {
    var c = Self()
    switch preset {
    case .tiny: (c.width, c.layers, c.heads) = (192, 4, 3)
    // In a fixed time on some thousands of pictures, wider and deeper ones make too few steps.
    case .small, .base: (c.width, c.layers, c.heads) = (256, 6, 4)
    }
    return c
  }

  public mutating func learn(_ layout: TokenLayout) throws(PipelineError) {
    gridSide = try onlyGrid(of: layout)
    imageVocabulary = layout.codeCount
    depth = layout.codesPerPlace > 1 ? layout.codesPerPlace : nil
  }

  public mutating func attend(_ attention: [AttentionKind]) { self.attention = attention }

  public var summary: String {
    "\(width) wide, \(layers) layers, \(heads) heads" + (attention.map { ", attention \($0.list)" } ?? "")
  }

  public func validate() throws(PipelineError) {
    try check("text_length", textLength, in: 2...4096)
    try check("text_vocabulary", textVocabulary, in: 256...10_000_000)
    try check("grid_side", gridSide, in: 1...256)
    try check("image_vocabulary", imageVocabulary, in: 2...1 << 20)
    try check("depth", codesPerPlace, in: 1...64)
    try check("depth", codesPerPlace, divides: "image_vocabulary", imageVocabulary)
    try check("width", width, in: 1...16384)
    try check("layers", layers, in: 1...256)
    try check("heads", heads, in: 1...width)
    try check("heads", heads, divides: "width", width)
    try check("dropout", dropout, in: 0..<1)
    try check(attention?.isEmpty != true, "attention names no kind")
  }

  public var leastParameterCount: Int {
    // The blocks' matrices, embeddings and heads.
    width
      * (12 * width * layers + 2 * textVocabulary + 2 * imageVocabulary + 2 * textLength + 2 * gridSide
        + (codesPerPlace - 1) * (8 * width + codes))
  }
}
