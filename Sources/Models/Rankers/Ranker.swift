import Basics
import Foundation
import NN
import TensorCore

/// A contrastive model of texts and pictures (Radford et al. 2021, "CLIP", section 2.3 and figure 3), which tells how well
/// a picture goes with a caption.
///
///     t = textTower(captions),  p = pictureTower(pictures)            [B, embeddingWidth], each row of length one
///     logits = exp(logScale)·t·pᵀ                                     [B, B]
///     loss = (crossEntropy(logits, i for row i) + crossEntropy(logitsᵀ, i for row i)) / 2
///
/// Pictures that go with no caption, failures of what is to be ranked, are further columns of the logits of captions: wrong
/// answers to each.
///
/// The score of a picture for a caption is the cosine t·p.
public struct Ranker: ConfiguredModule, Sendable {
  public struct Configuration: TrainableConfiguration {
    /// The number of text tokens, padding included.
    public var textLength = 24
    /// The number of different text tokens, without padding.
    public var textVocabulary = 2048
    /// Pixels a side.
    public var pictureSize = 64
    /// Pixels a side of the blocks that are moved into channels.
    public var patchSize = 8
    /// Of the text tower.
    public var width = 128
    public var layers = 3
    public var heads = 4
    /// Of the picture tower.
    public var channels = 128
    public var blocks = 3
    /// Of what both towers end in.
    public var embeddingWidth = 128
    /// The probability of dropping an element of the residual branches, of the text embeddings and of the pooled picture.
    public var dropout: Float = 0.1

    public init() {}
  }

  public let text: TextTower
  public let picture: PictureTower
  /// The logarithm of what cosines are multiplied with, learnt; [1, 1]. It begins at log(1 / 0.07).
  public let logScale: Parameter
  public let configuration: Configuration

