import Imaging

/// A picture to be laid over others: colors multiplied by their coverage, and the coverage.
struct Layer: Sendable {
  let width: Int
  let height: Int
  /// Row-major red, green, blue (0...1, premultiplied) and coverage (0...1).
  var pixels: [SIMD4<Float>]

  /// - Precondition: `pixels` holds `width * height` values.
  init(width: Int, height: Int, pixels: [SIMD4<Float>]) {
    precondition(width > 0 && height > 0 && pixels.count == width * height, "a layer has a value for each pixel")
    (self.width, self.height, self.pixels) = (width, height, pixels)
  }

  /// A layer of one value.
  init(width: Int, height: Int, filledWith value: SIMD4<Float> = .zero) {
    self.init(width: width, height: height, pixels: Array(repeating: value, count: width * height))
  }

  var longerSide: Int { max(width, height) }

  /// A layer in another size, each pixel the mean of what it covers.
  /// - Parameters:
  ///   - width: of the source.
  ///   - height: of the source.
  ///   - newWidth: of the result.
  ///   - newHeight: of the result.
  ///   - pixel: gives the source's pixel of a column and a row.
  static func resampled(
    width: Int, height: Int, toWidth newWidth: Int, height newHeight: Int,
    pixel: (_ x: Int, _ y: Int) -> SIMD4<Float>
  ) -> Layer {
    let columns = ResamplingAxis(from: width, to: newWidth)
    let rows = ResamplingAxis(from: height, to: newHeight)
    var result = Layer(width: newWidth, height: newHeight)
    var line = [SIMD4<Float>](repeating: .zero, count: width)
    for y in 0..<newHeight {
      rows.forEachTap(of: y) { row, weight, isFirst in
        for x in 0..<width {
          let part = weight * pixel(x, row)
          line[x] = isFirst ? part : line[x] + part
        }
      }
      for x in 0..<newWidth {
        var sum = SIMD4<Float>.zero
        columns.forEachTap(of: x) { column, weight, _ in sum += weight * line[column] }
        result.pixels[y * newWidth + x] = sum
      }
    }
    return result
  }

  /// The color of a pixel where all of it is covered; black where none is.
  func color(at i: Int) -> SIMD3<Float> {
    let pixel = pixels[i]
    guard pixel.w > 1e-3 else { return .zero }
    return (SIMD3(pixel.x, pixel.y, pixel.z) / pixel.w).clamped(lowerBound: .zero, upperBound: .one)
  }

  /// The layer with the color of each covered pixel changed.
  func recolored(_ color: (_ i: Int, _ old: SIMD3<Float>) -> SIMD3<Float>) -> Layer {
    var result = self
    for i in pixels.indices where pixels[i].w > 1e-3 {
      let new = color(i, self.color(at: i)).clamped(lowerBound: .zero, upperBound: .one)
      result.pixels[i] = SIMD4(new * pixels[i].w, pixels[i].w)
    }
    return result
  }

  /// Draws `other` over this layer with its top left corner at (`x`, `y`); what lies outside is left out.
  mutating func draw(_ other: Layer, x: Int, y: Int) {
    for row in max(0, -y)..<max(max(0, -y), min(other.height, height - y)) {
      for column in max(0, -x)..<max(max(0, -x), min(other.width, width - x)) {
        let above = other.pixels[row * other.width + column]
        let i = (y + row) * width + x + column
        pixels[i] = above + (1 - above.w) * pixels[i]
      }
    }
  }

  /// The layer on white ground, rounded to 8 bits.
  func overWhite() -> Picture {
    var bytes = [UInt8](repeating: 0, count: 3 * pixels.count)
    for (i, pixel) in pixels.enumerated() {
      for channel in 0..<3 {
        bytes[3 * i + channel] = UInt8(min(max(255 * (pixel[channel] + 1 - pixel.w) + 0.5, 0), 255))
      }
    }
    return Picture(width: width, height: height, pixels: bytes)
  }

  /// The means of the values in squares of `2 * radius + 1` pixels, taken twice, which is nearly a Gaussian. At the border the
  /// squares are smaller.
  static func blurred(
    _ values: [SIMD4<Float>], width: Int, height: Int, radius: Int
  ) -> [SIMD4<Float>] {
    var (from, to) = (values, values)
    func pass(count: Int, stride step: Int, lines: Int, lineStride: Int) {
      for line in 0..<lines {
        let start = line * lineStride
        var sum = SIMD4<Float>.zero
        for i in 0..<min(radius, count) { sum += from[start + i * step] }
        for i in 0..<count {
          if i + radius < count { sum += from[start + (i + radius) * step] }
          if i > radius { sum -= from[start + (i - radius - 1) * step] }
          to[start + i * step] = sum / Float(min(count - 1, i + radius) - max(0, i - radius) + 1)
        }
      }
      swap(&from, &to)
    }
    for _ in 0..<2 {
      pass(count: width, stride: 1, lines: height, lineStride: width)
      pass(count: height, stride: width, lines: width, lineStride: 1)
    }
    return from
  }
}

extension SIMD3<Float> {
  /// How bright a color looks, 0...1 (Rec. 601).
  var luma: Float { 0.299 * x + 0.587 * y + 0.114 * z }
}
