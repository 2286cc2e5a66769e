import Basics
import Foundation

/// What `data.noun` holds: the synsets of nouns, and which is a kind of which.
struct SynsetGraph: Sendable {
  private let bytes: Data
  /// Where each synset's line begins, ascending: what the database calls a synset by.
  private let offsets: [Int32]
  /// The number of the lexicographer file of each.
  private let categories: [UInt8]
  private let up: Links
  private let down: Links

  /// Of each synset some others, all of them one after the other.
  private struct Links: Sendable {
    var starts: [Int32]
    var targets: [Int32]

    subscript(number: Int32) -> ArraySlice<Int32> {
      targets[Int(starts[Int(number)])..<Int(starts[Int(number) + 1])]
    }

    /// The same the other way round.
    var reversed: Links {
      var counts = [Int32](repeating: 0, count: starts.count)
      for target in targets { counts[Int(target) + 1] += 1 }
      for i in counts.indices.dropFirst() { counts[i] += counts[i - 1] }
      var (places, sources) = (counts, [Int32](repeating: 0, count: targets.count))
      for source in 0..<Int32(starts.count - 1) {
        for target in self[source] {
          sources[Int(places[Int(target)])] = source
          places[Int(target)] += 1
        }
      }
      return Links(starts: counts, targets: sources)
    }
  }

  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be read, `.badData` naming the first line that is none
  ///   of a synset.
  init(contentsOf file: URL) throws(PipelineError) {
    let bytes = try InputFile.mapped(file)
    guard bytes.count <= Int32.max else { throw PipelineError(.badData, "\(file.path) is too large to be WordNet's") }
    var offsets: [Int32] = []
    var categories: [UInt8] = []
    var up = Links(starts: [0], targets: [])
    let firstBad: Int? = bytes.withUnsafeBytes { bytes in
      var (start, line) = (0, 0)
      while start < bytes.count {
        line += 1
        let end = SortedLines.end(of: start, in: bytes)
        // The lines of the licence begin with spaces.
        if bytes[start] != UInt8(ascii: " ") {
          var fields = DatabaseFields(bytes, start..<end)
          guard fields.number() == start, let category = fields.number(), category <= UInt8.max,
            fields.next().elementsEqual("n".utf8), let words = fields.number(radix: 16), words > 0
          else { return line }
          fields.skip(2 * words)
          guard let pointers = fields.number() else { return line }
          for _ in 0..<pointers {
            let symbol = fields.next()
            guard !symbol.isEmpty, let target = fields.number() else { return line }
            // "@" of a kind, "@i" of an instance.
            if symbol.first == UInt8(ascii: "@") { up.targets.append(Int32(target)) }
            fields.skip(2)
          }
          offsets.append(Int32(start))
          categories.append(UInt8(category))
          up.starts.append(Int32(up.targets.count))
        }
        start = end + 1
      }
      return nil
    }
    if let firstBad { throw PipelineError(.badData, "\(file.path) line \(firstBad) is no synset of WordNet 3.0") }
    (self.bytes, self.offsets, self.categories) = (bytes, offsets, categories)
    for i in up.targets.indices {
      guard let number = Self.number(at: Int(up.targets[i]), of: offsets) else {
        throw PipelineError(.badData, "\(file.path) has a hypernym at \(up.targets[i]), where no synset begins")
      }
      up.targets[i] = number
    }
    self.up = up
    down = up.reversed
  }

  /// The synset whose line begins there.
  func number(at offset: Int) -> Int32? { Self.number(at: offset, of: offsets) }

  private static func number(at offset: Int, of offsets: [Int32]) -> Int32? {
    var (low, high) = (0, offsets.count)
    while low < high {
      let middle = (low + high) / 2
      if offsets[middle] < offset { low = middle + 1 } else { high = middle }
    }
    return low < offsets.count && Int(offsets[low]) == offset ? Int32(low) : nil
  }

  func category(of number: Int32) -> UInt8 { categories[Int(number)] }

  func hypernyms(of number: Int32) -> ArraySlice<Int32> { up[number] }

  func hyponyms(of number: Int32) -> ArraySlice<Int32> { down[number] }

  /// Words and collocations as the file has them, with underscores.
  func lemmas(of number: Int32) -> [String] {
    bytes.withUnsafeBytes { bytes in
      let start = Int(offsets[Int(number)])
      var fields = DatabaseFields(bytes, start..<SortedLines.end(of: start, in: bytes))
      fields.skip(3)
      return (0..<(fields.number(radix: 16) ?? 0)).map { _ in
        defer { fields.skip(1) }
        return String(decoding: fields.next(), as: UTF8.self)
      }
    }
  }

  /// A synset's hypernyms, theirs, and so on, each once, with the least number of steps to it; itself first, with none.
  func ancestors(of number: Int32, atMost steps: Int) -> [(number: Int32, steps: Int)] {
    var found = [(number: number, steps: 0)]
    var next = 0
    while next < found.count {
      let (number, taken) = found[next]
      next += 1
      guard taken < steps else { continue }
      for parent in up[number] where !found.contains(where: { $0.number == parent }) {
        found.append((parent, taken + 1))
      }
    }
    return found
  }

  /// Whether a synset has more than `limit` hyponyms, theirs included, and itself.
  func hasMore(than limit: Int, below number: Int32) -> Bool {
    var seen: Set<Int32> = [number]
    var open = [number]
    while let next = open.popLast() {
      for child in down[next] where seen.insert(child).inserted {
        if seen.count > limit { return true }
        open.append(child)
      }
    }
    return false
  }
}