  /// Logits are never scaled by more than this (section 2.5).
  public static let maximumScale: Float = 100

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    self.configuration = configuration
    text = TextTower(configuration, &initializer)
    picture = PictureTower(configuration, &initializer)
    logScale = Parameter(Tensor([log(1 / 0.07)], shape: [1, 1]))
  }

  /// What the towers make of captions and pictures: [B, embeddingWidth] each, row b of both belonging together.
  public struct Embeddings {
    public var texts: Tensor
    public var pictures: Tensor
    /// Of pictures that go with no caption, [F, embeddingWidth]; nil where there are none.
    public var failures: Tensor?

    init(texts: Tensor, pictures: Tensor, failures: Tensor?) {
      (self.texts, self.pictures, self.failures) = (texts, pictures, failures)
    }

    /// As replicas exchange them.
    public var tensors: [NamedTensor] {
      [("texts", texts), ("pictures", pictures)] + (failures.map { [("failures", $0)] } ?? [])
    }
  }

  /// - Parameters:
  ///   - texts: each caption's tokens; those beyond `textLength` are cut.
  ///   - pictures: [B, S, S, 3] in [0, 1].
  ///   - failures: [F, S, S, 3], pictures that go with no caption.
  ///   - precision: the type of the operands of products.
  ///   - dropout: nil outside training.
  public func embeddings(
    texts: [[Int32]], pictures: Tensor, failures: Tensor? = nil, precision: ElementType, dropout: DropoutStream? = nil
  ) -> Embeddings {
    Embeddings(
      texts: text(texts, precision: precision, dropout: dropout),
      pictures: picture(pictures, precision: precision, dropout: dropout),
      failures: failures.map { picture($0, precision: precision, dropout: dropout) })
  }

  /// The loss of a whole batch, a scalar: the pseudocode of figure 3.
  /// - Parameters:
  ///   - embeddings: of the batch.
  ///   - isOther: row-major [B, B]: whether picture j is a wrong answer for caption i, which it is not where caption i is
  ///     also one of its own; it is then left out of both softmaxes. The diagonal plays no part.
  ///   - learnsScale: whether the scale's gradient is made, which only one part of a batch may do; see ``joined(_:)``.
  public func loss(_ embeddings: Embeddings, isOther: [Bool], learnsScale: Bool = true) -> Tensor {
    let B = embeddings.texts.shape[0]
    precondition(isOther.count == B * B, "\(isOther.count) marks for \(B) captions and pictures")
    func mask(columns: Int = B, _ isOther: (_ row: Int, _ column: Int) -> Bool) -> Tensor {
      let marks = (0..<B * columns).map { $0 / columns == $0 % columns || isOther($0 / columns, $0 % columns) }
      // Far below any logit, and still a number.
      return Tensor(marks.map { $0 ? 0 : -1e4 }, shape: [B, columns])
    }
    let scale = (learnsScale ? logScale() : logScale.value).applying(.exp)
    let texts = matrixProduct(embeddings.texts.reshaped([-1, 1]), scale).reshaped(embeddings.texts.shape)
    let pictures = embeddings.pictures
    let shown = embeddings.failures.map { Tensor.stacked(pictures, $0) } ?? pictures
    let answers = (0..<B).map(Int32.init)
    let byCaption = linear(texts, weight: shown) + mask(columns: shown.shape[0]) { $1 >= B || isOther[$0 * B + $1] }
    let byPicture = linear(pictures, weight: texts) + mask { isOther[$1 * B + $0] }
    return crossEntropy(byCaption, targets: answers, scale: 0.5 / Float(B))
      + crossEntropy(byPicture, targets: answers, scale: 0.5 / Float(B))
  }

  /// The embeddings of a batch whose parts were made by several replicas, of which one learns from its own part: what is
  /// not its own is constant to it. The sum over the replicas of the loss's gradients is then that of the whole batch.
  /// - Parameter parts: the ``Embeddings/tensors`` of each replica, those that are not its own detached.
  public static func joined(_ parts: [[NamedTensor]]) -> Embeddings {
    func join(_ side: String) -> Tensor? {
      let rows = parts.joined().filter { $0.name == side }.map(\.tensor)
      guard let first = rows.first else { return nil }
      return Tensor.concatenated(rows.map { $0.reshaped([1] + $0.shape) }).reshaped([-1, first.lastDimension])
    }
    guard let texts = join("texts"), let pictures = join("pictures") else { preconditionFailure("a batch of nothing") }
    return Embeddings(texts: texts, pictures: pictures, failures: join("failures"))
  }

  /// Keeps the scale within its bound, after an optimizer step.
  public func finishStep() {
    logScale.value.withUnsafeMutableFloats { $0[0] = min($0[0], log(Self.maximumScale)) }
  }
}

/// A causal transformer over a caption's tokens, which ends in the vector of its last place: the place sees the whole
/// caption and the padding after it. With padding vectors learnt for each place, as in `TransformerPrior`.
///
///     x = embedding + position;  x = x + attention(norm(x));  x = x + mlp(norm(x))       for each block
///     t = W·norm(x_last) / ‖W·norm(x_last)‖
public struct TextTower: Module, Sendable {
  /// The vocabulary's rows, then a padding vector for each place.
  public let embedding: Embedding
  public let position: Embedding
  public let blocks: [TransformerBlock]
  public let norm: LayerNorm
  public let output: Linear
  private let vocabulary: Int
  private let length: Int

  init(_ c: Ranker.Configuration, _ initializer: inout Initializer) {
    embedding = Embedding(c.textVocabulary + c.textLength, c.width, &initializer)
    position = Embedding(c.textLength, c.width, &initializer)
    blocks = (0..<c.layers).map { _ in
      TransformerBlock(width: c.width, heads: c.heads, layers: c.layers, &initializer)
    }
    norm = LayerNorm(c.width)
    output = Linear(c.width, c.embeddingWidth, bias: false, &initializer)
    (vocabulary, length) = (c.textVocabulary, c.textLength)
  }

