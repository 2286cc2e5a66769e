import Basics
import Foundation

/// Which pictures have a word in common, for batches whose pictures are hard to tell apart.
///
/// A neighbour is drawn by a word of the picture's captions, a word w that N_w of the N pictures have with a probability in
/// proportion to log(1 + N / N_w), the inverse document frequency (Spärck Jones 1972): one that few pictures share says
/// more of what is in them. All pictures with that word are then equally likely.
public struct CaptionNeighbours: Sendable {
  private let pictures: [Int]
  /// For each word the pictures that have it, at least two.
  private let picturesOfWord: [[Int]]
  /// For each picture its words, and the sum of the weights up to each.
  private let wordsOfPicture: [Int: (words: [Int], cumulativeWeights: [Double])]

  /// - Parameters:
  ///   - pictures: positions in a data set's `entries`; not empty.
  ///   - words: those of a picture's captions, in a fixed order.
  public init(of pictures: [Int], words: (Int) -> [String]) {
    self.pictures = pictures
    var numbers: [String: Int] = [:]
    var picturesOfWord: [[Int]] = []
    for picture in pictures {
      for word in words(picture) {
        let number = numbers[word] ?? picturesOfWord.count
        if number == picturesOfWord.count {
          numbers[word] = number
          picturesOfWord.append([])
        }
        if picturesOfWord[number].last != picture { picturesOfWord[number].append(picture) }
      }
    }
    var wordsOfPicture: [Int: (words: [Int], cumulativeWeights: [Double])] = [:]
    for (number, sharers) in picturesOfWord.enumerated() where sharers.count > 1 {
      let weight = log(1 + Double(pictures.count) / Double(sharers.count))
      for picture in sharers {
        let sum = wordsOfPicture[picture]?.cumulativeWeights.last ?? 0
        wordsOfPicture[picture, default: ([], [])].words.append(number)
        wordsOfPicture[picture, default: ([], [])].cumulativeWeights.append(sum + weight)
      }
    }
    self.picturesOfWord = picturesOfWord
    self.wordsOfPicture = wordsOfPicture
  }

  /// Another picture that shares a word with this one; any picture where no other does.
  public func neighbour(of picture: Int, using random: inout Philox) -> Int {
    let share = Double(random.uniform())
    guard let (words, weights) = wordsOfPicture[picture], let total = weights.last else {
      return pictures[random.index(below: pictures.count)]
    }
    let word = words[weights.firstIndex { share * total < $0 } ?? words.count - 1]
    let sharers = picturesOfWord[word]
    let chosen = sharers[random.index(below: sharers.count - 1)]
    // The last one stands in for the picture itself.
    return chosen == picture ? sharers[sharers.count - 1] : chosen
  }
}
