import Basics
import Foundation
import LinearAlgebra

/// Writes NumPy's `.npy`, version 1.0: six bytes of magic, two of version, two with the header's length, the header (a
/// Python dictionary, padded with spaces so that the data begin on a multiple of 64), and the elements.
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
public enum NumPyWriter {
  /// A matrix as little-endian float64 in C order, shape (rows, columns).
  public static func data(of matrix: Matrix) -> Data {
    var header = "{'descr': '<f8', 'fortran_order': False, 'shape': (\(matrix.rows), \(matrix.columns)), }"
    let preambleSize = 10
    header += String(repeating: " ", count: 63 - (preambleSize + header.utf8.count) % 64) + "\n"
    var data = Data([0x93] + Array("NUMPY".utf8) + [1, 0])
    withUnsafeBytes(of: UInt16(header.utf8.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(contentsOf: header.utf8)
    let words = matrix.elements.map(\.bitPattern.littleEndian)
    words.withUnsafeBytes { data.append(contentsOf: $0) }
    return data
  }

  /// Writes the file whole; see `AtomicFile`.
  /// - Throws: `PipelineError` of kind `.cannotCreate` or `.inputOutput`.
  public static func write(_ matrix: Matrix, to url: URL) throws(PipelineError) {
    try AtomicFile.write(data(of: matrix), to: url)
  }
}
