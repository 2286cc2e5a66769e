import Basics

/// What a model cannot know of a caption, and what is drawn in its place.
public struct PromptNotes: Sendable, Equatable {
  /// Nouns that are drawn as near ones.
  public var replacements: [NounReplacement]
  /// Words and signs of the caption, as it was typed, that no training caption has.
  public var unseenWords: [String]
  /// The nearest training captions where none is like this one.
  public var nearestCaptions: [String]
  /// All of it in words, a sentence each, for a person.
  public var lines: [String]
}

/// A caption as a model is given it, with what there is to tell of it.
package struct PreparedPrompt: Sendable {
  /// The caption's tokens, with near nouns in the place of those that were never seen where that is wanted.
  package var tokens: [Int32]
  package var notes: PromptNotes
}

extension TextToImageModel {
  /// What to tell a person of a caption before it is drawn.
  /// - Parameters:
  ///   - caption: as it was typed.
  ///   - options: tell whether nouns are replaced.
  /// - Throws: `PipelineError` where the checkpoint's captions or nouns are damaged.
  public func notes(on caption: String, options: GenerationOptions) throws(PipelineError) -> PromptNotes {
    try preparedPrompt(caption, options).notes
  }

  /// All of a caption that drawing it needs: what takes a while, such as the search for like captions, is done once.
  /// - Throws: `PipelineError` where the checkpoint's captions or nouns are damaged.
  package func preparedPrompt(
    _ caption: String, _ options: GenerationOptions
  ) throws(PipelineError) -> PreparedPrompt {
    let prompt = options.replacesUnseenNouns ? try replacingUnseenNouns(in: caption) : ReplacedPrompt(text: caption)
    let unseen = unseenWords(in: prompt.text)
    var notes = PromptNotes(
      replacements: prompt.replacements,
      unseenWords: prompt.replacements.isEmpty ? unseen : unseenWords(in: caption), nearestCaptions: [],
      lines: prompt.replacements.map(\.description))
    notes.lines += unseen.map { "\"\($0)\" never occurs in the training captions" }
    if let familiarity = try familiarity(of: prompt.text), !familiarity.isFamiliar {
      notes.nearestCaptions = familiarity.nearest
      let list = familiarity.nearest.map { "\"\($0)\"" }.joined(separator: ", ")
      notes.lines.append(
        list.isEmpty
          ? "no training caption says anything of \"\(prompt.text)\""
          : "no training caption says all of \"\(prompt.text)\"; the nearest: \(list)")
    }
    let tokens = tokens(of: prompt.text)
    if tokens.ids.isEmpty { notes.lines.append("the prompt is empty: the pictures are drawn without a caption") }
    if tokens.used < tokens.ids.count {
      notes.lines.append("the prompt has \(tokens.ids.count) tokens; the model sees the first \(tokens.used)")
    }
    return PreparedPrompt(tokens: tokens.ids, notes: notes)
  }
}
