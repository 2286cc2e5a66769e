/// For each picture those whose content words are all among its own, with some missing: the plain dog beside the brown one.
struct SimplerPictures {
  /// By position in the data set's `entries`.
  private var content: [Int: ContentWords] = [:]
  private var simpler: [Int: [Int]] = [:]

  /// - Parameter texts: what is said of each picture, by its position in the data set's `entries`.
  init(_ texts: [Int: [String]]) {
    var sharers: [String: Int] = [:]
    for (index, texts) in texts {
      let own = ContentWords(of: texts)
      content[index] = own
      for word in own.words { sharers[word, default: 0] += 1 }
    }
    // Each stands below its rarest word alone: a picture that has all words has that one, too.
    var listed: [String: [Int]] = [:]
    for (index, own) in content {
      let rarest = own.words.min { (sharers[$0, default: 0], $0) < (sharers[$1, default: 0], $1) }
      if let rarest { listed[rarest, default: []].append(index) }
    }
    for (index, own) in content {
      simpler[index] = own.words.flatMap { listed[$0] ?? [] }
        .filter { content[$0].map { $0.words.isStrictSubset(of: own.words) } ?? false }
    }
  }

  func exist(for index: Int) -> Bool { !simpler[index, default: []].isEmpty }

  /// Whether a picture that is simpler than the one at `index` says that, too.
  func say(_ text: String, insteadOf index: Int) -> Bool {
    guard let simpler = simpler[index], !simpler.isEmpty else { return false }
    let said = ContentWords(of: [text]).words
    return simpler.contains { content[$0].map { said.isSubset(of: $0.words) } ?? false }
  }
}
