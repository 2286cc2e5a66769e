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

    /// The thing in a square of a whole number of pixels, with what is done to it. Its sides are even, so that its middle lies between
    /// pixels: in each place of the picture it is the same pixels.
    func layer(fitting side: Int) -> Layer {
      effects.reduce(cutout.layer(fitting: side, multipleOf: 2)) { $1($0) }
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

  // There are few sizes, and the middles lie on quarters and eighths of the side, where an image tokenizer's places begin: what is learnt
  // of a thing in one relation is then the same tokens in others.

  /// The share of the side that a thing alone takes, as emoji do in their squares.
  private static let whole = 0.92
  /// Of two in a row.
  private static let half = 0.46
  /// Of one that leaves room around it, and of the small one that fits there.
  private static let (most, rest) = (0.64, 0.24)

  private func layer(_ figure: Figure, _ share: Double) -> Layer {
    figure.layer(fitting: max(1, Int(share * Double(side))))
  }

  /// Layers over each other in places given by their middles, as shares of the side.
  private func placed(_ layers: [(layer: Layer, x: Double, y: Double)]) -> Layer {
    var canvas = Layer(width: side, height: side)
    for (layer, x, y) in layers {
      canvas.draw(
        layer, x: Int((x * Double(side) - Double(layer.width) / 2).rounded()),
        y: Int((y * Double(side) - Double(layer.height) / 2).rounded()))
    }
    return canvas
  }

  func centred(_ figure: Figure) -> Layer { placed([(layer(figure, Self.whole), 0.5, 0.5)]) }

  /// A large one fills the picture, as one does of which nothing is said.
  func sized(_ figure: Figure) -> Layer {
    placed([(layer(figure, size == .small ? Self.half : Self.whole), 0.5, 0.5)])
  }

  /// Two beside each other, three in two rows, four in two rows.
  func several(_ figure: Figure) -> Layer {
    let layer = layer(figure, Self.half)
    let middles: [(Double, Double)] =
      switch count {
      case 2: [(0.25, 0.5), (0.75, 0.5)]
      case 3: [(0.5, 0.25), (0.25, 0.75), (0.75, 0.75)]
      default: [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
      }
    return placed(middles.map { (layer, $0.0, $0.1) })
  }

  /// The first on the left.
  func beside(_ left: Figure, _ right: Figure) -> Layer {
    placed([(layer(left, Self.half), 0.25, 0.5), (layer(right, Self.half), 0.75, 0.5)])
  }

  /// The same, standing on one ground, one much larger than the other.
  func besideInSizes(_ left: Figure, _ right: Figure) -> Layer {
    let isLeftSmall = size == .small
    let small = layer(isLeftSmall ? left : right, Self.rest)
    let large = layer(isLeftSmall ? right : left, Self.most)
    let foot = 0.5 + Double(large.height - small.height) / Double(2 * side)
    return placed(
      isLeftSmall
        ? [(small, 0.125, foot), (large, 0.625, 0.5)]
        : [(large, 0.375, 0.5), (small, 0.875, foot)])
  }

  /// The upper one stands where it first meets the lower one.
  func stacked(_ upper: Figure, _ lower: Figure) -> Layer {
    let (top, bottom) = (layer(upper, Self.half), layer(lower, Self.half))
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
    drop = min(drop + max(1, Int(0.035 * Double(side))), bottom.height)
    let middle = 0.75 - (Double(top.height + bottom.height) / 2 - Double(drop)) / Double(side)
    return placed([(bottom, 0.5, 0.75), (top, 0.5, middle)])
  }

  /// A thing within a ring.
  func inCircle(_ figure: Figure) -> Layer {
    let (radius, thickness) = (0.47 * Double(side), max(1.5, 0.026 * Double(side)))
    var ring = Layer(width: side, height: side)
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
    // Its corners touch the ring where it fills its square, as few things do.
    return placed([(ring, 0.5, 0.5), (layer(figure, Self.most), 0.5, 0.5)])
  }

  /// One in the upper half and one in the lower half, in the same size.
  func halves(_ upper: Figure, _ lower: Figure) -> Layer {
    placed([(layer(upper, Self.half), 0.5, 0.25), (layer(lower, Self.half), 0.5, 0.75)])
  }
}
