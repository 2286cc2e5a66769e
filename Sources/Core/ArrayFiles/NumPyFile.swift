import Basics
import CKernels
import Foundation
import LinearAlgebra

/// NumPy's files as matrices: an array of `numpy.save`, or one of `numpy.savez` and `numpy.savez_compressed`.
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
public enum NumPyFile {
  /// 8 GiB as Float64.
  private static let maximumElementCount = 1 << 30
  /// Of an array's description; NumPy too refuses longer ones.
  private static let maximumHeaderByteCount = 10_000
  private static let magic = Data([0x93] + Array("NUMPY".utf8))

  /// Reads an array whose first axis counts points: `[N, …]` becomes N rows, all further axes laid out in one row each,
  /// the last running fastest, whichever order the file has.
  ///
  /// Floating point of 16, 32 and 64 bits, integers of 8 to 64 bits (rounded beyond 2⁵³) and booleans are read, in either
  /// byte order. Numbers that are not finite are passed on: to some models NaN means a missing value.
  /// - Parameters:
  ///   - url: the file.
  ///   - array: which array of an `.npz` file; needed where it has several.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, `.badData` where it is damaged, empty,
  ///   too large, of another type or has fewer than two axes, and `.usage` where `array` is missing or not in the file.
  public static func matrix(contentsOf url: URL, array: String? = nil) throws(PipelineError) -> Matrix {
    try matrix(contentsOf: url, array: array, leastAxes: 2)
  }

  /// Reads an array of a number for each point, `[N]` or `[N, 1]`.
  /// - Throws: as ``matrix(contentsOf:array:)``, but that one axis is enough; `.badData` also where there are more columns.
  public static func column(contentsOf url: URL, array: String? = nil) throws(PipelineError) -> [Double] {
    let column = try matrix(contentsOf: url, array: array, leastAxes: 1)
    guard column.columns == 1 else {
      throw PipelineError(.badData, "\(described(url, array)) is not one number for each row")
    }
    return column.elements
  }

  /// Reads an array of whole numbers, `[N]` or `[N, 1]`, such as the classes of N points.
  /// - Throws: as ``column(contentsOf:array:)``; `.badData` also where a number is not whole.
  public static func integers(contentsOf url: URL, array: String? = nil) throws(PipelineError) -> [Int] {
    let column = try matrix(contentsOf: url, array: array, leastAxes: 1)
    let numbers = column.elements.compactMap { Int(exactly: $0) }
    guard column.columns == 1, numbers.count == column.rows else {
      throw PipelineError(.badData, "\(described(url, array)) is not one whole number for each row")
    }
    return numbers
  }

  private static func described(_ url: URL, _ array: String?) -> String {
    url.path + (array.map { ": \($0)" } ?? "")
  }

  /// The names of the arrays of an `.npz` file; none of a single array.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, `.badData` where it is damaged.
  public static func arrayNames(contentsOf url: URL) throws(PipelineError) -> [String] {
    let file = try InputFile.mapped(url)
    return Archive.isArchive(file) ? try Archive(file, path: url.path).names : []
  }

  private static func matrix(
    contentsOf url: URL, array: String?, leastAxes: Int
  ) throws(PipelineError) -> Matrix {
    let path = url.path
    guard try InputFile.byteCount(of: url) > 0 else { throw PipelineError(.badData, "\(path) is empty") }
    let file = try InputFile.mapped(url)
    guard Archive.isArchive(file) else {
      if let array { throw PipelineError(.usage, "\(path) is a single array, in which \(array) cannot be chosen") }
      return try matrix(file, leastAxes: leastAxes, source: path)
    }
    let archive = try Archive(file, path: path)
    let names = archive.names
    guard let first = names.first else { throw PipelineError(.badData, "\(path) holds no array of NumPy's") }
    guard array != nil || names.count == 1 else {
      throw PipelineError(.usage, "\(path) holds several arrays; choose one of \(names.joined(separator: ", "))")
    }
    let name = array ?? first
    guard names.contains(name) else {
      throw PipelineError(.usage, "\(path) has no array \(name); it has \(names.joined(separator: ", "))")
    }
    let source = "\(path): \(name)"
    let data = try archive.contents(of: name, startByteCount: maximumHeaderByteCount + 12) {
      (start, byteCount) throws(PipelineError) in
      _ = try layout(start, byteCount: byteCount, leastAxes: leastAxes, source: source)
    }
    return try matrix(data, leastAxes: leastAxes, source: source)
  }

