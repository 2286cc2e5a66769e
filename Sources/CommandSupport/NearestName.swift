extension [String] {
  /// The name that was most likely meant, for a word that is none of them.
  /// - Returns: nil where none is like it: more than a third of the letters differ.
  package func nearest(to word: String) -> String? {
    let closest = map { (name: $0, distance: $0.editDistance(to: word)) }.min { $0.distance < $1.distance }
    guard let closest, 3 * closest.distance <= Swift.max(closest.name.count, word.count) else { return nil }
    return closest.name
  }
}

extension String {
  /// How many letters must be put in, taken out or replaced to get another word (Levenshtein 1966), or change places with the
  /// one beside them (Damerau 1964).
  func editDistance(to other: String) -> Int {
    let (a, b) = (Array(self), Array(other))
    var rows = [[Int]](repeating: Array(0...b.count), count: a.count + 1)
    for i in a.indices {
      rows[i + 1][0] = i + 1
      for j in b.indices {
        let replaced = rows[i][j] + (a[i] == b[j] ? 0 : 1)
        rows[i + 1][j + 1] = Swift.min(replaced, rows[i][j + 1] + 1, rows[i + 1][j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          rows[i + 1][j + 1] = Swift.min(rows[i + 1][j + 1], rows[i - 1][j - 1] + 1)
        }
      }
    }
    return rows[a.count][b.count]
  }
}
