import LinearAlgebra
import NN
import TensorCore

/// A function from rows to rows, [B, inputs] → [B, outputs]: either side of an auto-encoder.
public protocol RowNetwork: Module, Sendable {
  /// - Parameters:
  ///   - x: [B, inputs].
  ///   - precision: the type of the operands of products; what comes in and goes out is float32.
  func callAsFunction(_ x: Tensor, precision: ElementType) -> Tensor
  /// The layers that rows come in and go out by, where they are linear ones.
  var ends: (first: Linear?, last: Linear?) { get }
}

/// How the networks of an auto-encoder are built.
public enum RowNetworkKind: String, Sendable, Codable, CaseIterable {
  /// Rows of any meaning, through fully connected layers.
  case dense
  /// Rows that are pictures [S, S, 3], through convolutions on a grid of patches.
  case picture
}

/// Fully connected layers with SiLU between them; without hidden layers a linear map.
public struct DenseNetwork: RowNetwork {
  public let layers: [Linear]

  init(_ inputs: Int, hidden: [Int], _ outputs: Int, _ initializer: inout Initializer) {
    let widths = [inputs] + hidden + [outputs]
    layers = (1..<widths.count).map { Linear(widths[$0 - 1], widths[$0], &initializer) }
  }

  public var ends: (first: Linear?, last: Linear?) { (layers.first, layers.last) }

  public func callAsFunction(_ x: Tensor, precision: ElementType) -> Tensor {
    var h = layers[0](x.cast(to: precision), as: layers.count == 1 ? .float32 : precision)
    for (i, layer) in layers.enumerated().dropFirst() {
      h = layer(h.applying(.silu), as: i == layers.count - 1 ? .float32 : precision)
    }
    return h
  }
}

/// Pictures [B, S·S·3] → [B, outputs]: patches into channels, residual blocks, and one linear layer over all of it.
struct PictureEncoder: RowNetwork {
  let stem: Conv2d
  let blocks: [ResidualBlock]
  let norm: GroupNorm
  let output: Linear
  private let side: Int
  private let patchSize: Int

  init(side: Int, patchSize: Int, channels: Int, blocks: Int, outputs: Int, _ initializer: inout Initializer) {
    (self.side, self.patchSize) = (side, patchSize)
    let grid = side / patchSize
    stem = Conv2d(3 * patchSize * patchSize, channels, kernel: 3, padding: 1, &initializer)
    self.blocks = (0..<blocks).map { _ in ResidualBlock(channels, groups: groupCount(channels), &initializer) }
    norm = GroupNorm(channels, groups: groupCount(channels), silu: true)
    output = Linear(grid * grid * channels, outputs, &initializer)
  }

  var ends: (first: Linear?, last: Linear?) { (nil, output) }

  func callAsFunction(_ rows: Tensor, precision: ElementType) -> Tensor {
    let pictures = rows.reshaped([-1, side, side, 3]).centred()
    var x = stem(pictures.spaceToDepth(patchSize).cast(to: precision), as: .float32)
    for block in blocks { x = block(x, precision: precision) }
    return output(norm(x, as: precision).reshaped([rows.shape[0], -1]), as: .float32)
  }
}

/// [B, inputs] → [B, S·S·3·n], n numbers for each element of a picture.
struct PictureDecoder: RowNetwork {
  let stem: Linear
  let blocks: [ResidualBlock]
  let norm: GroupNorm
  let output: Conv2d
  private let grid: Int
  private let patchSize: Int

  init(
    side: Int, patchSize: Int, channels: Int, blocks: Int, inputs: Int, numbersPerElement: Int,
    _ initializer: inout Initializer
  ) {
    (grid, self.patchSize) = (side / patchSize, patchSize)
    stem = Linear(inputs, grid * grid * channels, &initializer)
    self.blocks = (0..<blocks).map { _ in ResidualBlock(channels, groups: groupCount(channels), &initializer) }
    norm = GroupNorm(channels, groups: groupCount(channels), silu: true)
    output = Conv2d(
      channels, patchSize * patchSize * 3 * numbersPerElement, kernel: 3, padding: 1, gain: 0.3, &initializer)
  }

  var ends: (first: Linear?, last: Linear?) { (stem, nil) }

  func callAsFunction(_ z: Tensor, precision: ElementType) -> Tensor {
    var x = stem(z.cast(to: precision), as: .float32).reshaped([z.shape[0], grid, grid, -1])
    for block in blocks { x = block(x, precision: precision) }
    return output(norm(x, as: precision), as: .float32).depthToSpace(patchSize).reshaped([z.shape[0], -1])
  }
}