  /// - Returns: [B, embeddingWidth], float32, each row of length one.
  public func callAsFunction(_ texts: [[Int32]], precision: ElementType, dropout: DropoutStream? = nil) -> Tensor {
    let tokens = texts.flatMap { text in
      text.prefix(length) + (min(text.count, length)..<length).map { Int32(vocabulary + $0) }
    }
    var x = embedding(tokens, shape: [texts.count, length]).addingRows(position.weight())
    x = dropout.applied(to: x)
    for block in blocks { x = block(x, precision: precision, dropout: dropout) }
    let last = x.positions(length - 1..<length).reshaped([texts.count, -1])
    return l2Normalized(output(norm(last)))
  }
}

/// Residual blocks over blocks of pixels, pooled to one vector.
///
///     x = stem(blocks of pixels into channels);  x = x + conv(norm(conv(norm(x))))       for each block
///     p = W·mean(norm(x)) / ‖W·mean(norm(x))‖
public struct PictureTower: Module, Sendable {
  public let stem: Conv2d
  public let blocks: [ResidualBlock]
  public let norm: GroupNorm
  public let output: Linear
  private let patchSize: Int

  init(_ c: Ranker.Configuration, _ initializer: inout Initializer) {
    let groups = c.channels % 32 == 0 ? c.channels / 16 : 1
    stem = Conv2d(3 * c.patchSize * c.patchSize, c.channels, kernel: 3, padding: 1, &initializer)
    blocks = (0..<c.blocks).map { _ in ResidualBlock(c.channels, groups: groups, &initializer) }
    norm = GroupNorm(c.channels, groups: groups, silu: true)
    output = Linear(c.channels, c.embeddingWidth, bias: false, &initializer)
    patchSize = c.patchSize
  }

  /// - Parameters:
  ///   - pictures: [B, S, S, 3] in [0, 1].
  ///   - precision: of the operands of products.
  ///   - dropout: nil outside training.
  /// - Returns: [B, embeddingWidth], float32, each row of length one.
  public func callAsFunction(
    _ pictures: Tensor, precision: ElementType, dropout: DropoutStream? = nil
  ) -> Tensor {
    let centred = pictures * 2 - Tensor(repeating: 1, shape: pictures.shape)
    var x = stem(centred.spaceToDepth(patchSize).cast(to: precision), as: .float32)
    for block in blocks { x = block(x, precision: precision) }
    let pooled = dropout.applied(to: norm(x).meanOverPositions())
    return l2Normalized(output(pooled))
  }
}

extension Ranker.Configuration {
  /// Vocabulary, text length and picture size are those of the checkpoint.
  public static func preset(_ preset: Preset) -> Self {
    var c = Self()
    if preset == .tiny {
      (c.width, c.layers, c.heads, c.channels, c.blocks, c.embeddingWidth) = (64, 2, 2, 64, 2, 64)
    }
    return c
  }

  public var summary: String {
    "\(width) wide, \(layers) layers, \(heads) heads; \(channels) channels, \(blocks) residual blocks; "
      + "\(embeddingWidth) dimensions"
  }

  public func validate() throws(PipelineError) {
    try check("text_length", textLength, in: 1...4096)
    try check("text_vocabulary", textVocabulary, in: 256...10_000_000)
    try check("picture_size", pictureSize, in: 1...1024)
    try check("patch_size", patchSize, in: 1...pictureSize)
    try check("patch_size", patchSize, divides: "picture_size", pictureSize)
    try check("width", width, in: 1...16384)
    try check("layers", layers, in: 1...256)
    try check("heads", heads, in: 1...width)
    try check("heads", heads, divides: "width", width)
    try check("channels", channels, in: 1...4096)
    try check("blocks", blocks, in: 0...64)
    try check("embedding_width", embeddingWidth, in: 1...4096)
    try check("dropout", dropout, in: 0..<1)
  }

  public var leastParameterCount: Int {
    // The towers' embeddings, matrices and kernels, and what each ends in.
    width * (12 * width * layers + textVocabulary + 2 * textLength + embeddingWidth)
      + channels * (27 * patchSize * patchSize + 18 * channels * blocks + embeddingWidth)
  }
}
