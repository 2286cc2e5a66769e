import Basics

/// What a picture of a data set is used for.
public enum Split: String, Sendable, CaseIterable, Codable {
  case train, validation, test

  /// The split of a picture for which the data set names none: 5% of the pictures are validation, by their file name,
  /// so that adding pictures moves none of the others.
  public static func standard(forFileName fileName: String) -> Split {
    FNV1a.hash(fileName) % 20 == 0 ? .validation : .train
  }
}

/// One picture of a data set, without its pixels.
public struct CaptionedPicture: Sendable, Equatable {
  /// The path below the data set's folder, or `shard.tar/member` for a picture in a shard.
  public let fileName: String
  /// At least one; none is empty. The first is the primary one.
  public let captions: [String]
  /// Words that say something of the picture, in the data set's order; often none.
  public let keywords: [String]
  public let split: Split
  /// How things are composed in it, such as "made-of"; nil for a picture that was not composed of others.
  public let relation: String?

  public init(
    fileName: String, captions: [String], keywords: [String] = [], split: Split, relation: String? = nil
  ) {
    self.fileName = fileName
    self.captions = captions
    self.keywords = keywords
    self.split = split
    self.relation = relation
  }

  /// The captions, and the keywords as a further one, joined by ", ".
  public var allCaptions: [String] {
    let joined = keywords.joined(separator: ", ")
    return joined.isEmpty || captions.contains(joined) ? captions : captions + [joined]
  }
}
