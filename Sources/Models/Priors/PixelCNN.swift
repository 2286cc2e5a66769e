import Basics
import Decoding
import NN
import TensorCore

/// The gated PixelCNN over a grid of image tokens (van den Oord et al. 2016, "Conditional Image Generation with PixelCNN
/// Decoders"): p(k | h) = Π_i p(k_i | k_1 … k_{i-1}, h), row by row.
///
/// Two stacks of convolutions see what comes before a position, so that there is no blind spot (section 2.2): the vertical
/// one the rows above, the horizontal one the part of its own row to the left and, through a 1×1 convolution, the
/// vertical stack. With m the reach of a layer, at layer l
///
///     p = W_v ∗ v + V_v·h,              W_v over the rows i-m … i and the columns j-m … j+m      (equation 4)
///     q = W_h ∗ s + U·p + V_h·h,        W_h over the columns j-m … j of the row
///     v ← tanh(p₁)⊙σ(p₂)
///     s ← s + O·(tanh(q₁)⊙σ(q₂))
///
/// p₁, p₂ being the halves of p's channels. Nothing is masked inside: the tokens' embeddings are moved down by a row
/// before they enter the vertical stack and right by a column before the horizontal one, and what a convolution would see
/// of later places is not computed.
///
/// h is a caption, pooled to one vector, the same everywhere; upper code maps, such as VQ-VAE-2's coarser level, come in
/// place by place. The paper's pixels know where they are by the picture's edges alone; here rows and columns have
/// embeddings.
public struct PixelCNN: TrainablePrior {
  public struct Configuration: TrainablePriorConfiguration {
    public typealias Model = PixelCNN

    /// Image tokens a side of the grid.
    public var gridSide = 8
    /// The number of different image tokens.
    public var imageVocabulary = 1024
    /// Text tokens that are seen of a caption; 0 for a model that takes no captions.
    public var textLength = 24
    /// The number of different text tokens.
    public var textVocabulary = 2048
    /// Tokens a side of each coarser grid that the model is conditioned on; each divides `gridSide`. Their tokens are
    /// below `imageVocabulary`, too.
    public var upperGridSides: [Int] = []
    /// p, the width of both stacks.
    public var channels = 128
    public var layers = 8
    /// m: how far a layer sees. `layers`·m of at least `gridSide` lets every token before a position matter.
    public var reach = 2
    /// The probability of dropping an element of a layer's output.
    public var dropout: Float = 0.1

    public init() {}

    public var codesPerPlace: Int { 1 }
  }

