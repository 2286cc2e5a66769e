import Basics
import Captions
import Datasets

/// Two things in a relation, or one and what it is told by: what is held out.
public struct CompositionPair: Sendable, Hashable, Codable {
  /// The name of a ``Relation``.
  public var relation: String
  /// What X is called.
  public var first: String
  /// What Y is called; where the relation has no further thing, the color, the count ("two") or the size by which X is told.
  public var second: String?

  public init(relation: String, first: String, second: String? = nil) {
    (self.relation, self.first, self.second) = (relation, first, second)
  }
}

extension CompositionMaker {
  /// What ``composition(at:)`` shows, without drawing it.
  /// - Parameter index: 0 or above.
  public func pair(at index: Int) -> CompositionPair { pair(at: index, among: candidates) }

  private func pair(at index: Int, among candidates: [Candidates]) -> CompositionPair {
    var random = Philox(seed: settings.seed, stream: RandomStream.compositions(), counter: UInt64(index) << 8)
    return pair(of: parts(among: candidates, using: &random))
  }

  /// The split of a pair, by the name under which its relation's pairs are held out.
  public func split(of pair: CompositionPair) -> Split {
    Self.split(
      relation: Relation.named(pair.relation)?.heldOutAs ?? pair.relation, first: pair.first, second: pair.second)
  }

  /// The first pairs of a split in the order of the indices, each once.
  /// - Parameters:
  ///   - split: theirs.
  ///   - count: how many are wanted; there are fewer where many indices in a row bring no further one.
  ///   - threeAtOnce: in those of ``Relation/threeAtOnce``, which no index of a composition has, and not in the others.
  public func pairs(of split: Split, count: Int, threeAtOnce: Bool = false) -> [CompositionPair] {
    let candidates = threeAtOnce ? self.threeAtOnce : candidates
    if candidates.isEmpty { return [] }
    var pairs: [CompositionPair] = []
    var known: Set<CompositionPair> = []
    var index = 0
    var lastIndex = 0
    while pairs.count < count && index - lastIndex < 100_000 {
      let pair = pair(at: index, among: candidates)
      if self.split(of: pair) == split && known.insert(pair).inserted {
        pairs.append(pair)
        lastIndex = index
      }
      index += 1
    }
    return pairs
  }

  /// Pairs that a careless eye takes for this one: the same X with another Y, and another X with the same Y.
  /// - Parameters:
  ///   - pair: theirs in half.
  ///   - count: of each of the two sorts, where there are so many.
  ///   - random: draws them.
  /// - Returns: nothing for a pair that cannot carry the relation.
  public func neighbours(of pair: CompositionPair, count: Int, using random: inout Philox) -> [CompositionPair] {
    guard let found = candidates(of: pair) else { return [] }
    let seconds = pair.second == nil ? [] : seconds(of: pair, in: found)
    let firsts = found.x.map { things[$0].name }.filter { $0 != pair.first && $0 != pair.second }
    let others =
      random.permutation(seconds.count).lazy.map {
        CompositionPair(relation: pair.relation, first: pair.first, second: seconds[$0])
      }.filter { self.parts(of: $0, seed: 0) != nil }.prefix(count)
    let further =
      random.permutation(firsts.count).lazy.map {
        CompositionPair(relation: pair.relation, first: firsts[$0], second: pair.second)
      }.filter { self.parts(of: $0, seed: 0) != nil }.prefix(count)
    return Array(others) + Array(further)
  }

  /// What can stand in the pair's relation; nil where these things cannot carry it.
  private func candidates(of pair: CompositionPair) -> Candidates? {
    (candidates + threeAtOnce).first { $0.relation.name == pair.relation }
  }

  /// What else may stand in the place of the pair's second.
  private func seconds(of pair: CompositionPair, in found: Candidates) -> [String] {
    let all =
      if !found.y.isEmpty {
        found.y.map { things[$0].name }
      } else if found.relation.takes.contains(.color) {
        NamedColor.allCases.map(\.rawValue)
      } else if found.relation.takes.contains(.count) {
        Array(Wordings.english.counts.values).sorted()
      } else {
        SizeWord.allCases.map(\.rawValue)
      }
    return all.filter { $0 != pair.second && $0 != pair.first }
  }

  /// What a composition's parts are called.
  func pair(of parts: Relation.Parts) -> CompositionPair {
    let second =
      parts.y.map { things[$0].name } ?? parts.colors.first?.rawValue
      ?? parts.count.flatMap { Wordings.english.counts[$0] } ?? parts.size?.rawValue
    return CompositionPair(relation: parts.relation.name, first: things[parts.x].name, second: second)
  }

  /// - Parameter seed: names what the pair leaves open.
  /// - Returns: nil where the pair cannot carry the relation, or a name is none of a thing.
  func parts(of pair: CompositionPair, seed: UInt64) -> Relation.Parts? {
    guard let found = candidates(of: pair), let x = places[pair.first], found.x.contains(x) else { return nil }
    var random = Philox(seed: seed, stream: RandomStream.compositions(1))
    var parts = Relation.Parts(relation: found.relation, x: x)
    if !found.y.isEmpty {
      guard let second = pair.second, let y = places[second], found.y.contains(y), y != x else { return nil }
      parts.y = y
    }
    complete(&parts, using: &random)
    guard found.y.isEmpty, let second = pair.second else { return parts }
    let takes = found.relation.takes
    if takes.contains(.color) {
      guard let color = NamedColor(rawValue: second), things[x].newColors.contains(color) else { return nil }
      parts.colors = [color]
    } else if takes.contains(.count) {
      guard let count = Wordings.english.counts.first(where: { $0.value == second })?.key else { return nil }
      parts.count = count
    } else if takes.contains(.size) {
      guard let size = SizeWord(rawValue: second) else { return nil }
      parts.size = size
    }
    return parts
  }
}
