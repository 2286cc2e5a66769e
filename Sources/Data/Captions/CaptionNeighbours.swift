import Basics
import Foundation

/// Which pictures have a word in common, for batches whose pictures are hard to tell apart.
///
/// A neighbour is drawn by a word of the picture's captions, a word w that N_w of the N pictures have with a probability in
/// proportion to log(1 + N / N_w), the inverse document frequency (Spärck Jones 1972): one that few pictures share says
/// more of what is in them. All pictures with that word are then equally likely.
public struct CaptionNeighbours: Sendable {
  private let pictures: [Int]
  /// For a position in the data set's `entries`, its place in `pictures`.
  private let places: [UInt32]
  /// For each picture the words that another one has, too. Numbers in lists one behind the other, for there may be millions.
  private let wordsOfPicture: NumberLists
  /// For each word the pictures that have it.
  private let picturesOfWord: NumberLists

  /// - Parameters:
  ///   - pictures: positions in a data set's `entries`; not empty.
  ///   - words: those of a picture's captions, in a fixed order.
  public init(of pictures: [Int], words: (Int) -> [String]) {
    self.pictures = pictures
    var places = [UInt32](repeating: 0, count: pictures.reduce(0, max) + 1)
    for (place, picture) in pictures.enumerated() { places[picture] = UInt32(place) }
    self.places = places
    var numbers: [String: UInt32] = [:]
    var sharers: [UInt32] = []
    var all = NumberLists()
    for picture in pictures {
      var own = Set<UInt32>()
      for word in words(picture) {
        let number = numbers[word] ?? UInt32(sharers.count)
        if Int(number) == sharers.count {
          numbers[word] = number
          sharers.append(0)
        }
        if own.insert(number).inserted { sharers[Int(number)] += 1 }
      }
      all.append(own.sorted())
    }
    var (shared, turned) = (NumberLists(), NumberLists(counts: sharers))
    for place in pictures.indices {
      shared.append(all[place].filter { sharers[Int($0)] > 1 })
      for word in all[place] { turned.put(UInt32(place), into: Int(word)) }
    }
    (wordsOfPicture, picturesOfWord) = (shared, turned)
  }

  /// Another picture that shares a word with this one; any picture where no other does.
  public func neighbour(of picture: Int, using random: inout Philox) -> Int {
    let share = Double(random.uniform())
    let words = wordsOfPicture[Int(places[picture])]
    guard let last = words.last else { return pictures[random.index(below: pictures.count)] }
    let bound = share * words.reduce(0) { $0 + weight(of: $1) }
    var sum = 0.0
    let word = words.first {
      sum += weight(of: $0)
      return bound < sum
    }
    let sharers = picturesOfWord[Int(word ?? last)]
    let chosen = pictures[Int(sharers[sharers.startIndex + random.index(below: sharers.count - 1)])]
    // The last one stands in for the picture itself.
    return chosen == picture ? pictures[Int(sharers[sharers.endIndex - 1])] : chosen
  }

  private func weight(of word: UInt32) -> Double {
    log(1 + Double(pictures.count) / Double(picturesOfWord[Int(word)].count))
  }
}

/// Lists of numbers in one piece of memory.
private struct NumberLists: Sendable {
  private var numbers: [UInt32] = []
  private var ends: [Int] = []
  /// Where the next number of each list goes while lists of a known length are filled.
  private var next: [Int] = []

  init() {}

  /// - Parameter counts: of the lists that are filled by `put(_:into:)`.
  init(counts: [UInt32]) {
    for count in counts {
      next.append(ends.last ?? 0)
      ends.append((ends.last ?? 0) + Int(count))
    }
    numbers = [UInt32](repeating: 0, count: ends.last ?? 0)
  }

  mutating func append(_ list: [UInt32]) {
    numbers += list
    ends.append(numbers.count)
  }

  mutating func put(_ number: UInt32, into list: Int) {
    numbers[next[list]] = number
    next[list] += 1
  }

  subscript(list: Int) -> ArraySlice<UInt32> { numbers[(list == 0 ? 0 : ends[list - 1])..<ends[list]] }
}