  /// What an array's header says.
  private struct Header {
    /// As NumPy writes it: byte order, kind and bytes, as in `<f8`.
    var type: String
    /// Whether the first axis runs fastest.
    var isFortranOrdered: Bool
    var shape: [Int]
    /// Where the numbers start.
    var byteCount: Int
  }

  /// An array's header and the kind of its numbers, once it is sure that they are what can be read and as many as the header
  /// says.
  /// - Parameters:
  ///   - start: of the file, with the header in it.
  ///   - byteCount: of the whole file.
  private static func layout(
    _ start: Data, byteCount: Int, leastAxes: Int, source: String
  ) throws(PipelineError) -> (header: Header, scalar: Scalar) {
    let header = try header(start, source: source)
    let shape = header.shape
    let kind = String(header.type.dropFirst())
    guard let scalar = Scalar(rawValue: kind) else {
      let reason = kind.hasPrefix("O") ? "holds Python objects" : "has the type \(header.type)"
      throw PipelineError(.badData, "\(source) \(reason); float64, float32, float16, integers and booleans are read")
    }
    guard shape.count >= leastAxes else {
      let advice = "a matrix has a row for each point: reshape(-1, 1) makes points of one dimension"
      throw PipelineError(.badData, "\(source) has \(shape.isEmpty ? "no axes" : "one axis"), but \(advice)")
    }
    guard !shape.contains(0) else { throw PipelineError(.badData, "\(source) is empty: its shape is \(shape)") }
    var count = 1
    for axis in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: axis)
      guard !overflow, product <= maximumElementCount else {
        throw PipelineError(
          .badData, "\(source) has the shape \(shape); at most \(maximumElementCount) numbers are read")
      }
      count = product
    }
    let (expected, found) = (count * scalar.byteCount, byteCount - header.byteCount)
    guard expected == found else {
      let what = found < expected ? "is cut short" : "is damaged"
      throw PipelineError(.badData, "\(source) \(what): \(found) bytes where its shape \(shape) takes \(expected)")
    }
    return (header, scalar)
  }

  private static func matrix(_ data: Data, leastAxes: Int, source: String) throws(PipelineError) -> Matrix {
    let (header, scalar) = try layout(data, byteCount: data.count, leastAxes: leastAxes, source: source)
    let (shape, isBigEndian) = (header.shape, header.type.hasPrefix(">"))
    let (rows, columns) = (shape[0], shape.dropFirst().reduce(1, *))
    let elements = data.withUnsafeBytes { bytes in
      scalar.doubles(
        UnsafeRawBufferPointer(rebasing: bytes.dropFirst(header.byteCount)), isBigEndian: isBigEndian, rows: rows,
        rowStride: header.isFortranOrdered ? 1 : columns,
        columnOffsets: header.isFortranOrdered ? fortranOffsets(shape) : Array(0..<columns))
    }
    return Matrix(elements, rows: rows, columns: columns)
  }

  /// Where the elements of the first row lie, in the order in which the last axis runs fastest.
  private static func fortranOffsets(_ shape: [Int]) -> [Int] {
    var offsets = [0]
    var stride = 1
    for (axis, length) in shape.enumerated() {
      if axis > 0 { offsets = offsets.flatMap { offset in (0..<length).map { offset + $0 * stride } } }
      stride *= length
    }
    return offsets
  }

  /// The magic, a version, the length of the description and the description, a literal of Python's such as
  /// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`.
  private static func header(_ data: Data, source: String) throws(PipelineError) -> Header {
    guard data.starts(with: magic) else {
      throw PipelineError(.badData, "\(source) is not an array of NumPy's (.npy) or a file of them (.npz)")
    }
    func damaged(_ what: String) -> PipelineError { PipelineError(.badData, "\(source) is damaged: \(what)") }
    guard data.count >= 12 else { throw damaged("it ends inside its header") }
    let version = data[6]
    guard (1...3).contains(version) else {
      throw PipelineError(.badData, "\(source) has version \(version) of NumPy's format; 1 to 3 are read")
    }
    // The length has two bytes in version 1 and four later.
    let lengthByteCount = version == 1 ? 2 : 4
    let length = (0..<lengthByteCount).reduce(0) { $0 | Int(data[8 + $1]) << (8 * $1) }
    let byteCount = 8 + lengthByteCount + length
    guard length <= maximumHeaderByteCount else { throw damaged("its header claims \(length) bytes") }
    guard byteCount <= data.count else { throw damaged("it ends inside its header") }
    let text = String(decoding: data[8 + lengthByteCount..<byteCount], as: UTF8.self)

    if text.contains(/["']descr["']\s*:\s*\[/) {
      throw PipelineError(.badData, "\(source) holds records with named fields, not plain numbers")
    }
    guard let type = text.firstMatch(of: /["']descr["']\s*:\s*["']([<>|=][A-Za-z][^"']*)["']/)?.1,
      let order = text.firstMatch(of: /["']fortran_order["']\s*:\s*(True|False)/)?.1,
      let axes = text.firstMatch(of: /["']shape["']\s*:\s*\(([0-9L,\s]*)\)/)?.1
    else { throw damaged("its header is not a description of an array") }
    // Python 2 wrote long integers as 3L.
    let fields = axes.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    let shape = fields.compactMap { Int($0.hasSuffix("L") ? String($0.dropLast()) : $0) }
    guard shape.count == fields.count else { throw damaged("its shape (\(axes)) makes no sense") }
    return Header(type: String(type), isFortranOrdered: order == "True", shape: shape, byteCount: byteCount)
  }

  /// The kinds of numbers that are read, by their names without the byte order.
  private enum Scalar: String {
    case f8, f4, f2, b1, u1, u2, u4, u8, i1, i2, i4, i8

    var byteCount: Int { rawValue.last?.wholeNumberValue ?? 1 }

    /// Element (i, j) of a matrix lies at i·rowStride + columnOffsets[j].
    func doubles(
      _ bytes: UnsafeRawBufferPointer, isBigEndian: Bool, rows: Int, rowStride: Int, columnOffsets: [Int]
    ) -> [Double] {
      func gather<Bits: FixedWidthInteger>(_: Bits.Type, _ number: (Bits) -> Double) -> [Double] {
        let columns = columnOffsets.count
        return [Double](unsafeUninitializedCapacity: rows * columns) { target, count in
          for i in 0..<rows {
            for (j, offset) in columnOffsets.enumerated() {
              let bits = bytes.loadUnaligned(
                fromByteOffset: (i * rowStride + offset) * MemoryLayout<Bits>.size, as: Bits.self)
              target[i * columns + j] = number(isBigEndian ? Bits(bigEndian: bits) : Bits(littleEndian: bits))
            }
          }
          count = rows * columns
        }
      }
      return switch self {
      case .f8: gather(UInt64.self) { Double(bitPattern: $0) }
      case .f4: gather(UInt32.self) { Double(Float(bitPattern: $0)) }
      case .f2: gather(UInt16.self) { Double(ck_from_float16($0)) }
      case .b1: gather(UInt8.self) { $0 == 0 ? 0 : 1 }
      case .u1: gather(UInt8.self) { Double($0) }
      case .u2: gather(UInt16.self) { Double($0) }
      case .u4: gather(UInt32.self) { Double($0) }
      case .u8: gather(UInt64.self) { Double($0) }
      case .i1: gather(Int8.self) { Double($0) }
      case .i2: gather(Int16.self) { Double($0) }
      case .i4: gather(Int32.self) { Double($0) }
      case .i8: gather(Int64.self) { Double($0) }
      }
    }
  }
}
