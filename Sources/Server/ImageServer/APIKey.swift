import Basics
import Foundation

/// The keys of which a client must have one.
package struct APIKeys: Sendable {
  private let keys: [[UInt8]]

  /// - Parameter file: a key a line; lines that are empty or begin with # are passed over.
  /// - Throws: `PipelineError` where it cannot be read, holds no key, or one that no client can send.
  package init(contentsOf file: URL) throws(PipelineError) {
    let text = String(decoding: try InputFile.contents(of: file, maximumByteCount: 1 << 16), as: UTF8.self)
    let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty && !$0.hasPrefix("#") }
    guard !lines.isEmpty else { throw PipelineError(.badData, "\(file.path) holds no key") }
    // The key itself is in no message: it would end up in a log.
    guard lines.allSatisfy({ $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } }) else {
      throw PipelineError(.badData, "\(file.path): a key is printable ASCII without spaces, one a line")
    }
    self.init(lines)
  }

  init(_ keys: [String]) { self.keys = keys.map { Array($0.utf8) } }

  /// Whether a header `Authorization` carries one of the keys.
  func accept(_ authorization: String?) -> Bool {
    let scheme = "bearer "
    guard let authorization, authorization.lowercased().hasPrefix(scheme) else { return false }
    let given = Array(authorization.utf8.dropFirst(scheme.utf8.count))
    // All keys are compared, whichever fits.
    return keys.reduce(false) { Self.isSame($1, given) || $0 }
  }

  /// In a time that depends on the length of what was given alone, and not on how much of it is right.
  static func isSame(_ key: [UInt8], _ given: [UInt8]) -> Bool {
    var difference = key.count ^ given.count
    for (i, byte) in given.enumerated() { difference |= Int(byte ^ key[i % key.count]) }
    return difference == 0
  }
}