  public let imageEmbedding: Embedding
  public let rowPosition: Embedding
  public let columnPosition: Embedding
  public let caption: CaptionEncoder?
  public let uppers: [UpperCodes]
  public let blocks: [GatedBlock]
  public let hidden: Linear
  public let imageHead: Linear
  public let configuration: Configuration

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    let c = configuration
    var initializer = initializer
    self.configuration = c
    imageEmbedding = Embedding(c.imageVocabulary, c.channels, deviation: 0.5, &initializer)
    rowPosition = Embedding(c.gridSide, c.channels, deviation: 0.2, &initializer)
    columnPosition = Embedding(c.gridSide, c.channels, deviation: 0.2, &initializer)
    caption =
      c.textLength > 0
      ? CaptionEncoder(vocabulary: c.textVocabulary, length: c.textLength, width: c.channels, &initializer) : nil
    uppers = c.upperGridSides.map {
      UpperCodes(vocabulary: c.imageVocabulary, factor: c.gridSide / $0, channels: c.channels, &initializer)
    }
    blocks = (0..<c.layers).map { _ in
      GatedBlock(
        c.channels, reach: c.reach, hasCaption: c.textLength > 0, hasUpper: !c.upperGridSides.isEmpty, &initializer)
    }
    hidden = Linear(c.channels, 2 * c.channels, deviation: (2 / Float(c.channels)).squareRoot(), &initializer)
    imageHead = Linear(2 * c.channels, c.imageVocabulary, deviation: 0.02, &initializer)
  }

  public var textLength: Int { configuration.textLength }
  public var imageVocabulary: Int { configuration.imageVocabulary }
  public var gridSide: Int { configuration.gridSide }

  public var textTokenParameters: [Parameter] { caption.map { [$0.tokens.weight] } ?? [] }

  /// It does not predict text.
  public func textTargetCount(_ texts: [[Int32]]) -> Int { 0 }

  public func loss(
    _ batch: PriorBatch, share: Float, textShare: Float?, precision: ElementType, dropout: DropoutStream?
  ) -> PriorLosses {
    let logits = logits(batch, precision: precision, dropout: dropout)
    let loss = crossEntropy(logits, targets: batch.images, scale: 1 / Float(batch.images.count))
    return PriorLosses(total: loss * share, text: 0, image: loss.item)
  }

  /// log p(k | h) of each picture, in nats.
  public func logLikelihood(_ batch: PriorBatch, precision: ElementType = .float32) -> [Double] {
    let P = configuration.imageLength
    let logits = logits(batch, precision: precision, dropout: nil).detached()
    let K = logits.lastDimension
    return (0..<batch.images.count / P).map { b in
      let own = logits.view(b * P * K..<(b + 1) * P * K, shape: [P, K])
      return -Double(crossEntropy(own, targets: Array(batch.images[b * P..<(b + 1) * P]), scale: 1).item)
    }
  }

  /// The logits of each image token given those before it, the caption and the upper maps, [B, imageLength, K].
  public func imageLogits(_ batch: PriorBatch, precision: ElementType) -> Tensor {
    logits(batch, precision: precision, dropout: nil)
  }

  private func logits(_ batch: PriorBatch, precision: ElementType, dropout: DropoutStream?) -> Tensor {
    let c = configuration
    let (B, side) = (batch.images.count / c.imageLength, c.gridSide)
    let x = imageEmbedding(batch.imageInputs ?? batch.images, shape: [B, side, side])
    let positions = gridEmbedding(rows: rowPosition.weight(), columns: columnPosition.weight())
    var vertical = x.movedDown().addingRows(positions)
    var horizontal = x.movedRight().addingRows(positions)
    let condition = condition(texts: batch.texts, upperTokens: batch.upperTokens, pictures: B, precision: precision)
    for block in blocks {
      (vertical, horizontal) = block(vertical, horizontal, condition, precision: precision, dropout: dropout)
    }
    return output(horizontal, precision: precision).reshaped([B, c.imageLength, c.imageVocabulary])
  }

  /// What all layers are told: the caption [B, channels] and the upper maps [B, side, side, channels].
  struct Condition {
    var caption: Tensor?
    var upper: Tensor?
  }

  func condition(
    texts: [[Int32]], upperTokens: [[Int32]], pictures: Int, precision: ElementType
  ) -> Condition {
    precondition(upperTokens.count == uppers.count, "\(upperTokens.count) upper maps for \(uppers.count)")
    var upper: Tensor?
    for ((encoder, tokens), side) in zip(zip(uppers, upperTokens), configuration.upperGridSides) {
      let map = encoder(tokens, shape: [pictures, side, side], precision: precision)
      upper = upper.map { $0 + map } ?? map
    }
    return Condition(caption: caption.map { $0(texts) }, upper: upper)
  }

  /// The logits of rows of the horizontal stack.
  func output(_ horizontal: Tensor, precision: ElementType) -> Tensor {
    let h = hidden(horizontal.applying(.relu).cast(to: precision), as: .float32).applying(.relu)
    return imageHead(h.cast(to: precision), as: .float32)
  }

  public func makeDecoder(team: ThreadTeam) -> any ImageTokenDecoder { PixelCNNDecoder(self, team: team) }
}

/// One layer of both stacks.
public struct GatedBlock: Module, Sendable {
  /// W_v, [2C, m + 1, 2m + 1, C]
  let vertical: Conv2d
  /// W_h, [2C, 1, m + 1, C]
  let horizontal: Conv2d
  /// U
  let link: Linear
  /// O
  let output: Linear
  /// V_v and V_h, of the caption and of the upper maps.
  let verticalCaption, horizontalCaption, verticalUpper, horizontalUpper: Linear?

  init(_ channels: Int, reach: Int, hasCaption: Bool, hasUpper: Bool, _ initializer: inout Initializer) {
    let C = channels
    // tanh(p₁)·σ(p₂) of small numbers is about p₁/2: the gain makes up for it.
    vertical = Conv2d(
      C, 2 * C, kernelHeight: reach + 1, kernelWidth: 2 * reach + 1,
      padding: Padding(top: reach, left: reach, right: reach), gain: 2, &initializer)
    horizontal = Conv2d(
      C, 2 * C, kernelHeight: 1, kernelWidth: reach + 1, padding: Padding(left: reach), gain: 1, &initializer)
    link = Linear(2 * C, 2 * C, deviation: 0.7 / Float(2 * C).squareRoot(), &initializer)
    output = Linear(C, C, deviation: 0.5 / Float(C).squareRoot(), &initializer)
    func condition(_ exists: Bool) -> Linear? { exists ? Linear(C, 2 * C, bias: false, &initializer) : nil }
    verticalCaption = condition(hasCaption)
    horizontalCaption = condition(hasCaption)
    verticalUpper = condition(hasUpper)
    horizontalUpper = condition(hasUpper)
  }

