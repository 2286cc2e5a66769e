/// What two things, or one and something else, have to do with each other in a picture.
///
/// A relation is one entry of ``all``: its name, what it takes beside the thing X, and how it is drawn; its sentences stand in
/// the wordings of each language under the same name.
public struct Relation: Sendable {
  /// In files and options, such as "made-of".
  public let name: String
  /// How often it is made in proportion to the others.
  let weight: Int
  /// What it takes beside X.
  let takes: Set<Part>
  /// The name under which its pairs are held out: one that contains another holds out the same pairs, so that "two owls
  /// made of pizza" never tells what "an owl made of pizza" is.
  let heldOutAs: String
  /// The picture.
  let draw: @Sendable (Scene) -> Layer

  /// Whether it takes a further thing.
  var takesY: Bool { !takes.isDisjoint(with: [.thing, .material, .linedMaterial]) }

  enum Part: Sendable {
    /// A further thing Y.
    case thing
    /// A further thing Y that has a texture.
    case material
    /// A further thing Y whose texture can be recognised in a drawing of lines.
    case linedMaterial
    /// A color that X does not have.
    case color
    /// A further one, for Y.
    case secondColor
    case count, size
  }

  private init(
    _ name: String, weight: Int, takes: Set<Part> = [], heldOutAs: String? = nil,
    draw: @escaping @Sendable (Scene) -> Layer
  ) {
    (self.name, self.weight, self.takes, self.draw) = (name, weight, takes, draw)
    self.heldOutAs = heldOutAs ?? name
  }

  /// All that compositions are made of.
  public static let all: [Relation] = [
    Relation("made-of", weight: 12, takes: [.material]) { $0.centred($0.made) },
    Relation("colored", weight: 5, takes: [.color]) { $0.centred($0.colored) },
    Relation("counted", weight: 4, takes: [.count]) { $0.several($0.x) },
    Relation("next-to", weight: 5, takes: [.thing]) { $0.beside($0.x, $0.y) },
    Relation("on-top-of", weight: 4, takes: [.thing]) { $0.stacked($0.x, $0.y) },
    Relation("inside-circle", weight: 2) { $0.inCircle($0.x) },
    Relation("sketch", weight: 3) { $0.centred($0.x.sketched) },
    Relation("sized", weight: 2, takes: [.size]) { $0.sized($0.x) },
    Relation("counted-colored", weight: 2, takes: [.count, .color], heldOutAs: "colored") { $0.several($0.colored) },
    Relation("counted-made-of", weight: 2, takes: [.count, .material], heldOutAs: "made-of") { $0.several($0.made) },
    Relation("colored-next-to", weight: 3, takes: [.thing, .color, .secondColor], heldOutAs: "next-to") {
      $0.beside($0.colored, $0.secondColored)
    },
    Relation("colored-on-top-of", weight: 2, takes: [.thing, .color, .secondColor], heldOutAs: "on-top-of") {
      $0.stacked($0.colored, $0.secondColored)
    },
    Relation("sized-next-to", weight: 2, takes: [.thing, .size], heldOutAs: "next-to") { $0.besideInSizes($0.x, $0.y) },
    Relation("colored-inside-circle", weight: 1, takes: [.color], heldOutAs: "colored") { $0.inCircle($0.colored) },
    Relation("made-of-inside-circle", weight: 2, takes: [.material], heldOutAs: "made-of") { $0.inCircle($0.made) },
    Relation("sketch-made-of", weight: 2, takes: [.linedMaterial], heldOutAs: "made-of") {
      $0.centred($0.made.sketched)
    },
    Relation("sketch-below", weight: 2) { $0.halves($0.x, $0.x.sketched) },
    Relation("colored-sketch-below", weight: 1, takes: [.color], heldOutAs: "colored") {
      $0.halves($0.colored, $0.colored.sketched)
    },
    Relation("made-of-sketch-below", weight: 2, takes: [.material], heldOutAs: "made-of") {
      $0.halves($0.made, $0.made.sketched)
    },
  ]

  /// Three relations at once: what a model is asked, and no composition that it learns from shows.
  public static let threeAtOnce: [Relation] = [
    Relation(
      "sized-colored-next-to", weight: 1, takes: [.thing, .size, .color, .secondColor], heldOutAs: "next-to"
    ) { $0.besideInSizes($0.colored, $0.secondColored) },
    Relation("sketch-counted-made-of", weight: 1, takes: [.count, .linedMaterial], heldOutAs: "made-of") {
      $0.several($0.made.sketched)
    },
    Relation("made-of-sized-next-to", weight: 1, takes: [.material, .size], heldOutAs: "made-of") {
      $0.besideInSizes($0.made, $0.y)
    },
  ]

  /// - Returns: nil where no relation has this name.
  static func named(_ name: String) -> Relation? { (all + threeAtOnce).first { $0.name == name } }

  /// What a composition of this relation consists of.
  struct Parts: Sendable {
    var relation: Relation
    /// Positions among the maker's things.
    var x: Int
    var y: Int?
    /// Of X, and of Y where it has one.
    var colors: [NamedColor] = []
    var count: Int?
    /// Of X; Y has the other one.
    var size: SizeWord?
  }
}
