/// How light falls on a thing, apart from what it is made of.
struct Shading {
  /// Brightness about its surroundings, and the surroundings' about the whole thing.
  private var local: [Float]
  private var broad: [Float]

  init(of layer: Layer) {
    let radius = max(1, layer.longerSide / 14)
    // Brightness where the thing is, so that the ground does not count.
    let weighted = layer.pixels.indices.map { i in
      SIMD4(layer.color(at: i).luma * layer.pixels[i].w, layer.pixels[i].w, 0, 0)
    }
    let blurred = Layer.blurred(weighted, width: layer.width, height: layer.height, radius: radius)
    let coverage = max(1e-6, weighted.reduce(0) { $0 + $1.y })
    let mean = weighted.reduce(0) { $0 + $1.x } / coverage
    var squares: Float = 0
    for i in weighted.indices {
      let off = layer.color(at: i).luma - mean
      squares += weighted[i].y * off * off
    }
    let deviation = max(0.1, (squares / coverage).squareRoot())
    broad = blurred.map { min(max(($0.x / max($0.y, 1e-3) - mean) / deviation, -1.6), 1.6) }
    local = layer.pixels.indices.map { i in
      let around = blurred[i].x / max(blurred[i].y, 1e-3)
      let off = layer.color(at: i).luma - around
      // What is much darker or brighter than all around it (an eye, and the spark in it) is so in any material, and where
      // all is dark, in proportion.
      return off < 0 ? min(2.3 * off, 0.9 * off / max(around, 0.15)) : 1.1 * off
    }
  }

  /// What a color is multiplied by, up to 1; above, the share by which it goes on to white.
  func light(at i: Int) -> Float { max(0.1, 1 + 0.17 * broad[i] + local[i]) }
}

/// The lines that a person would draw of a thing: its outline, and where its color changes.
struct Lines {
  /// Of each pixel, 0 (none) ... 1.
  var strength: [Float]

  /// - Parameters:
  ///   - layer: the thing.
  ///   - width: 1 for a line of a 64th of the thing's longer side.
  init(of layer: Layer, width: Float) {
    let radius = max(1, Int((width * Float(layer.longerSide) / 64).rounded()))
    // With room around it, so that an outline at the border is like any other.
    let margin = 3 * radius
    let (columns, rows) = (layer.width + 2 * margin, layer.height + 2 * margin)
    var ground = [SIMD4<Float>](repeating: SIMD4(1, 1, 1, 0), count: columns * rows)
    for y in 0..<layer.height {
      for x in 0..<layer.width {
        let pixel = layer.pixels[y * layer.width + x]
        let white = 1 - pixel.w
        ground[(y + margin) * columns + x + margin] = pixel + SIMD4(white, white, white, 0)
      }
    }
    let wide = Layer.blurred(ground, width: columns, height: rows, radius: radius)
    strength = Array(repeating: 0, count: layer.pixels.count)
    for y in 0..<layer.height {
      for x in 0..<layer.width {
        let i = (y + margin) * columns + x + margin
        // On the darker side of an edge, so that each edge is one line.
        let darker = wide[i] - ground[i]
        let inner = max(darker.x, darker.y, darker.z)
        let outline = ground[i].w * (1 - wide[i].w)
        let edge = max(inner, 0.55 * outline)
        // Where a soft change ends and an edge begins.
        let t = min(max((edge - 0.035) / 0.13, 0), 1)
        strength[y * layer.width + x] = t * t * (3 - 2 * t)
      }
    }
  }

  /// The lines alone, dark on nothing.
  static func sketch(of layer: Layer) -> Layer {
    let lines = Lines(of: layer, width: 1)
    var sketch = Layer(width: layer.width, height: layer.height)
    for i in sketch.pixels.indices {
      let alpha = lines.strength[i] * 0.92
      sketch.pixels[i] = SIMD4(0.1 * alpha, 0.1 * alpha, 0.12 * alpha, alpha)
    }
    return sketch
  }
}
