import Basics
import Foundation
import PretrainedTokenizers
import TextTokenizer

/// What a model that was trained elsewhere has around a caption.
public struct PromptTemplate: Codable, Sendable, Equatable {
  public var before: String
  public var after: String

  public init(before: String, after: String) { (self.before, self.after) = (before, after) }
}

/// Captions as the prompts of a model that was trained elsewhere.
struct PromptEncoder: TextEncoder {
  let tokenizer: PretrainedTokenizer
  let template: PromptTemplate
  /// The token that every prompt begins with.
  let beginningOfText: Int32

  var vocabularySize: Int { tokenizer.vocabularySize }

  func encode(_ text: String) -> [Int32] {
    let caption = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return [beginningOfText] + tokenizer.encode(template.before + caption + template.after)
  }
}
