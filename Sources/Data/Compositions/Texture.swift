import Imaging

/// Where a thing shows what it is made of: its most telling large opaque square.
struct Texture: Sendable, Equatable {
  /// The square's left edge as a share of the thing's width.
  let left: Double
  /// The square's upper edge as a share of the thing's height.
  let top: Double
  /// The square's side as a share of the thing's longer side.
  let side: Double

  /// Whether it can be recognised by its lines alone, as bricks can.
  let hasLines: Bool

  /// The least side of a square in which something can be recognised, as a share of the thing's longer side.
  private static let minimumSide = 0.22
  /// The least standard deviation of a texture's colors, all three together: of what is of one color, nothing can be
  /// recognised.
  private static let minimumContrast: Float = 0.1
  /// The least share of a texture that is taken by edges.
  private static let minimumEdges: Float = 0.04
  /// The least share of a texture that is dark where it is drawn in lines.
  private static let minimumLines: Float = 0.15

  /// - Parameter layer: the thing, some 64 pixels large.
  /// - Returns: nil where the thing has no opaque square large enough, or none in which there is something to see.
  init?(of layer: Layer) {
    let (width, height) = (layer.width, layer.height)
    let sums = ColorSums(layer)
    // The side of the largest opaque square that ends at each pixel.
    var sides = [Int](repeating: 0, count: width * height)
    for y in 0..<height {
      for x in 0..<width where layer.pixels[y * width + x].w > 0.97 {
        let i = y * width + x
        sides[i] = x == 0 || y == 0 ? 1 : 1 + min(sides[i - 1], sides[i - width], sides[i - width - 1])
      }
    }
    let largest = sides.max() ?? 0
    let least = max(Int(Self.minimumSide * Double(layer.longerSide)), largest * 13 / 20)
    guard largest >= least else { return nil }
    let whole = sums.mean(x: 0, y: 0, width: width, height: height).color
    // A square a little smaller may show more of what the thing looks like.
    var best: (score: Float, x: Int, y: Int, side: Int, contrast: Float)?
    for y in 0..<height {
      for x in 0..<width where sides[y * width + x] >= least {
        for side in Set([sides[y * width + x], max(least, largest * 3 / 4)]) where side <= sides[y * width + x] {
          let (left, top) = (x - side + 1, y - side + 1)
          let (color, contrast) = sums.mean(x: left, y: top, width: side, height: side)
          // A texture is alike everywhere: half a leaf and half a fruit are none.
          let half = side / 2
          let parts = [(0, 0), (side - half, 0), (0, side - half), (side - half, side - half)].map {
            distance(sums.mean(x: left + $0.0, y: top + $0.1, width: half, height: half).color, color)
          }
          let score =
            0.7 * Float(side) / Float(largest) + 1.5 * min(contrast, 0.3) - distance(color, whole)
            - 0.8 * (parts.max() ?? 0)
          if score > best?.score ?? -.infinity { best = (score, left, top, side, contrast) }
        }
      }
    }
    guard let best, best.contrast >= Self.minimumContrast else { return nil }
    left = Double(best.x) / Double(width)
    top = Double(best.y) / Double(height)
    side = Double(best.side) / Double(layer.longerSide)
    let lines = Lines(of: layer, width: 1)
    var drawn: Float = 0
    for y in best.y..<(best.y + best.side) {
      for x in best.x..<(best.x + best.side) { drawn += lines.strength[y * width + x] }
    }
    let share = drawn / Float(best.side * best.side)
    // A soft change of color, as on a peach, is shading and no texture.
    guard share >= Self.minimumEdges else { return nil }
    hasLines = share >= Self.minimumLines

    func distance(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> Float { ((a - b) * (a - b)).sum().squareRoot() }
  }

  /// The square, mirrored at its edges again and again, so that no seam is seen.
  /// - Parameters:
  ///   - thing: the one that this is the texture of.
  ///   - width: of the result.
  ///   - height: of the result.
  func tiled(from thing: Cutout, width: Int, height: Int) -> Layer {
    let square = max(2, Int(side * Double(max(thing.width, thing.height))))
    let x = min(Int(left * Double(thing.width)), max(0, thing.width - square))
    let y = min(Int(top * Double(thing.height)), max(0, thing.height - square))
    // So large that details of it can be recognised, and so small that it is seen more than once.
    let tile = 2 * max(1, Int(min(max(side, 0.42), 0.62) * Double(max(width, height)) / 2))
    let part = thing.layer(
      ofColumns: x..<min(x + square, thing.width), rows: y..<min(y + square, thing.height), width: tile, height: tile)
    var result = Layer(width: width, height: height)
    /// A whole tile lies in the middle.
    func place(_ i: Int, of count: Int) -> Int {
      let period = 2 * tile
      let i = ((i - (count - tile) / 2) % period + period) % period
      return i < tile ? i : period - 1 - i
    }
    let columns = (0..<width).map { place($0, of: width) }
    for row in 0..<height {
      let from = place(row, of: height) * tile
      for column in 0..<width { result.pixels[row * width + column] = part.pixels[from + columns[column]] }
    }
    return result
  }

  /// The least of red, green and blue in what is plainly white.
  private static let leastWhite: Float = 0.965

  /// A thing that consists of another: the first one's shape, edges and shading, and the second one's texture.
  /// - Parameters:
  ///   - layer: the first thing.
  ///   - material: the second one, which this is the texture of.
  func given(to layer: Layer, from material: Cutout) -> Layer {
    let texture = tiled(from: material, width: layer.width, height: layer.height)
    let shading = Shading(of: layer)
    let lines = Lines(of: layer, width: 1)
    // The white of an eye and a hole within a handle stay white; of a thing that is white, nothing would be left.
    var (covered, white): (Float, Float) = (0, 0)
    for i in layer.pixels.indices where layer.pixels[i].w > 0.5 {
      covered += 1
      if layer.color(at: i).min() > Self.leastWhite { white += 1 }
    }
    let keepsWhite = white < 0.08 * covered
    return layer.recolored { i, old in
      let ground = texture.color(at: i)
      // Edges and eyes darken, whatever the texture.
      let light = shading.light(at: i)
      let line = 1 - 0.72 * lines.strength[i]
      let lit = light <= 1 ? ground * light : ground + (SIMD3(repeating: 1) - ground) * min(light - 1, 0.9)
      let kept: Float = keepsWhite && old.min() > Self.leastWhite ? 0.85 : 0
      return (lit + (SIMD3(repeating: 1) - lit) * kept) * line
    }
  }
}

/// Sums of a layer's colors over any rectangle, in constant time.
private struct ColorSums {
  private let width: Int
  /// Colors, and the sum of their squares, of all pixels above and to the left.
  private var colors: [SIMD3<Double>]
  private var squares: [Double]
  private var coverage: [Double]

