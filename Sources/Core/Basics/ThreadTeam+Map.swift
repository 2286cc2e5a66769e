extension ThreadTeam {
  /// `body(i)` for i in 0 ..< count, shared out over the team.
  package func map<Element: Sendable>(_ count: Int, _ body: (Int) -> Element) -> [Element] {
    var results = [Element?](repeating: nil, count: count)
    results.withUnsafeMutableBufferPointer { results in
      nonisolated(unsafe) let results = results
      run { thread in
        // Interleaved, because neighbours are alike in cost.
        for i in stride(from: thread, to: count, by: self.count) { results[i] = body(i) }
      }
    }
    return results.compactMap { $0 }
  }
}
