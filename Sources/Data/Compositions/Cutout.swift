import Imaging

/// A thing cut from its ground: its colors and its coverage, no larger than the thing itself.
public struct Cutout: Sendable {
  /// Columns, at least ``minimumSide`` along the longer side.
  public let width: Int
  /// Rows.
  public let height: Int
  /// Red, green, blue and coverage as bytes, colors premultiplied: a quarter of what a layer takes.
  private let pixels: [SIMD4<UInt8>]

  /// The shortest longer side of a thing, in pixels, of which something can be seen.
  public static let minimumSide = 16

  var byteCount: Int { 4 * pixels.count }

  /// Cuts out the thing in a picture: what is covered where the picture has transparency, and else what does not belong to
  /// the white that is connected with the border, so that white inside a thing stays.
  /// - Parameters:
  ///   - picture: of one thing on plain ground.
  ///   - side: the longest side of the cutout, in pixels; a larger picture is scaled down first.
  /// - Returns: nil where the ground is neither transparent nor plain white, or hardly anything stands on it.
  public init?(_ picture: TransparentPicture, atMost side: Int) {
    let scale = min(1, Double(side) / Double(max(picture.width, picture.height)))
    var layer = Layer.resampled(
      width: picture.width, height: picture.height, toWidth: max(1, Int(Double(picture.width) * scale)),
      height: max(1, Int(Double(picture.height) * scale))
    ) { x, y in
      let i = 4 * (y * picture.width + x)
      let alpha = Float(picture.pixels[i + 3]) / 255
      return SIMD4(
        alpha / 255
          * SIMD3(Float(picture.pixels[i]), Float(picture.pixels[i + 1]), Float(picture.pixels[i + 2])), alpha)
    }
    let transparent = layer.pixels.count { $0.w < 0.5 }
    if 50 * transparent < layer.pixels.count {
      guard let cut = Ground(of: layer)?.removed(from: layer) else { return nil }
      layer = cut
    }
    self.init(cropping: layer)
  }

  /// - Returns: nil where hardly anything is covered.
  private init?(cropping layer: Layer) {
    var (left, right, top, bottom) = (layer.width, -1, layer.height, -1)
    var covered = 0
    for y in 0..<layer.height {
      for x in 0..<layer.width where layer.pixels[y * layer.width + x].w > 0.1 {
        (left, right) = (min(left, x), max(right, x))
        (top, bottom) = (min(top, y), max(bottom, y))
        covered += 1
      }
    }
    guard max(right - left, bottom - top) + 1 >= Self.minimumSide, 100 * covered >= layer.pixels.count else {
      return nil
    }
    width = right - left + 1
    height = bottom - top + 1
    var bytes: [SIMD4<UInt8>] = []
    bytes.reserveCapacity(width * height)
    for y in top...bottom {
      for x in left...right {
        let scaled = 255 * layer.pixels[y * layer.width + x] + 0.5
        bytes.append(
          SIMD4<UInt8>(
            truncatingIfNeeded: SIMD4<Int32>(scaled.clamped(lowerBound: .zero, upperBound: .init(repeating: 255)))))
      }
    }
    pixels = bytes
  }

  /// The thing in another size.
  func layer(width newWidth: Int, height newHeight: Int) -> Layer {
    layer(ofColumns: 0..<width, rows: 0..<height, width: newWidth, height: newHeight)
  }

  /// The thing as large as a square lets it be, in its own proportions but for what makes its sides multiples of `step`.
  func layer(fitting side: Int, multipleOf step: Int = 1) -> Layer {
    let scale = Double(side) / Double(max(width, height))
    func scaled(_ length: Int) -> Int { step * max(1, Int((Double(length) * scale / Double(step)).rounded())) }
    return layer(width: scaled(width), height: scaled(height))
  }

  /// A part of the thing in another size.
  func layer(ofColumns columns: Range<Int>, rows: Range<Int>, width newWidth: Int, height newHeight: Int) -> Layer {
    Layer.resampled(width: columns.count, height: rows.count, toWidth: newWidth, height: newHeight) { x, y in
      let pixel = pixels[(rows.lowerBound + y) * width + columns.lowerBound + x]
      return SIMD4<Float>(pixel) / 255
    }
  }
}

/// The white of a picture that is connected with its border.
private struct Ground {
  private var isGround: [Bool]
  private let width: Int
  private let height: Int

  /// - Returns: nil where the ground is not plain: a corner is not white, or much of the border is not, or no ground or
  ///   nothing but ground is left.
  init?(of layer: Layer) {
    let (width, height) = (layer.width, layer.height)
    (self.width, self.height) = (width, height)
    func white(_ i: Int) -> Float { layer.pixels[i].leastColor }
    var border: [Int] = []
    for x in 0..<width { border += [x, (height - 1) * width + x] }
    for y in 0..<height { border += [y * width, y * width + width - 1] }
    // A JPEG's white is not quite white; where it is, a thing that is nearly white stands out from it.
    let pure = border.count { white($0) > 0.999 }
    let level: Float = 2 * pure > border.count ? 0.988 : 0.955
    let corners = [0, width - 1, (height - 1) * width, height * width - 1]
    let whiteCount = border.count { white($0) >= level }
    guard corners.allSatisfy({ white($0) >= level }), 5 * whiteCount >= 3 * border.count else { return nil }
    isGround = [Bool](repeating: false, count: width * height)
    var open = border.filter { white($0) >= level }
    for i in open { isGround[i] = true }
    while let i = open.popLast() {
      let (x, y) = (i % width, i / width)
      for (next, isInside) in [
        (i - 1, x > 0), (i + 1, x < width - 1), (i - width, y > 0), (i + width, y < height - 1),
      ] where isInside && !isGround[next] && white(next) >= level {
        isGround[next] = true
        open.append(next)
      }
    }
    let count = isGround.count { $0 }
    guard 50 * count > isGround.count, 100 * (isGround.count - count) > isGround.count else { return nil }
  }

  /// The layer without the ground. A pixel at the edge is a mixture of thing and white: how much of it is thing tells its
  /// neighbour that is farthest from white.
  func removed(from layer: Layer) -> Layer {
    var result = layer
    func distance(_ i: Int) -> Float { 1 - layer.pixels[i].leastColor }
    for y in 0..<height {
      for x in 0..<width {
        let i = y * width + x
        if isGround[i] {
          result.pixels[i] = .zero
          continue
        }
        var touchesGround = false
        var farthest = distance(i)
        for ny in max(0, y - 1)...min(height - 1, y + 1) {
          for nx in max(0, x - 1)...min(width - 1, x + 1) {
            touchesGround = touchesGround || isGround[ny * width + nx]
            farthest = max(farthest, distance(ny * width + nx))
          }
        }
        // Of a thing that is nearly white itself nothing can be told.
        guard touchesGround, farthest > 0.1 else { continue }
        let coverage = distance(i) / farthest
        let pixel = layer.pixels[i]
        let color = SIMD3(pixel.x, pixel.y, pixel.z) - (1 - coverage)
        result.pixels[i] = SIMD4(
          color.clamped(lowerBound: .zero, upperBound: .init(repeating: coverage)), coverage)
      }
    }
    return result
  }
}

extension SIMD4<Float> {
  /// The least of red, green and blue.
  fileprivate var leastColor: Float { Swift.min(x, Swift.min(y, z)) }
}
