import Basics
import Foundation
import TextTokenizer

/// A published `tokenizer.json`, as Hugging Face's `tokenizers` library reads it: what an imported language model
/// (Llama, Qwen2, GPT-2) was trained with.
///
/// The model must be BPE. Of the components these are known:
/// - normalizers Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Replace and Prepend;
/// - pre-tokenizers Sequence, Split, Digits, ByteLevel, Whitespace, WhitespaceSplit, Punctuation and Metaspace;
/// - post-processors Sequence, ByteLevel and TemplateProcessing.
///
/// Files that name any other, and files that truncate, are refused; decoders and padding have no part in a text's ids
/// and are passed over. As in that library, an added token has the id of the model's piece of the same text, or else
/// the next after the number of pieces, whatever id stands beside it.
///
/// The ids are those of `tokenizers` 0.23. There are three exceptions: regular expressions that go back too often find
/// nothing in the rest of a text (see ``encode(_:)``); a text longer than 64 MiB gets no more replacements; and where
/// the piece for unknown characters is missing, they have no ids, while that library fails.
///
/// ```swift
/// let tokenizer = try PretrainedTokenizer(contentsOf: folder.appending(path: "tokenizer.json"))
/// let ids = tokenizer.encode("a red heart", addingSpecialTokens: true)
/// ```
public struct PretrainedTokenizer: TextEncoder {
  /// The largest file that is read, in bytes. The largest in public use are some 30 MB.
  static let largestFileInBytes = 64 << 20

  /// One more than the largest id; there may be ids between that stand for nothing.
  public let vocabularySize: Int
  private let model: BytePairModel
  private let addedTokens: AddedTokens
  private let normalizers: [Normalizer]
  private let preTokenizers: [PreTokenizer]
  private let postProcessor: PostProcessor

  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, `.inputOutput` where reading fails,
  ///   and `.badData` where it is no such tokenizer or asks for what is not done here.
  public init(contentsOf url: URL) throws(PipelineError) {
    let data = try InputFile.contents(of: url, maximumByteCount: Self.largestFileInBytes)
    do throws(FileFault) {
      try self.init(JSONText([UInt8](data)))
    } catch {
      throw PipelineError(.badData, "the tokenizer \(url.path) cannot be used: \(error.reason)")
    }
  }

  private init(_ json: JSONText) throws(FileFault) {
    let fields = try json.members(
      "version", "truncation", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model")
    guard let model = fields["model"] else { throw FileFault("the field model is missing") }
    if let version = try fields["version"]?.text(), version != "1.0" {
      throw FileFault("its version is \(version.utf8.shown), and only 1.0 is read")
    }
    guard fields["truncation"] == nil else {
      throw FileFault("it truncates, which is not done: set truncation to null")
    }
    var count = ComponentCount()
    normalizers = try Normalizer.all(fields["normalizer"], count: &count)
    preTokenizers = try PreTokenizer.all(fields["pre_tokenizer"], count: &count)
    postProcessor = try PostProcessor(fields["post_processor"], count: &count)
    self.model = try BytePairModel(model)
    addedTokens = try AddedTokens(fields["added_tokens"], model: self.model, normalizers: normalizers)
    var largestId = addedTokens.ids.values.max() ?? 0
    self.model.pieces.forEach { _, id in largestId = max(largestId, id) }
    for id in postProcessor.before + postProcessor.after { largestId = max(largestId, id) }
    vocabularySize = Int(largestId) + 1
  }

  /// Whether the file says that a text has tokens of its own before or after it, as most language models want one
  /// before.
  public var addsSpecialTokens: Bool { !postProcessor.before.isEmpty || !postProcessor.after.isEmpty }

  /// The id of an added token or, where there is none of this text, of a piece as it stands in the file.
  public func id(of token: String) -> Int32? {
    let bytes = Array(token.utf8)
    return addedTokens.ids[bytes] ?? model.pieces.id(of: bytes[...])
  }

  /// The ids of a text without special tokens but those that stand in it; none for the empty text.
  ///
  /// The time grows with n log n in the length of the longest word, unless a regular expression of the file takes more.
  /// One that goes back more than 10 million times from one place, or in all more often than the square of the text's
  /// length allows, is given up: neither it nor any other has a match in the rest of the text.
  public func encode(_ text: String) -> [Int32] { encode(text, addingSpecialTokens: false) }

  /// - Parameters:
  ///   - text: any text.
  ///   - addingSpecialTokens: whether the tokens are added that the file has before and after a text.
  public func encode(_ text: String, addingSpecialTokens: Bool) -> [Int32] {
    var ids = addingSpecialTokens ? postProcessor.before : []
    let text = Segment(bytes: Array(text.utf8)[...], isFirst: true)
    var budget = RegularExpression.Budget()
    for (range, id) in addedTokens.plain.parts(of: text.bytes) {
      if let id {
        ids.append(id)
      } else {
        append(normalizers.normalized(text.part(range), budget: &budget), to: &ids, budget: &budget)
      }
    }
    return addingSpecialTokens ? ids + postProcessor.after : ids
  }

  /// Appends the ids of a normalised text.
  private func append(_ text: Segment, to ids: inout [Int32], budget: inout RegularExpression.Budget) {
    for (range, id) in addedTokens.normalized.parts(of: text.bytes) {
      if let id {
        ids.append(id)
        continue
      }
      var segments = range.isEmpty ? [] : [text.part(range)]
      for preTokenizer in preTokenizers {
        var parts: [Segment] = []
        for segment in segments { parts += preTokenizer.segments(of: segment, budget: &budget) }
        segments = parts
      }
      for segment in segments { model.append(segment.bytes, to: &ids) }
    }
  }
}