/// Both sides of an auto-encoder that has one code for a row.
/// - Parameters:
///   - width: of hidden layers, or the channels of the picture networks.
///   - depth: hidden layers or residual blocks on each side.
///   - outputs: how many numbers the encoder gives, of which a code is made.
///   - inputs: the elements of a code.
///   - numbersPerElement: how many numbers the decoder gives for each element of a row.
func rowNetworks(
  _ kind: RowNetworkKind, dimensions: Int, width: Int, depth: Int, patchSize: Int, outputs: Int, inputs: Int,
  numbersPerElement: Int, _ initializer: inout Initializer
) -> (encoder: any RowNetwork, decoder: any RowNetwork) {
  switch kind {
  case .dense:
    let hidden = Array(repeating: width, count: depth)
    let encoder = DenseNetwork(dimensions, hidden: hidden, outputs, &initializer)
    return (encoder, DenseNetwork(inputs, hidden: hidden, dimensions * numbersPerElement, &initializer))
  case .picture:
    let side = wholeRoot(dimensions / 3)
    let encoder = PictureEncoder(
      side: side, patchSize: patchSize, channels: width, blocks: depth, outputs: outputs, &initializer)
    let decoder = PictureDecoder(
      side: side, patchSize: patchSize, channels: width, blocks: depth, inputs: inputs,
      numbersPerElement: numbersPerElement, &initializer)
    return (encoder, decoder)
  }
}

/// Groups of sixteen channels where they come out even.
func groupCount(_ channels: Int) -> Int { channels % 32 == 0 ? channels / 16 : 1 }

extension Tensor {
  /// Cuts the last axis into equal parts: [.., n·C] → n times [.., C].
  func split(_ n: Int) -> [Tensor] {
    let C = lastDimension / n
    let parts = reshaped([rows, n, C])
    return (0..<n).map { parts.positions($0..<$0 + 1).reshaped(shape.dropLast() + [C]) }
  }

  /// `limit`·tanh(x / limit): x where it is small, and never beyond the limit.
  func softBounded(_ limit: Float) -> Tensor { (self * (1 / limit)).applying(.tanh) * limit }

  /// Standard normal numbers, each row of a stream of its own, so that no row depends on how many there are.
  static func normalRows(_ rows: Range<Int>, width: Int, seed: UInt64, stream: UInt64) -> Tensor {
    Tensor(
      rows.flatMap { Tensor.normal([width], seed: seed, stream: stream | UInt64($0)).scalars },
      shape: [rows.count, width])
  }
}

extension Matrix {
  /// The rows `range` as float32.
  func tensor(_ range: Range<Int>) -> Tensor {
    Tensor(
      elements[range.lowerBound * columns..<range.upperBound * columns].lazy.map { Float($0) },
      shape: [range.count, columns])
  }

  /// Calls `body` with pieces of at most `size` rows.
  func forEachBatch(of size: Int, _ body: (_ x: Tensor, _ range: Range<Int>) -> Void) {
    for start in stride(from: 0, to: rows, by: size) {
      let range = start..<min(rows, start + size)
      body(tensor(range), range)
    }
  }
}

/// Makes `count` rows in batches that are always whole, so that a row is the same bits whatever the count.
func sampledRows(_ count: Int, dimensions: Int, batch: Int = 16, _ make: (Range<Int>) -> Tensor) -> Matrix {
  var elements: [Double] = []
  elements.reserveCapacity(count * dimensions)
  for start in stride(from: 0, to: count, by: batch) {
    let wanted = min(batch, count - start) * dimensions
    elements += make(start..<start + batch).scalars.prefix(wanted).lazy.map { Double($0) }
  }
  return Matrix(elements, rows: count, columns: dimensions)
}

/// The way up of ``HierarchicalVAE``: features of a picture on every grid, and what the posterior of its code is made of.
struct LadderEncoder: Module, Sendable {
  let stem: Conv2d
  /// One cell a grid, the finest first.
  let cells: [ResidualBlock]
  /// From each grid to the next coarser one: four cells become the channels of one.
  let downsampling: [Conv2d]
  let norm: GroupNorm
  let output: Linear
  private let side: Int
  private let patchSize: Int

  init(_ c: HierarchicalVAE.Configuration, _ initializer: inout Initializer) {
    (side, patchSize) = (c.pictureSide, c.patchSize)
    let widths = Array(c.channels.reversed())
    stem = Conv2d(3 * patchSize * patchSize, widths[0], kernel: 3, padding: 1, &initializer)
    cells = widths.map { ResidualBlock($0, groups: groupCount($0), &initializer) }
    downsampling = zip(widths, widths.dropFirst()).map { Conv2d(4 * $0, $1, kernel: 1, &initializer) }
    norm = GroupNorm(c.channels[0], groups: groupCount(c.channels[0]), silu: true)
    output = Linear(c.gridSides[0] * c.gridSides[0] * c.channels[0], 2 * c.codeDimensions, &initializer)
  }

  /// q(z_0 | x), and [B, side, side, C] of each grid, the coarsest first.
  typealias Features = (code: ResidualNormal, grids: [Tensor])

  /// - Parameter rows: [B, D].
  func callAsFunction(_ rows: Tensor, precision: ElementType) -> Features {
    let pictures = rows.reshaped([-1, side, side, 3]).centred()
    var x = stem(pictures.spaceToDepth(patchSize).cast(to: precision), as: .float32)
    var features: [Tensor] = []
    for (i, cell) in cells.enumerated() {
      if i > 0 { x = downsampling[i - 1](x.spaceToDepth(2).cast(to: precision), as: .float32) }
      x = cell(x, precision: precision)
      features.append(x)
    }
    let code = output(norm(x, as: precision).reshaped([rows.shape[0], -1]), as: .float32)
    return (ResidualNormal(code), features.reversed())
  }
}
