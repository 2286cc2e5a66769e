import Basics
import CArchive
import Foundation
import LinearAlgebra

/// Writes NumPy's `.npy`, version 1.0: six bytes of magic, two of version, two with the header's length, the header (a
/// Python dictionary, padded with spaces so that the data begin on a multiple of 64), and the elements.
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
public enum NumPyWriter {
  /// A matrix as little-endian float64 in C order, shape (rows, columns).
  /// - Parameters:
  ///   - matrix: whole numbers where they are to be integers.
  ///   - asIntegers: int64 in place of float64.
  public static func data(of matrix: Matrix, asIntegers: Bool = false) -> Data {
    let type = asIntegers ? "<i8" : "<f8"
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(matrix.rows), \(matrix.columns)), }"
    let preambleSize = 10
    header += String(repeating: " ", count: 63 - (preambleSize + header.utf8.count) % 64) + "\n"
    var data = Data([0x93] + Array("NUMPY".utf8) + [1, 0])
    withUnsafeBytes(of: UInt16(header.utf8.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(contentsOf: header.utf8)
    let words = matrix.elements.map {
      asIntegers ? UInt64(bitPattern: Int64($0)).littleEndian : $0.bitPattern.littleEndian
    }
    words.withUnsafeBytes { data.append(contentsOf: $0) }
    return data
  }

  /// Writes the file whole; see `AtomicFile`.
  /// - Throws: `PipelineError` of kind `.cannotCreate` or `.inputOutput`.
  public static func write(_ matrix: Matrix, to url: URL) throws(PipelineError) {
    try AtomicFile.write(data(of: matrix), to: url)
  }

  /// Writes an `.npz`, a zip file of `.npy` files, as `numpy.savez` does: stored, not compressed.
  /// - Parameters:
  ///   - arrays: the content of an `.npy` each, by names that differ.
  ///   - url: of the file, which is written whole.
  /// - Throws: `PipelineError` of kind `.cannotCreate` or `.inputOutput`.
  public static func write(_ arrays: [(name: String, data: Data)], to url: URL) throws(PipelineError) {
    guard let file = zip(arrays.map { ("\($0.name).npy", $0.data) }) else {
      throw PipelineError(.inputOutput, "the arrays for \(url.path) cannot be put into a zip file")
    }
    try AtomicFile.write(file, to: url)
  }

  /// A zip file with nothing but names and contents in it, so that the same arrays are the same bytes.
  private static func zip(_ files: [(name: String, data: Data)]) -> Data? {
    guard let archive = archive_write_new() else { return nil }
    defer { archive_write_free(archive) }
    guard archive_write_set_format_zip(archive) == ARCHIVE_OK,
      archive_write_zip_set_compression_store(archive) == ARCHIVE_OK,
      archive_write_set_bytes_in_last_block(archive, 1) == ARCHIVE_OK
    else { return nil }
    // What stands beside the contents: two headers and a descriptor for each, and the end.
    var zip = Data(count: files.reduce(1024) { $0 + $1.data.count + 2 * $1.name.utf8.count + 512 })
    var used = 0
    let isWhole = zip.withUnsafeMutableBytes { buffer in
      guard archive_write_open_memory(archive, buffer.baseAddress, buffer.count, &used) == ARCHIVE_OK else {
        return false
      }
      for (name, data) in files {
        guard let entry = archive_entry_new() else { return false }
        defer { archive_entry_free(entry) }
        archive_entry_set_pathname(entry, name)
        archive_entry_set_filetype(entry, 0o100000)
        archive_entry_set_perm(entry, 0o644)
        archive_entry_set_size(entry, Int64(data.count))
        guard archive_write_header(archive, entry) == ARCHIVE_OK,
          data.withUnsafeBytes({ archive_write_data(archive, $0.baseAddress, $0.count) }) == data.count
        else { return false }
      }
      return archive_write_close(archive) == ARCHIVE_OK
    }
    return isWhole ? zip.prefix(used) : nil
  }
}
