import Basics
import Captions
import Checkpoints
import Datasets
import Foundation
import Lexicon

/// A noun of a prompt that no training caption has, and the nearest one that is drawn in its place.
public struct NounReplacement: Sendable, Equatable, Encodable, CustomStringConvertible {
  /// As it was typed.
  public var noun: String
  public var replacement: String
  /// What both are, such as the "odd-toed ungulate" of tapir and rhinoceros; nil where they mean the same.
  public var ancestor: String?

  public var description: String {
    let isSaid = [noun.lowercased(), replacement].contains(ancestor ?? replacement)
    return "\"\(noun)\" was never seen; drawn as \"\(replacement)\"" + (isSaid ? "" : " (\(ancestor ?? ""))")
  }
}

/// A prompt in which nouns were replaced.
public struct ReplacedPrompt: Sendable, Equatable {
  public var text: String
  /// In the order of the text; none where the text is as it was.
  public var replacements: [NounReplacement] = []
}

/// Finds the nouns of prompts that were never seen, and puts the nearest ones in their places.
struct UnseenNouns {
  let words: KnownWords
  let map: NounMap

  /// A word of a prompt without the punctuation around it.
  private struct Word {
    var range: Range<String.Index>
    /// Whether nothing but spaces stands between it and the next one.
    var joinsNext: Bool
  }

  /// The longest collocation that WordNet is asked for.
  private static let mostWords = 3

  /// - Throws: `PipelineError` of kind `.badData` where the list of nouns is damaged.
  func replaced(_ prompt: String) throws(PipelineError) -> ReplacedPrompt {
    let found = Self.words(of: prompt)
    var result = ReplacedPrompt(text: "")
    var (position, place) = (prompt.startIndex, 0)
    while place < found.count {
      guard let (count, match, isPlural) = try nearest(found[place...], in: prompt) else {
        place += 1
        continue
      }
      let range = found[place].range.lowerBound..<found[place + count - 1].range.upperBound
      let noun = isPlural ? English.pluralPhrase(match.noun) : match.noun
      result.replacements.append(
        NounReplacement(noun: String(prompt[range]), replacement: noun, ancestor: match.ancestor))
      result.text += prompt[position..<range.lowerBound]
      if place > 0, found[place - 1].joinsNext {
        Self.fit(article: prompt[found[place - 1].range], atTheEndOf: &result.text, to: noun)
      }
      result.text += noun
      position = range.upperBound
      place += count
    }
    result.text += prompt[position...]
    return result
  }

  /// What stands for the first words of some, as many as make one noun of which a word was never seen.
  private func nearest(
    _ found: ArraySlice<Word>, in prompt: String
  ) throws(PipelineError) -> (count: Int, match: NearestNouns.Match, isPlural: Bool)? {
    let joined = 1 + found.prefix(Self.mostWords - 1).prefix { $0.joinsNext }.count
    for count in stride(from: min(joined, found.count), to: 0, by: -1) {
      let parts = found.prefix(count).map { prompt[$0.range].lowercased() }
      let noun = parts.joined(separator: " ")
      if CaptionForms.ownWords.contains(noun) || words.missing(in: noun).isEmpty { continue }
      if let match = try map.nearest(to: noun) { return (count, match, false) }
      for singular in Self.singulars(of: parts[count - 1]) {
        let noun = (parts.dropLast() + [singular]).joined(separator: " ")
        if let match = try map.nearest(to: noun) { return (count, match, true) }
      }
    }
    return nil
  }

  private static func words(of prompt: String) -> [Word] {
    var words: [Word] = []
    for part in prompt.split(whereSeparator: \.isWhitespace) {
      func isInWord(_ character: Character) -> Bool { character.isLetter || character.isNumber }
      guard let first = part.firstIndex(where: isInWord), let last = part.lastIndex(where: isInWord) else {
        if !words.isEmpty { words[words.count - 1].joinsNext = false }
        continue
      }
      if first > part.startIndex, !words.isEmpty { words[words.count - 1].joinsNext = false }
      var word = part[first...last]
      let hasMore = word.endIndex < part.endIndex
      let owner = word.count > 2 && ["'s", "’s"].contains(where: word.lowercased().hasSuffix)
      if owner { word = word.dropLast(2) }
      words.append(Word(range: word.startIndex..<word.endIndex, joinsNext: !hasMore && !owner))
    }
    if !words.isEmpty { words[words.count - 1].joinsNext = false }
    return words
  }

  private static func singulars(of word: String) -> [String] {
    var singulars = [English.singular(word)]
    if word.hasSuffix("es") { singulars.append(String(word.dropLast(2))) }
    if word.hasSuffix("men") { singulars.append(word.dropLast(3) + "man") }
    return singulars.filter { $0 != word }
  }

  /// "an ocelot" becomes "a leopard", and "a mitten" becomes "gloves".
  private static func fit(article: Substring, atTheEndOf text: inout String, to noun: String) {
    guard ["a", "an"].contains(article.lowercased()), let end = text.range(of: article, options: .backwards) else {
      return
    }
    let fitting = English.isSeveralOrMass(noun) ? "" : "\(English.indefiniteArticle(for: noun)) "
    text.replaceSubrange(
      end.lowerBound...,
      with: article.first?.isUppercase == true ? fitting.prefix(1).uppercased() + fitting.dropFirst() : fitting)
  }
}
