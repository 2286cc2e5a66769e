/// The things of one composition, and where they can stand.
struct Scene: Sendable {
  /// Of the picture, in pixels.
  let side: Int
  let x: Figure
  /// X itself in relations that have no Y.
  let y: Figure
  let texture: Texture?
  let colors: [NamedColor]
  let count: Int
  let size: SizeWord

  /// A thing, and what is done to it once its size is known.
  struct Figure: Sendable {
    let cutout: Cutout
    private(set) var effects: [@Sendable (Layer) -> Layer] = []

    init(_ cutout: Cutout) { self.cutout = cutout }

    func with(_ effect: @escaping @Sendable (Layer) -> Layer) -> Figure {
      var figure = self
      figure.effects.append(effect)
      return figure
    }

    var sketched: Figure { with(Lines.sketch) }

    func layer(fitting width: Double, _ height: Double) -> Layer {
      effects.reduce(cutout.layer(fitting: Int(width), Int(height))) { $1($0) }
    }
  }

  // MARK: What is done to things

  /// X in the first color.
  var colored: Figure { colors.first.map { x.with($0.given) } ?? x }
  /// Y in the last one.
  var secondColored: Figure { colors.last.map { y.with($0.given) } ?? y }
  /// X made of Y.
  var made: Figure {
    guard let texture else { return x }
    let material = y.cutout
    return x.with { texture.given(to: $0, from: material) }
  }

  // MARK: Where things stand

  /// The share of the side that a thing alone takes, as emoji do in their squares.
  private static let share = 0.92

  private var canvas: Layer { Layer(width: side, height: side) }

  private func length(_ share: Double) -> Double { max(1, share * Double(side)) }

  /// The layers in places given by their centres, as shares of the side.
  private func placed(_ layers: [(layer: Layer, x: Double, y: Double)]) -> Layer {
    var canvas = canvas
    for (layer, x, y) in layers {
      canvas.draw(
        layer, x: Int((x * Double(side) - Double(layer.width) / 2).rounded()),
        y: Int((y * Double(side) - Double(layer.height) / 2).rounded()))
    }
    return canvas
  }

  func centred(_ figure: Figure, share: Double = share) -> Layer {
    placed([(figure.layer(fitting: length(share), length(share)), 0.5, 0.5)])
  }

  func sized(_ figure: Figure) -> Layer { centred(figure, share: size == .small ? 0.3 : 1) }

  /// Two beside each other, three in two rows, four in two rows.
  func several(_ figure: Figure) -> Layer {
    switch count {
    case 2:
      let layer = figure.layer(fitting: length(0.47), length(Self.share))
      return placed([(layer, 0.25, 0.5), (layer, 0.75, 0.5)])
    case 3:
      let layer = figure.layer(fitting: length(0.46), length(0.46))
      return placed([(layer, 0.5, 0.25), (layer, 0.25, 0.75), (layer, 0.75, 0.75)])
    default:
      let layer = figure.layer(fitting: length(0.46), length(0.46))
      return placed([(layer, 0.25, 0.25), (layer, 0.75, 0.25), (layer, 0.25, 0.75), (layer, 0.75, 0.75)])
    }
  }

  /// The first on the left.
  func beside(_ left: Figure, _ right: Figure) -> Layer {
    placed([
      (left.layer(fitting: length(0.48), length(Self.share)), 0.25, 0.5),
      (right.layer(fitting: length(0.48), length(Self.share)), 0.75, 0.5),
    ])
  }

  /// The same, standing on one ground, one much larger than the other.
  func besideInSizes(_ left: Figure, _ right: Figure) -> Layer {
    let (small, large) = (0.24, 0.68)
    let (first, second) = size == .small ? (small, large) : (large, small)
    let (a, b) = (
      left.layer(fitting: length(first), length(first)), right.layer(fitting: length(second), length(second))
    )
    let foot = 0.5 + Double(max(a.height, b.height)) / Double(2 * side)
    return placed([
      (a, 0.02 + first / 2, foot - Double(a.height) / Double(2 * side)),
      (b, 0.98 - second / 2, foot - Double(b.height) / Double(2 * side)),
    ])
  }

  /// The upper one stands where it first meets the lower one.
  func stacked(_ upper: Figure, _ lower: Figure) -> Layer {
    let top = upper.layer(fitting: length(0.6), length(0.48))
    let bottom = lower.layer(fitting: length(0.8), length(0.5))
    func profile(_ layer: Layer, rows: some Sequence<Int>) -> [Int?] {
      (0..<layer.width).map { x in rows.first { layer.pixels[$0 * layer.width + x].w > 0.5 } }
    }
    let feet = profile(top, rows: (0..<top.height).reversed())
    let ground = profile(bottom, rows: 0..<bottom.height)
    // Both are centred; a column of the upper one is `shift` further in the lower one.
    let shift = (bottom.width - top.width) / 2
    var drop = bottom.height
    for (x, foot) in feet.enumerated() {
      guard let foot, ground.indices.contains(x + shift), let height = ground[x + shift] else { continue }
      // From the upper one's bottom edge lying on the lower one's top edge.
      drop = min(drop, height + top.height - 1 - foot)
    }
    if drop == bottom.height { drop = 0 }
    // A little further, so that it stands and does not touch with one tip.
    drop = min(drop + Int(length(0.035)), bottom.height)
    let total = top.height + bottom.height - drop
    let start = (side - total) / 2
    var canvas = canvas
    canvas.draw(bottom, x: (side - bottom.width) / 2, y: start + top.height - drop)
    canvas.draw(top, x: (side - bottom.width) / 2 + shift, y: start)
    return canvas
  }

  /// A thing within a ring.
  func inCircle(_ figure: Figure) -> Layer {
    let (radius, thickness) = (length(0.47), max(1.5, length(0.026)))
    var ring = canvas
    let centre = Double(side) / 2
    for y in 0..<side {
      for x in 0..<side {
        let (dx, dy) = (Double(x) + 0.5 - centre, Double(y) + 0.5 - centre)
        let distance = (dx * dx + dy * dy).squareRoot()
        // How much of the pixel the line covers, to within a small part.
        let alpha = Float(min(max(0.5 + thickness / 2 - abs(distance - radius + thickness / 2), 0), 1))
        ring.pixels[y * side + x] = SIMD4(0.12 * alpha, 0.12 * alpha, 0.13 * alpha, alpha)
      }
    }
    // A box whose corners touch the ring; few things fill their corners.
    let (width, height) = (Double(figure.cutout.width), Double(figure.cutout.height))
    let scale = 2 * 0.43 * Double(side) / (width * width + height * height).squareRoot() * 1.06
    let layer = figure.layer(fitting: scale * width, scale * height)
    ring.draw(layer, x: (side - layer.width) / 2, y: (side - layer.height) / 2)
    return ring
  }

  /// One in the upper half and one in the lower half, in the same size.
  func halves(_ upper: Figure, _ lower: Figure) -> Layer {
    placed([
      (upper.layer(fitting: length(Self.share), length(0.46)), 0.5, 0.25),
      (lower.layer(fitting: length(Self.share), length(0.46)), 0.5, 0.75),
    ])
  }
}
