/// What forms put beside captions.
extension CaptionForms {
  /// The words that forms put beside what captions say, lower-cased: a prompt does not become another one by them.
  public static let ownWords: Set<String> = Set(adjectives + sizes + doings + phrases)
    .union(English.functionWords).union(Korean.functionWords)

  static let adjectives = [
    "cute", "beautiful", "nice", "pretty", "simple", "old", "new", "great", "lovely", "single", "real", "fresh",
    "plain",
  ]

  static let sizes = ["little", "small", "big", "large", "tiny", "huge"]

  static let doings = [
    "sitting", "standing", "lying", "running", "walking", "flying", "sleeping", "waiting", "playing", "growing",
    "moving",
  ]

  static let prepositions = [
    "in the", "in a", "on the", "on a", "at the", "near the", "by the", "under a", "over the",
  ]

  /// What there is of it, whether the picture shows that or not: "a bowl of noodles".
  static let measures = [
    "cup", "glass", "bottle", "bowl", "plate", "piece", "slice", "jar", "bag", "box", "basket", "bunch", "pair",
    "group",
  ]

  static let phrases = [
    "picture", "picture", "picture", "photo", "image", "drawing", "painting", "illustration", "icon", "emoji",
  ]
}
