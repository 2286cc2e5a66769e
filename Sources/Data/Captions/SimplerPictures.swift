/// For each picture those whose content words are all among its own, with some missing: the plain dog beside the brown one.
///
/// Pictures of the same content words are one group, of which only as much is looked for and kept as for one picture.
struct SimplerPictures {
  /// The number of each picture's group, by its position in the data set's `entries`.
  private let groups: [Int: Int]
  /// What each group says.
  private let contents: [ContentWords]
  /// The groups that say a part of what each one does.
  private let simpler: [[Int]]

  /// - Parameter texts: what is said of each picture, by its position in the data set's `entries`.
  init(_ texts: [Int: [String]]) {
    var sharers: [String: Int] = [:]
    var (groups, contents): ([Int: Int], [ContentWords]) = ([:], [])
    var numbers: [Set<String>: Int] = [:]
    for (index, texts) in texts {
      let own = ContentWords(of: texts)
      if let group = numbers[own.words] {
        groups[index] = group
        continue
      }
      (numbers[own.words], groups[index]) = (contents.count, contents.count)
      contents.append(own)
      for word in own.words { sharers[word, default: 0] += 1 }
    }
    // Each stands below its rarest word alone: a picture that has all words has that one, too.
    var listed: [String: [Int]] = [:]
    for (group, own) in contents.enumerated() {
      let rarest = own.words.min { (sharers[$0, default: 0], $0) < (sharers[$1, default: 0], $1) }
      if let rarest { listed[rarest, default: []].append(group) }
    }
    simpler = contents.map { own in
      own.words.flatMap { listed[$0] ?? [] }.filter { contents[$0].words.isStrictSubset(of: own.words) }
    }
    (self.groups, self.contents) = (groups, contents)
  }

  func exist(for index: Int) -> Bool { groups[index].map { !simpler[$0].isEmpty } ?? false }

  /// Whether a picture that is simpler than the one at `index` says that, too.
  func say(_ text: String, insteadOf index: Int) -> Bool {
    guard let group = groups[index], !simpler[group].isEmpty else { return false }
    let said = ContentWords(of: [text]).words
    return simpler[group].contains { said.isSubset(of: contents[$0].words) }
  }
}
