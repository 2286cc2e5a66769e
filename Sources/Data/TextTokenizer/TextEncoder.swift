/// Texts as the tokens that a model reads. Byte-level BPE is one way; a model that was trained elsewhere brings its own.
public protocol TextEncoder: Sendable {
  /// The number of different tokens.
  var vocabularySize: Int { get }
  /// - Returns: the tokens of a text, each below ``vocabularySize``.
  func encode(_ text: String) -> [Int32]
}
