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

  /// The same where `body` may fail: what it throws for the least i is thrown once all have been called.
  package func throwingMap<Element: Sendable>(
    _ count: Int, _ body: (Int) throws(PipelineError) -> Element
  ) throws(PipelineError) -> [Element] {
    let results = map(count) { i -> Result<Element, PipelineError> in
      do throws(PipelineError) { return .success(try body(i)) } catch { return .failure(error) }
    }
    var elements: [Element] = []
    for result in results { elements.append(try result.get()) }
    return elements
  }
}
