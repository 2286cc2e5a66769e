import Basics
import Captions
import Datasets
import Imaging
import Synchronization

/// A picture of things that no picture of the data set shows together, and what is said of it.
public struct Composition: Sendable {
  public var pair: CompositionPair
  public var caption: String
  /// Other wordings, without the caption itself.
  public var furtherCaptions: [String]
  /// By the pair alone, whatever the wording; see ``CompositionMaker/split(relation:first:second:)``.
  public var split: Split
  public var picture: Picture
}

/// Makes compositions of a data set's things.
///
/// ``composition(at:)`` is a function of the things, the seed and the index alone: kept on disk and made while training, a
/// composition is the same bits. What a pair looks like does not depend on the seed either.
public final class CompositionMaker: Sendable {
  /// What can be chosen.
  public struct Settings: Sendable {
    /// Names all random numbers.
    public var seed: UInt64 = 0
    /// The side of the pictures, in pixels, ``CompositionMaker/pictureSizes``.
    public var pictureSize = 128
    /// Names of relations; all where it is empty.
    public var relations: [String] = []
    /// The languages of the captions, by their codes; the first one's come first.
    public var languages = ["en"]
    /// How much cutouts may take in memory, in bytes; others are cut anew when they are needed.
    public var maximumBytesInMemory = 256 << 20

    public init() {}

    /// - Throws: `PipelineError` of kind `.usage` for what makes no sense.
    public func validate() throws(PipelineError) {
      guard CompositionMaker.pictureSizes.contains(pictureSize) else {
        let (least, most) = (CompositionMaker.pictureSizes.lowerBound, CompositionMaker.pictureSizes.upperBound)
        throw PipelineError(.usage, "`pictureSize` must be \(least) to \(most), not \(pictureSize)")
      }
      try CaptionLanguages.check(languages, known: CompositionMaker.languages)
      for name in relations where !Relation.all.contains(where: { $0.name == name }) {
        let known = Relation.all.map(\.name).joined(separator: ", ")
        throw PipelineError(.usage, "`relations` must be a list of \(known) with commas between, not \"\(name)\"")
      }
    }
  }

  /// The sides of pictures that there are, in pixels.
  public static let pictureSizes = 32...512

  /// The codes of the languages that captions can be made in.
  public static let languages: [String] = Wordings.all.keys.sorted()

  public let settings: Settings
  /// The relations that can be made of these things, in the order of ``Relation/all``.
  public let relations: [Relation]
  let dataSet: PictureDataSet
  /// Of each language.
  let wordings: [Wordings]
  let things: [Thing]
  /// Positions among the things, by their names.
  let places: [String: Int]
  /// What can be X and Y in each relation.
  let candidates: [Candidates]
  /// The same for ``Relation/threeAtOnce``.
  let threeAtOnce: [Candidates]
  /// The cutouts made last.
  private let cache = Mutex(Kept())

  struct Candidates: Sendable {
    var relation: Relation
    var x: [Int]
    var y: [Int]
  }

  /// Cutouts by thing, and the order in which they came.
  private struct Kept {
    var cutouts: [Int: Cutout] = [:]
    var order: [Int] = []
    var byteCount = 0
  }

  /// Cuts out all things of the data set's train split, on all of the team's threads.
  /// - Parameters:
  ///   - dataSet: of pictures of one thing each on transparent or white ground. What of it is held out stands in no
  ///     composition.
  ///   - settings: what is made.
  ///   - team: the threads that the pictures are read on.
  ///   - report: receives one line for each damaged picture and each relation that cannot be made, and one for all that is left
  ///     out.
  /// - Throws: `PipelineError` of kind `.usage` for settings that make no sense, and `.badData` where the data set has not
  ///   two things.
  public init(
    _ dataSet: PictureDataSet, settings: Settings, team: ThreadTeam, report: (String) -> Void = { _ in }
  ) throws(PipelineError) {
    try dataSet.requirePictures()
    try settings.validate()
    let wanted = Relation.all.filter { settings.relations.isEmpty || settings.relations.contains($0.name) }
    self.settings = settings
    self.dataSet = dataSet
    wordings = settings.languages.compactMap { Wordings.all[$0] }
    things = try Self.things(of: dataSet, settings: settings, team: team, report: report)
    places = Dictionary(uniqueKeysWithValues: things.enumerated().map { ($1.name, $0) })
    var candidates: [Candidates] = []
    for relation in wanted {
      let found = Self.candidates(for: relation, among: things)
      if let found {
        candidates.append(found)
      } else {
        report("none of the relation \(relation.name): too few of the \(things.count) things can carry it")
      }
    }
    guard !candidates.isEmpty else {
      throw PipelineError(
        .badData, "the \(things.count) things in \(dataSet.url.path) can carry none of the relations asked for")
    }
    self.candidates = candidates
    relations = candidates.map(\.relation)
    let all = things
    threeAtOnce = Relation.threeAtOnce.compactMap { Self.candidates(for: $0, among: all) }
  }

