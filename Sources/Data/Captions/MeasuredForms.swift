import Basics

/// Captions that are the same each time, to measure whether a model knows them.
extension CaptionForms {
  /// A caption in one of the forms that ``Measured`` has, the same each time. Where the first caption is not in Latin letters, it
  /// takes no article, and is a picture in Korean or not at all.
  public func caption(of index: Int, in form: Measured) -> String {
    let subject = subjects(of: index)[0]
    let core = subject.cores[0]
    let takesArticle = subject.isLatin && !English.isDetermined(core)
    let article = takesArticle ? "\(English.indefiniteArticle(for: core)) " : ""
    return switch form {
    case .plain: core
    case .sentence: core.lowercased() + "."
    case .indefinite: article + core
    case .definite: takesArticle ? "the \(core)" : core
    case .exclamation: core + "!"
    case .picture: subject.isLatin ? "a picture of \(article)\(core)" : subject.script == .hangul ? "\(core) 그림" : core
    }
  }

  /// Forms in which it is measured whether a model knows a caption; X is the caption without article and full stop.
  public enum Measured: String, Sendable, CaseIterable {
    case plain = "X"
    case sentence = "x."
    case indefinite = "a X"
    case definite = "the X"
    case exclamation = "X!"
    case picture = "a picture of a X"
  }

  /// Two keywords of a picture in the script of its first caption, or where the data set gives none two words of that caption; nil
  /// where it has no two.
  /// - Parameters:
  ///   - index: the picture's position in the data set's `entries`.
  ///   - seed: names the random numbers.
  public func keywordPair(of index: Int, seed: UInt64) -> [String]? {
    let words = subjects(of: index)[0].words.filter { !hasKeywords || $0.isKeyword }
    guard words.count > 1 else { return nil }
    var random = Philox(seed: seed, stream: RandomStream.keywordPairs(), counter: UInt64(index) << 8)
    return random.permutation(words.count).prefix(2).map { words[$0].text }
  }
}
