import Basics

/// Batches of row numbers, every row once an epoch, each epoch in an order of its own; a batch may reach from one epoch into
/// the next.
public struct BatchOrder {
  private let rows: Int
  private let seed: UInt64
  private let stream: (_ epoch: UInt64) -> UInt64
  private var epoch = -1
  private var left: ArraySlice<Int> = []

  /// - Parameters:
  ///   - rows: how many there are, at least one.
  ///   - seed: names the random numbers.
  ///   - stream: of an epoch's order.
  public init(rows: Int, seed: UInt64, stream: @escaping (_ epoch: UInt64) -> UInt64) {
    (self.rows, self.seed, self.stream) = (rows, seed, stream)
  }

  /// A row of a batch, and which time around it comes.
  public struct Place: Sendable {
    public var row: Int
    public var epoch: Int
  }

  /// - Returns: the rows of the next batch.
  public mutating func next(_ count: Int) -> [Place] {
    var places: [Place] = []
    while places.count < count {
      if left.isEmpty {
        epoch += 1
        var random = Philox(seed: seed, stream: stream(UInt64(epoch)))
        left = random.permutation(rows)[...]
      }
      let part = left.prefix(count - places.count)
      places += part.map { Place(row: $0, epoch: epoch) }
      left = left.dropFirst(part.count)
    }
    return places
  }
}