  /// The names of all things that compositions are made of, sorted as the data set's files are.
  public var thingNames: [String] { things.map(\.name) }

  /// The names of the things whose texture others can be made of.
  public var materialNames: [String] { things.filter { $0.texture != nil }.map(\.name) }

  // MARK: Compositions

  /// The composition of an index.
  /// - Parameter index: 0 or above.
  /// - Throws: `PipelineError` where a picture has been damaged or removed since the maker was made.
  public func composition(at index: Int) throws(PipelineError) -> Composition {
    let (parts, captions) = described(at: index)
    return try composition(parts, caption: captions[0], furtherCaptions: Array(captions.dropFirst()))
  }

  /// What the composition of an index consists of, and its captions, without its picture.
  func described(at index: Int) -> (parts: Relation.Parts, captions: [String]) {
    var random = Philox(seed: settings.seed, stream: RandomStream.compositions(), counter: UInt64(index) << 8)
    let parts = parts(among: candidates, using: &random)
    var captions = wordings[0].captions(of: parts, things: things)
    let caption = Self.draw(from: &captions, using: &random)
    // A few others, drawn too, so that no wording is always a further one.
    var others = random.permutation(captions.count).prefix(3).sorted().map { captions[$0] }
    for wordings in wordings.dropFirst() {
      var captions = wordings.captions(of: parts, things: things)
      if !captions.isEmpty { others.append(Self.draw(from: &captions, using: &random)) }
      if !captions.isEmpty { others.append(captions[random.index(below: captions.count)]) }
    }
    return (parts, [caption] + others)
  }

  /// Takes a wording out of several. The plainest is the one that people type most.
  private static func draw(from captions: inout [String], using random: inout Philox) -> String {
    captions.remove(at: random.uniform() < 0.35 ? 0 : random.index(below: captions.count))
  }

  /// The true picture of a pair, with its plainest caption and all others, of each language; evaluation asks for those of its own choice.
  /// - Parameters:
  ///   - pair: the names of a relation and of what is in it.
  ///   - seed: names what the pair leaves open, such as the colors of "a red teapot next to a blue owl".
  /// - Returns: nil where the pair cannot carry the relation, or a name is none of a thing.
  /// - Throws: `PipelineError` where a picture has been damaged or removed since the maker was made.
  public func composition(of pair: CompositionPair, seed: UInt64 = 0) throws(PipelineError) -> Composition? {
    guard let parts = parts(of: pair, seed: seed) else { return nil }
    var captions = wordings.flatMap { $0.captions(of: parts, things: things) }
    let caption = captions.removeFirst()
    return try composition(parts, caption: caption, furtherCaptions: captions)
  }

  /// The split of a pair by the FNV-1a 64 hash of "relation|X|Y", or "relation|X": 0 mod 40 is test, 1 mod 40 is validation, and all
  /// else train.
  /// - Parameters:
  ///   - relation: the name under which the relation's pairs are held out.
  ///   - first: what X is called.
  ///   - second: what Y is called, or what X is told by.
  public static func split(relation: String, first: String, second: String?) -> Split {
    let key = ([relation, first] + (second.map { [$0] } ?? [])).joined(separator: "|")
    return switch FNV1a.hash(key) % 40 {
    case 0: .test
    case 1: .validation
    default: .train
    }
  }

  private func composition(
    _ parts: Relation.Parts, caption: String, furtherCaptions: [String]
  ) throws(PipelineError) -> Composition {
    let x = try cutout(of: parts.x)
    let y = try parts.y.map { (y) throws(PipelineError) in try cutout(of: y) } ?? x
    let scene = Scene(
      side: settings.pictureSize, x: Scene.Figure(x), y: Scene.Figure(y),
      texture: parts.y.flatMap { things[$0].texture },
      colors: parts.colors, count: parts.count ?? 1, size: parts.size ?? .large)
    let pair = pair(of: parts)
    return Composition(
      pair: pair, caption: caption, furtherCaptions: furtherCaptions, split: split(of: pair),
      picture: parts.relation.draw(scene).overWhite())
  }

  /// Draws a relation, and things that can carry it.
  func parts(among candidates: [Candidates], using random: inout Philox) -> Relation.Parts {
    var left = random.index(below: candidates.reduce(0) { $0 + $1.relation.weight })
    var found = candidates[0]
    for candidate in candidates {
      found = candidate
      left -= candidate.relation.weight
      if left < 0 { break }
    }
    var parts = Relation.Parts(relation: found.relation, x: 0)
    if !found.y.isEmpty { parts.y = found.y[random.index(below: found.y.count)] }
    // Nothing is made of itself. X has two candidates at least.
    var choice = random.index(below: found.x.count - (parts.y.map(found.x.contains) == true ? 1 : 0))
    if let y = parts.y, let own = found.x.firstIndex(of: y), choice >= own { choice += 1 }
    parts.x = found.x[choice]
    complete(&parts, using: &random)
    return parts
  }

