import Basics
import CArchive
import Foundation

/// The arrays of an `.npz` file: a zip file of files `NAME.npy`, stored or deflated. libarchive reads it; what NumPy does not
/// write is refused.
struct Archive {
  /// The arrays' names, without `.npy`, in the order in which they lie in the file.
  let names: [String]
  private let file: Data
  private let path: String

  private static let suffix = ".npy"
  private static let localSignature = Data("PK\u{3}\u{4}".utf8)
  private static let endSignature = Data("PK\u{5}\u{6}".utf8)
  private static let endByteCount = 22
  /// Deflate cannot make less than one byte of this many.
  private static let largestRatio = 1032

  /// Whether a file begins like a zip file, or is one without members. libarchive would also look behind what a file
  /// begins with.
  static func isArchive(_ file: Data) -> Bool { file.starts(with: localSignature) || file.starts(with: endSignature) }

  /// Finds the arrays.
  /// - Parameters:
  ///   - file: starts at index 0.
  ///   - path: for messages.
  /// - Throws: `PipelineError` of kind `.badData` where it is not whole, or has an array twice.
  init(_ file: Data, path: String) throws(PipelineError) {
    // The end record is followed by nothing but a comment, whose length has sixteen bits; libarchive does not mind more.
    guard
      let end = file.range(of: Self.endSignature, options: .backwards, in: max(0, file.count - 0x1_0000)..<file.count),
      case let start = end.lowerBound, start + Self.endByteCount <= file.count,
      start + Self.endByteCount + Int(file[start + 20]) + Int(file[start + 21]) << 8 == file.count
    else {
      throw PipelineError(
        .badData, "\(path) is not a whole zip file: it has no end record, so that it may have been cut short")
    }
    var names: [String] = []
    // libarchive does not know a zip file without members.
    if start > 0 {
      names = try Self.read(file, path: path) { (reader) throws(PipelineError) in
        var names: [String] = []
        while let entry = try reader.next() { if let name = Self.arrayName(of: entry) { names.append(name) } }
        return names
      }
    }
    if let twice = Dictionary(grouping: names, by: \.self).first(where: { $1.count > 1 })?.key {
      throw PipelineError(.badData, "\(path) is damaged: it has the array \(twice) twice")
    }
    (self.names, self.file, self.path) = (names, file, path)
  }

  /// The content of an array's file, with its size and checksum compared.
  /// - Parameters:
  ///   - name: one of ``names``.
  ///   - startByteCount: how much of it `check` is to see, or all where it has less.
  ///   - check: receives the start and the size of the whole, and throws what is wrong with them. Memory for the rest is
  ///     taken only afterwards.
  /// - Throws: `PipelineError` of kind `.badData` where it is damaged, encrypted, compressed by another method than
  ///   deflate, or too large for what the file can hold; and what `check` throws.
  func contents(
    of name: String, startByteCount: Int, check: (_ start: Data, _ byteCount: Int) throws(PipelineError) -> Void
  ) throws(PipelineError) -> Data {
    let path = path
    func refused(_ what: String) -> PipelineError { PipelineError(.badData, "\(path): \(name)\(Self.suffix) \(what)") }
    return try Self.read(file, path: path) { (reader) throws(PipelineError) in
      while let entry = try reader.next() {
        guard Self.arrayName(of: entry) == name else { continue }
        guard archive_entry_is_encrypted(entry) == 0 else { throw refused("is encrypted") }
        // "ZIP 2.0 (deflation)": libarchive has no other word on the method.
        let method = reader.format
        guard method.hasSuffix("(deflation)") || method.hasSuffix("(uncompressed)") else {
          throw refused("is compressed as \(method); NumPy stores or deflates")
        }
        let byteCount = Int(archive_entry_size(entry))
        guard byteCount >= 0, byteCount <= Self.largestRatio * file.count else {
          throw refused("claims \(byteCount) bytes, which a file of \(file.count) cannot hold")
        }
        var content = Data(count: min(byteCount, startByteCount))
        var found = try reader.fill(&content, from: 0, refused)
        try check(content, byteCount)
        let startByteCount = content.count
        content.count = byteCount
        found += try reader.fill(&content, from: startByteCount, refused)
        // The checksum is compared at the end, which one byte more would go beyond.
        var beyond = Data(count: 1)
        guard try reader.fill(&beyond, from: 0, refused) == 0, found == byteCount else {
          throw refused("is damaged: it has not the \(byteCount) bytes that it claims")
        }
        return content
      }
      throw refused("is gone")
    }
  }

  /// The name of the array in an entry, nil where it is something else.
  private static func arrayName(of entry: OpaquePointer) -> String? {
    guard archive_entry_filetype(entry) == dalle_archive_regular_file,
      let name = archive_entry_pathname_utf8(entry).map(String.init(cString:)),
      name.hasSuffix(suffix)
    else { return nil }
    return String(name.dropLast(suffix.count))
  }

  /// One way through a file, from entry to entry.
  private struct Reader {
    let archive: OpaquePointer
    let path: String

    /// What libarchive calls the format, with the method of the entry reached.
    var format: String { String(cString: archive_format_name(archive)) }

    /// What libarchive says is wrong.
    private var message: String {
      archive_error_string(archive).map { String(cString: $0).trimmingCharacters(in: .whitespacesAndNewlines) } ?? "?"
    }

    /// The next entry, until the next call; nil at the end.
    func next() throws(PipelineError) -> OpaquePointer? {
      var entry: OpaquePointer?
      // A warning is about a directory that contradicts itself.
      let status = archive_read_next_header(archive, &entry)
      guard status == ARCHIVE_OK || status == ARCHIVE_EOF else {
        throw PipelineError(.badData, "\(path) is not a whole zip file: \(message)")
      }
      return status == ARCHIVE_OK ? entry : nil
    }

    /// Reads the entry's next bytes into `content` from `start` on.
    /// - Returns: how many there were.
    /// - Throws: `refused` of what libarchive says is wrong.
    func fill(
      _ content: inout Data, from start: Int, _ refused: (String) -> PipelineError
    ) throws(PipelineError) -> Int {
      let found = content.withUnsafeMutableBytes { target in
        let target = UnsafeMutableRawBufferPointer(rebasing: target[start...])
        return archive_read_data(archive, target.baseAddress, target.count)
      }
      guard found >= 0 else { throw refused("is damaged: \(message)") }
      return found
    }
  }

  private static func read<Value>(
    _ file: Data, path: String, _ body: (Reader) throws(PipelineError) -> Value
  ) throws(PipelineError) -> Value {
    // libarchive turns names into the thread's character set, which is ASCII in a program that asks for no other.
    let utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nil)
    let locale = uselocale(utf8)
    defer {
      uselocale(locale)
      if let utf8 { freelocale(utf8) }
    }
    guard let archive = archive_read_new() else {
      throw PipelineError(.inputOutput, "cannot read \(path): out of memory")
    }
    defer { archive_read_free(archive) }
    // Only zip, by its directory, and nothing that is compressed as a whole.
    archive_read_support_format_zip_seekable(archive)
    return try file.withUnsafeBytes { bytes in
      Result { () throws(PipelineError) in
        guard archive_read_open_memory(archive, bytes.baseAddress, bytes.count) == ARCHIVE_OK else {
          throw PipelineError(.badData, "\(path) is not a whole zip file")
        }
        return try body(Reader(archive: archive, path: path))
      }
    }.get()
  }
}