  /// - Parameters:
  ///   - v: [B, H, W, C], the vertical stack, float32.
  ///   - s: the same of the horizontal one.
  func callAsFunction(
    _ v: Tensor, _ s: Tensor, _ condition: PixelCNN.Condition, precision: ElementType, dropout: DropoutStream?
  ) -> (Tensor, Tensor) {
    let shape = v.shape
    let told = told(condition, shape: shape, precision: precision)
    var p = vertical(v.cast(to: precision), as: .float32)
    if let told = told.vertical { p = p + told }
    var q = horizontal(s.cast(to: precision), as: .float32) + linked(p, precision: precision)
    if let told = told.horizontal { q = q + told }
    let addition = output(gated(q).cast(to: precision), as: .float32)
    return (gated(p), s + dropout.applied(to: addition))
  }

  func linked(_ p: Tensor, precision: ElementType) -> Tensor { link(p.cast(to: precision), as: .float32) }

  /// V_v·h and V_h·h for places of the shape [B, H, W, _]; nil where there is no condition.
  func told(
    _ condition: PixelCNN.Condition, shape: [Int], precision: ElementType
  ) -> (vertical: Tensor?, horizontal: Tensor?) {
    func told(_ caption: Linear?, _ upper: Linear?) -> Tensor? {
      var sum: Tensor?
      if let caption, let h = condition.caption {
        // A row a picture, at all its places.
        let places = shape[1] * shape[2]
        let pictures = (0..<shape[0]).flatMap { repeatElement(Int32($0), count: places) }
        sum = embedding(caption(h), tokens: pictures, shape: Array(shape.dropLast()))
      }
      if let upper, let map = condition.upper {
        let here = upper(map.cast(to: precision), as: .float32)
        sum = sum.map { $0 + here } ?? here
      }
      return sum
    }
    return (told(verticalCaption, verticalUpper), told(horizontalCaption, horizontalUpper))
  }

  /// tanh(x₁)⊙σ(x₂), x₁ and x₂ being the halves of the last axis: [.., 2C] → [.., C].
  func gated(_ x: Tensor) -> Tensor {
    let C = x.lastDimension / 2
    let halves = x.reshaped([-1, 2, C])
    let y = halves.positions(0..<1).applying(.tanh) * halves.positions(1..<2).applying(.sigmoid)
    return y.reshaped(x.shape.dropLast() + [C])
  }
}

/// A caption as one vector: the mean over its tokens of what a small network makes of each and its place, then a layer.
public struct CaptionEncoder: Module, Sendable {
  /// One row a text token, and a last one for "no caption".
  package let tokens: Embedding
  let positions: Embedding
  let hidden: Linear
  let output: Linear
  private let vocabulary: Int
  private let length: Int
  /// Tokens are taken in multiples of this many.
  private static let rows = 32

  init(vocabulary: Int, length: Int, width: Int, _ initializer: inout Initializer) {
    (self.vocabulary, self.length) = (vocabulary, length)
    tokens = Embedding(vocabulary + 1, width, deviation: 1, &initializer)
    positions = Embedding(length, width, deviation: 0.3, &initializer)
    hidden = Linear(width, width, deviation: (2 / Float(width)).squareRoot(), &initializer)
    output = Linear(width, width, deviation: (2 / Float(width)).squareRoot(), &initializer)
  }

  /// - Returns: [B, width], float32.
  func callAsFunction(_ texts: [[Int32]]) -> Tensor {
    let seen = texts.map { $0.isEmpty ? [Int32(vocabulary)] : Array($0.prefix(length)) }
    var all = seen.flatMap(\.self)
    var places = seen.flatMap { $0.indices.map(Int32.init) }
    // Rows that no caption has fill up: matrix products are prepared anew for each number of rows.
    let missing = (all.count + Self.rows - 1) / Self.rows * Self.rows - all.count
    all += Array(repeating: Int32(vocabulary), count: missing)
    places += Array(repeating: 0, count: missing)
    let x = tokens(all, shape: [all.count]) + positions(places, shape: [all.count])
    // [B, N]: a caption's row has 1/its length at its tokens.
    var shares = [Float](repeating: 0, count: seen.count * all.count)
    var next = 0
    for (b, text) in seen.enumerated() {
      for _ in text {
        shares[b * all.count + next] = 1 / Float(text.count)
        next += 1
      }
    }
    let pooled = matrixProduct(
      Tensor(shares, shape: [seen.count, all.count]), hidden(x).applying(.silu))
    return output(pooled).applying(.silu)
  }
}

