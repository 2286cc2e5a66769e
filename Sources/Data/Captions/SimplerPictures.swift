/// For each picture those whose content words are all among its own, with some missing: the plain dog beside the brown one.
struct SimplerPictures {
  /// By position in the data set's `entries`.
  private var content: [Int: ContentWords] = [:]
  private var simpler: [Int: [Int]] = [:]

  /// A word that more pictures share is not looked up: it would cost its square.
  private static let mostSharers = 1000

  /// - Parameter texts: what is said of each picture, by its position in the data set's `entries`.
  init(_ texts: [Int: [String]]) {
    var sharers: [String: [Int]] = [:]
    for (index, texts) in texts {
      let own = ContentWords(of: texts)
      content[index] = own
      for word in own.words { sharers[word, default: []].append(index) }
    }
    for (index, own) in content {
      var shared: [Int: Int] = [:]
      for word in own.words {
        guard let others = sharers[word], others.count <= Self.mostSharers else { continue }
        for other in others { shared[other, default: 0] += 1 }
      }
      simpler[index] = shared.filter { other, count in
        count < own.words.count && count == content[other]?.words.count
      }.map(\.key)
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