  init(_ layer: Layer) {
    width = layer.width + 1
    colors = Array(repeating: .zero, count: width * (layer.height + 1))
    squares = Array(repeating: 0, count: colors.count)
    coverage = squares
    for y in 1...layer.height {
      for x in 1..<width {
        let i = y * width + x
        let pixel = (y - 1) * layer.width + x - 1
        let weight = Double(layer.pixels[pixel].w)
        let color = SIMD3<Double>(layer.color(at: pixel))
        colors[i] = weight * color + colors[i - 1] + colors[i - width] - colors[i - width - 1]
        squares[i] =
          weight * (color * color).sum() + squares[i - 1] + squares[i - width] - squares[i - width - 1]
        coverage[i] = weight + coverage[i - 1] + coverage[i - width] - coverage[i - width - 1]
      }
    }
  }

  /// The mean color of what is covered, and the standard deviation of the three colors together.
  func mean(x: Int, y: Int, width boxWidth: Int, height boxHeight: Int) -> (color: SIMD3<Float>, contrast: Float) {
    let corners = [
      y * width + x, y * width + x + boxWidth, (y + boxHeight) * width + x, (y + boxHeight) * width + x + boxWidth,
    ]
    let weight = max(
      1e-6, coverage[corners[3]] - coverage[corners[1]] - coverage[corners[2]] + coverage[corners[0]])
    let mean = (colors[corners[3]] - colors[corners[1]] - colors[corners[2]] + colors[corners[0]]) / weight
    let square = (squares[corners[3]] - squares[corners[1]] - squares[corners[2]] + squares[corners[0]]) / weight
    return (SIMD3<Float>(mean), Float(max(0, square - (mean * mean).sum()).squareRoot()))
  }
}
