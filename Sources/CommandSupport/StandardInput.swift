import Basics
import Foundation

/// What is piped into a command that is given `-`.
package enum StandardInput {
  /// All of it, without the end of its last line.
  /// - Throws: `PipelineError` of kind `.badData` where it is no text.
  package static func text() throws(PipelineError) -> String {
    let content = FileHandle.standardInput.readDataToEndOfFile()
    guard var text = String(validating: content, as: UTF8.self) else {
      throw PipelineError(.badData, "standard input is no text in UTF-8")
    }
    if text.last?.isNewline == true { text.removeLast() }
    return text
  }
}
