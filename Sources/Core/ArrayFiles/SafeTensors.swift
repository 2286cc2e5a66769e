import Basics
import CKernels
import Foundation
import LinearAlgebra
import NN
import TensorCore

/// The safetensors file format: eight bytes with the header's length, a JSON header that names each tensor's type, shape
/// and place, and the tensors' bytes. https://github.com/huggingface/safetensors#format
public struct SafeTensors: WeightSource {
  /// Free text of the header's `__metadata__`.
  public let metadata: [String: String]
  private var entries: [String: SafeTensorsHeader.Entry]
  private let data: Data
  private let dataStart: Int
  private let path: String

  /// A header larger than this is refused before anything is allocated for it, as by the reference library.
  private static let maximumHeaderSize = 100_000_000

  /// The names of all tensors, sorted.
  public var names: [String] { entries.keys.sorted() }

  /// Opens a file; the tensors are read from the mapped file when asked for.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, `.badData` where it is not whole.
  public init(contentsOf url: URL) throws(PipelineError) {
    path = url.path
    let file = try InputFile.mapped(url)
    let name = url.path
    func broken(_ what: String) -> PipelineError {
      PipelineError(.badData, "\(name) is not a whole safetensors file: \(what)")
    }
    guard file.count >= 8 else { throw broken("it has \(file.count) bytes") }
    let headerSize = file.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * $1.offset) }
    guard headerSize <= Self.maximumHeaderSize, Int(headerSize) <= file.count - 8 else {
      throw broken("its header claims \(headerSize) bytes")
    }
    dataStart = 8 + Int(headerSize)
    let header: SafeTensorsHeader
    do throws(SafeTensorsHeader.Fault) {
      header = try SafeTensorsHeader(file[8..<dataStart], dataSize: file.count - dataStart)
    } catch { throw broken(error.description) }
    (metadata, entries) = (header.metadata, header.entries)
    data = file
  }

  /// The shape of a tensor; nil where the file has none of that name.
  public func shape(of name: String) -> [Int]? { entries[name]?.shape }

  /// Reads one tensor: F32 and BF16 as they are, F16 and F64 as float32.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing or of a type that is not supported.
  public func tensor(_ name: String) throws(PipelineError) -> Tensor {
    guard let entry = entries[name] else { throw PipelineError(.badData, "\(path) has no tensor \(name)") }
    let stored = data[dataStart + entry.offsets[0]..<dataStart + entry.offsets[1]]
    let tensor = Tensor.zeros(entry.shape, type: entry.dtype == "BF16" ? .bfloat16 : .float32)
    switch entry.dtype {
    case "F32", "BF16": tensor.withUnsafeMutableBytes { _ = stored.copyBytes(to: $0) }
    case "F16":
      // The reference library puts a file's data at any place, so they need not be aligned.
      var halves = [UInt16](repeating: 0, count: stored.count / 2)
      halves.withUnsafeMutableBytes { _ = stored.copyBytes(to: $0) }
      tensor.withUnsafeMutableFloats { ck_widen_float16(halves, $0.baseAddress, $0.count) }
    case "F64":
      let elements = doubles(stored)
      tensor.withUnsafeMutableFloats { floats in for i in floats.indices { floats[i] = Float(elements[i]) } }
    default:
      throw PipelineError(
        .badData, "\(path): \(name) has the type \(entry.dtype); F32, BF16, F16 and F64 are supported")
    }
    return tensor
  }

  private func doubles(_ stored: Data) -> [Double] {
    var elements = [Double](repeating: 0, count: stored.count / 8)
    elements.withUnsafeMutableBytes { _ = stored.copyBytes(to: $0) }
    return elements
  }

  /// Reads a float64 matrix; one axis alone makes a row.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing, of another type, or has more than two axes.
  public func matrix(_ name: String) throws(PipelineError) -> Matrix {
    guard let entry = entries[name] else { throw PipelineError(.badData, "\(path) has no tensor \(name)") }
    guard entry.dtype == "F64", (1...2).contains(entry.shape.count) else {
      throw PipelineError(
        .badData, "\(path): \(name) is of type \(entry.dtype) and shape \(entry.shape) where an F64 matrix is expected")
    }
    let elements = doubles(data[dataStart + entry.offsets[0]..<dataStart + entry.offsets[1]])
    return Matrix(elements, rows: entry.shape.count == 1 ? 1 : entry.shape[0], columns: entry.shape.last ?? 0)
  }

  /// A table of whole numbers, whose rows stay in the mapped file until they are asked for.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing, of another type than U8 and U16, or has other than two
  ///   axes.
  public func table(_ name: String) throws(PipelineError) -> IntegerTable {
    guard let entry = entries[name] else { throw PipelineError(.badData, "\(path) has no tensor \(name)") }
    guard let width = IntegerTable.Width(rawValue: entry.dtype), entry.shape.count == 2 else {
      throw PipelineError(
        .badData,
        "\(path): \(name) is of type \(entry.dtype) and shape \(entry.shape) where rows of U8 or U16 are expected")
    }
    return IntegerTable(
      bytes: data[dataStart + entry.offsets[0]..<dataStart + entry.offsets[1]], rowCount: entry.shape[0],
      columns: entry.shape[1], width: width)
  }

  /// Reads a tensor into memory that is there already, converting: for whoever owns that memory.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing or has another shape.
  package func read(_ name: String, into target: Tensor) throws(PipelineError) {
    if let shape = shape(of: name), shape != target.shape {
      throw PipelineError(.badData, "\(path): \(name) has the shape \(shape) where \(target.shape) is expected")
    }
    target.overwrite(with: try tensor(name))
  }

  /// The file as if it did not hold these tensors, for a model that shares it with another.
  public func excluding(_ names: some Sequence<String>) -> SafeTensors {
    var rest = self
    for name in names { rest.entries[name] = nil }
    return rest
  }

  /// Reads all parameters and buffers of a module.
  /// - Throws: `PipelineError` of kind `.badData` where one is missing, has another shape, or the file holds one that the
  ///   module does not know. The module is then partly read and must not be used.
  public func read(into module: some Module) throws(PipelineError) {
    let wanted = module.namedTensors()
    if let unknown = Set(names).subtracting(wanted.map(\.name)).min() {
      throw PipelineError(.badData, "\(path) holds \(unknown), which this model does not have")
    }
    for (name, tensor) in wanted { try read(name, into: tensor) }
  }

  /// Writes tensors whole: see `AtomicFile`.
  /// - Parameters:
  ///   - tensors: with their names in the file.
  ///   - matrices: stored as float64.
  ///   - tables: of whole numbers.
  ///   - metadata: free text for the header.
  ///   - type: what the tensors are stored as; nil keeps each as it is.
  ///   - url: the file; what was there is replaced at the end.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], matrices: [(name: String, matrix: Matrix)] = [],
    tables: [(name: String, table: IntegerTable)] = [],
    metadata: [String: String] = [:], as type: ElementType? = nil, to url: URL
  ) throws(PipelineError) {
    var header: [String: any Sendable] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var offset = 0
    func describe(_ name: String, _ dtype: String, _ shape: [Int]) {
      let end = offset + shape.reduce(1, *) * (SafeTensorsHeader.bits[dtype] ?? 0) / 8
      header[name] = ["dtype": dtype, "shape": shape, "data_offsets": [offset, end]] as [String: any Sendable]
      offset = end
    }
    // The widest elements first, so that all are aligned without padding between them.
    for (name, matrix) in matrices { describe(name, "F64", [matrix.rows, matrix.columns]) }
    let stored = tensors.map { ($0.name, $0.tensor.cast(to: type ?? $0.tensor.type)) }
    for (name, tensor) in stored { describe(name, tensor.type == .float32 ? "F32" : "BF16", tensor.shape) }
    let tables = tables.sorted { $0.table.width.byteCount > $1.table.width.byteCount }
    for (name, table) in tables { describe(name, table.width.rawValue, [table.rowCount, table.columns]) }
    guard var json = try? JSONSerialization.data(withJSONObject: header, options: [.sortedKeys]) else {
      throw PipelineError(.inputOutput, "cannot describe the tensors of \(url.path)")
    }
    json.append(Data(repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
    var prefix = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) }
    prefix.append(json)
    for (_, matrix) in matrices { matrix.elements.withUnsafeBytes { prefix.append(contentsOf: $0) } }
    let suffix = tables.reduce(into: Data()) { $0 += $1.table.bytes }
    // The pointers stay valid while `prefix`, `stored` and `suffix` live.
    let result: Result<Void, PipelineError> = withExtendedLifetime(stored) {
      prefix.withUnsafeBytes { head in
        suffix.withUnsafeBytes { tail in
          let chunks = [head] + stored.map { tensor in tensor.1.withUnsafeBytes { $0 } } + [tail]
          do throws(PipelineError) { return .success(try AtomicFile.write(chunks, to: url)) } catch {
            return .failure(error)
          }
        }
      }
    }
    try result.get()
  }
}