/// The tokens of a coarser grid as features of the finer one.
public struct UpperCodes: Module, Sendable {
  package let tokens: Embedding
  let context: Conv2d
  /// To the finer grid: blocks of channels become places.
  let enlargement: Conv2d
  private let factor: Int

  init(vocabulary: Int, factor: Int, channels: Int, _ initializer: inout Initializer) {
    self.factor = factor
    tokens = Embedding(vocabulary, channels, deviation: 1, &initializer)
    context = Conv2d(channels, channels, kernel: 3, padding: 1, gain: Float(2).squareRoot(), &initializer)
    enlargement = Conv2d(
      channels, channels * factor * factor, kernel: 3, padding: 1, gain: Float(2).squareRoot(), &initializer)
  }

  /// - Parameter shape: [B, side, side]
  /// - Returns: [B, factor·side, factor·side, channels], float32.
  func callAsFunction(_ indices: [Int32], shape: [Int], precision: ElementType) -> Tensor {
    let x = tokens(indices, shape: shape)
    let h = context(x.cast(to: precision), as: .float32).applying(.silu)
    return enlargement(h.cast(to: precision), as: .float32).depthToSpace(factor).applying(.silu)
  }
}

/// Places of [B, H, W, C].
extension Tensor {
  /// Row i becomes row i + 1; the first is zero, the last is gone.
  fileprivate func movedDown() -> Tensor {
    let (B, H, W, C) = (shape[0], shape[1], shape[2], shape[3])
    return moved(sequences: B, length: H, width: W * C)
  }

  /// Column j becomes column j + 1; the first is zero, the last is gone.
  fileprivate func movedRight() -> Tensor {
    moved(sequences: shape[0] * shape[1], length: shape[2], width: shape[3])
  }

  private func moved(sequences: Int, length: Int, width: Int) -> Tensor {
    let zeros = Tensor.zeros([sequences, 1, width], type: type)
    if length == 1 { return zeros.reshaped(shape) }
    let kept = reshaped([sequences, length, width]).positions(0..<length - 1)
    return Tensor.concatenated([zeros, kept]).reshaped(shape)
  }
}

extension PixelCNN.Configuration {
  public static let kind = "pixelcnn"
  public static let title = "gated PixelCNN"

  public static func preset(_ preset: Preset) -> Self {
    var c = Self()
    switch preset {
    case .tiny: (c.channels, c.layers) = (64, 5)
    case .small: (c.channels, c.layers) = (128, 6)
    case .base: (c.channels, c.layers) = (160, 8)
    }
    return c
  }

  public mutating func learn(_ layout: TokenLayout) throws(PipelineError) {
    gridSide = try onlyGrid(of: layout)
    imageVocabulary = layout.codeCount
    guard layout.codesPerPlace == 1 else {
      throw PipelineError(
        .usage,
        "a pixelcnn learns one token a place, and the image tokenizer has \(layout.codesPerPlace); "
          + "leave `kind` out or train a tokenizer of one token a place, such as that of `preset` small")
    }
  }

  public var summary: String { "\(channels) wide, \(layers) layers that reach \(reach) places" }

  public func validate() throws(PipelineError) {
    try check("text_length", textLength, in: 0...4096)
    if textLength > 0 { try check("text_vocabulary", textVocabulary, in: 1...10_000_000) }
    try check("grid_side", gridSide, in: 1...256)
    try check("image_vocabulary", imageVocabulary, in: 2...1 << 20)
    try check("channels", channels, in: 1...4096)
    try check("layers", layers, in: 1...256)
    try check("reach", reach, in: 1...16)
    try check("dropout", dropout, in: 0..<1)
    try check(upperGridSides.count <= 8, "upper_grid_sides must be 8 at most, not \(upperGridSides.count)")
    for side in upperGridSides {
      try check("upper_grid_sides", side, in: 1...gridSide)
      try check("upper_grid_sides", side, divides: "grid_side", gridSide)
    }
  }

  public func validateForCaptions() throws(PipelineError) {
    try validateWithText()
    try check(upperGridSides.isEmpty, "upper_grid_sides must be empty where there are captions")
  }

  public var leastParameterCount: Int {
    // The layers' kernels and matrices, embeddings and the head.
    let kernels = 2 * (reach + 1) * (2 * reach + 1) + 2 * (reach + 1) + 5
    let conditions = (textLength > 0 ? 4 : 0) + (upperGridSides.isEmpty ? 0 : 4)
    return channels * channels * (layers * (kernels + conditions) + 2)
      + channels * (3 * imageVocabulary + (textLength > 0 ? textVocabulary + textLength + 2 * channels : 0))
  }
}