  /// Draws the colors, the count and the size.
  func complete(_ parts: inout Relation.Parts, using random: inout Philox) {
    let takes = parts.relation.takes
    if takes.contains(.color) {
      let colors = things[parts.x].newColors
      parts.colors = [colors[random.index(below: colors.count)]]
    }
    if takes.contains(.secondColor), let y = parts.y {
      // Another one than X has, so that it is seen which is which.
      let colors = things[y].newColors.filter { !parts.colors.contains($0) }
      if !colors.isEmpty { parts.colors.append(colors[random.index(below: colors.count)]) }
    }
    if takes.contains(.count) { parts.count = 2 + random.index(below: 3) }
    if takes.contains(.size) { parts.size = SizeWord.allCases[random.index(below: SizeWord.allCases.count)] }
  }

  // MARK: Things

  /// - Returns: nil where no two things can carry the relation.
  private static func candidates(for relation: Relation, among things: [Thing]) -> Candidates? {
    let takes = relation.takes
    let x = things.indices.filter { i in
      (!takes.contains(.count) || things[i].plural != nil) && (!takes.contains(.color) || !things[i].newColors.isEmpty)
    }
    let y = things.indices.filter { i in
      relation.takesY && (!takes.contains(.material) || things[i].texture != nil)
        && (!takes.contains(.linedMaterial) || things[i].texture?.hasLines == true)
        && (!takes.contains(.secondColor) || things[i].newColors.count > 1)
    }
    guard x.count > 1, !relation.takesY || !y.isEmpty else { return nil }
    return Candidates(relation: relation, x: x, y: y)
  }

  private static func things(
    of dataSet: PictureDataSet, settings: Settings, team: ThreadTeam, report: (String) -> Void
  ) throws(PipelineError) -> [Thing] {
    // What is composed already is no thing.
    let pictures = dataSet.uncomposed(dataSet.indices(of: .train))
    guard !pictures.isEmpty else {
      throw PipelineError(
        .badData,
        "all training pictures in \(dataSet.url.path) are compositions; name the folder of those that they are made of")
    }
    var known: Set<String> = []
    var named: [(entry: Int, names: [String: String])] = []
    for entry in pictures {
      let names = ThingName.names(of: dataSet.entries[entry])
      // Of several pictures of one name in the first language, or in English, the first one is taken; in others, it has the name.
      let first = Set([names[settings.languages[0]], names["en"]].compactMap(\.self))
      guard names[settings.languages[0]] != nil, first.isDisjoint(with: known) else { continue }
      named.append((entry, names.filter { !known.contains($0.value) }))
      known.formUnion(names.values)
    }
    guard !named.isEmpty else {
      throw PipelineError(
        .badData,
        "none of the \(pictures.count) captions in \(dataSet.url.path) names a thing; compositions need captions of one to three words in \(settings.languages[0]), such as \"teapot\""
      )
    }
    let results = team.map(named.count) { i -> Result<Thing?, PipelineError> in
      do throws(PipelineError) {
        let cutout = try cutout(of: named[i].entry, in: dataSet, settings: settings)
        return .success(cutout.map { Thing(entry: named[i].entry, names: named[i].names, cutout: $0) })
      } catch {
        return .failure(error)
      }
    }
    var things: [Thing] = []
    for result in results {
      do throws(PipelineError) {
        if let thing = try result.get() { things.append(thing) }
      } catch {
        report("skipped \(error.message)")
      }
    }
    guard things.count > 1 else {
      let reason = "\(things.count == 1 ? "only one" : "none") of the \(named.count) pictures in \(dataSet.url.path)"
      throw PipelineError(
        .badData, "\(reason) that are named as things stands alone on transparent or plain white ground; two are needed"
      )
    }
    report(
      "\(things.count) things of \(pictures.count) pictures: \(pictures.count - named.count) captions name none, or one that was "
        + "there already, and \(named.count - things.count) pictures have no transparent or plain white ground, or next to nothing on it"
    )
    return things
  }

  private static func cutout(
    of entry: Int, in dataSet: PictureDataSet, settings: Settings
  ) throws(PipelineError) -> Cutout? {
    // Larger than the picture only where a small part of a thing is used as its texture.
    Cutout(try dataSet.transparentPicture(at: entry), atMost: 2 * settings.pictureSize)
  }

  private func cutout(of thing: Int) throws(PipelineError) -> Cutout {
    if let kept = cache.withLock({ $0.cutouts[thing] }) { return kept }
    let entry = things[thing].entry
    guard let cutout = try Self.cutout(of: entry, in: dataSet, settings: settings) else {
      throw PipelineError(.badData, "\(dataSet.entries[entry].fileName) has changed since its thing was cut out")
    }
    cache.withLock { kept in
      guard kept.cutouts.updateValue(cutout, forKey: thing) == nil else { return }
      kept.order.append(thing)
      kept.byteCount += cutout.byteCount
      while kept.byteCount > settings.maximumBytesInMemory, kept.order.count > 1 {
        if let oldest = kept.cutouts.removeValue(forKey: kept.order.removeFirst()) {
          kept.byteCount -= oldest.byteCount
        }
      }
    }
    return cutout
  }
}
