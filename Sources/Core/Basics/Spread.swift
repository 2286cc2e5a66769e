extension RandomAccessCollection where Index == Int {
  /// At most `count` of the elements, evenly spread.
  package func spread(over count: Int) -> [Element] {
    let kept = Swift.min(count, self.count)
    return (0..<kept).map { self[startIndex + $0 * self.count / kept] }
  }
}
