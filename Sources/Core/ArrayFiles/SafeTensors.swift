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
  private let file: MappedBytes
  private let dataStart: Int
  private let path: String
  /// What the names in the file begin with; see ``only(prefix:)``.
  private var prefix = ""

  /// The names of all tensors, sorted.
  public var names: [String] { entries.keys.sorted() }

  /// Opens a file; the tensors are read from the mapped file when asked for.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, `.badData` where it is not whole.
  public init(contentsOf url: URL) throws(PipelineError) {
    let opened = try OpenFile(url)
    let header = try SafeTensorsHeader(of: opened)
    (metadata, entries, dataStart) = (header.metadata, header.entries, header.dataStart)
    (path, file) = (opened.path, try opened.mapped())
  }

  /// The shape of a tensor; nil where the file has none of that name.
  public func shape(of name: String) -> [Int]? { entries[name]?.shape }

  /// A tensor's type in the format's words, such as "BF16"; nil where the file has none of that name.
  public func elementTypeName(of name: String) -> String? { entries[name]?.dtype }

  private func entry(_ name: String) throws(PipelineError) -> SafeTensorsHeader.Entry {
    guard let entry = entries[name] else { throw PipelineError(.badData, "\(path) has no tensor \(prefix + name)") }
    return entry
  }

  private func bytes(_ entry: SafeTensorsHeader.Entry) -> MappedBytes {
    file[dataStart + entry.offsets[0]..<dataStart + entry.offsets[1]]
  }

  /// A tensor's bytes where they lie in the mapped file, without a copy. Whoever uses them looks at shape and type first.
  ///
  /// They begin at a multiple of 64 bytes where ``SafeTensorsWriter`` wrote the file, and at any place in a file that somebody else wrote.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing.
  public func mapped(_ name: String) throws(PipelineError) -> MappedBytes { bytes(try entry(name)) }

  /// Reads one tensor: F32 and BF16 as they are, F16 and F64 as float32.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing or of a type that is not supported.
  public func tensor(_ name: String) throws(PipelineError) -> Tensor {
    let entry = try entry(name)
    guard ["F32", "BF16", "F16", "F64"].contains(entry.dtype) else {
      throw PipelineError(
        .badData, "\(path): \(prefix + name) has the type \(entry.dtype); F32, BF16, F16 and F64 are supported")
    }
    let tensor = Tensor(uninitialized: entry.shape, entry.dtype == "BF16" ? .bfloat16 : .float32)
    switch entry.dtype {
    case "F16":
      // The reference library puts a file's data at any place, so they need not be aligned.
      let halves: [UInt16] = elements(entry)
      tensor.withUnsafeMutableFloats { ck_widen_float16(halves, $0.baseAddress, $0.count) }
    case "F64":
      let doubles: [Double] = elements(entry)
      tensor.withUnsafeMutableFloats { floats in for i in floats.indices { floats[i] = Float(doubles[i]) } }
    default:
      bytes(entry).withUnsafeBytes { stored in tensor.withUnsafeMutableBytes { $0.copyMemory(from: stored) } }
    }
    return tensor
  }

  /// - Precondition: `Element` is of the entry's size.
  private func elements<Element: Numeric>(_ entry: SafeTensorsHeader.Entry) -> [Element] {
    let bytes = bytes(entry)
    var elements = [Element](repeating: 0, count: bytes.byteCount / MemoryLayout<Element>.size)
    bytes.withUnsafeBytes { stored in elements.withUnsafeMutableBytes { $0.copyMemory(from: stored) } }
    return elements
  }

  /// Reads a float64 matrix; one axis alone makes a row.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing, of another type, or has more than two axes.
  public func matrix(_ name: String) throws(PipelineError) -> Matrix {
    let entry = try entry(name)
    guard entry.dtype == "F64", (1...2).contains(entry.shape.count) else {
      throw PipelineError(
        .badData,
        "\(path): \(prefix + name) is of type \(entry.dtype) and shape \(entry.shape) where an F64 matrix is expected")
    }
    return Matrix(elements(entry), rows: entry.shape.count == 1 ? 1 : entry.shape[0], columns: entry.shape.last ?? 0)
  }

  /// A table of whole numbers, whose rows stay in the mapped file until they are asked for.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing, of another type than U8 and U16, or has other than two
  ///   axes.
  public func table(_ name: String) throws(PipelineError) -> IntegerTable {
    let entry = try entry(name)
    guard let width = IntegerTable.Width(rawValue: entry.dtype), entry.shape.count == 2 else {
      throw PipelineError(
        .badData,
        "\(path): \(prefix + name) is of type \(entry.dtype) and shape \(entry.shape) where rows of U8 or U16 are expected"
      )
    }
    return IntegerTable(
      bytes: bytes(entry).data, rowCount: entry.shape[0], columns: entry.shape[1], width: width)
  }

  /// Reads a tensor into memory that is there already, converting: for whoever owns that memory.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing or has another shape.
  package func read(_ name: String, into target: Tensor) throws(PipelineError) {
    if let shape = shape(of: name), shape != target.shape {
      throw PipelineError(
        .badData, "\(path): \(prefix + name) has the shape \(shape) where \(target.shape) is expected")
    }
    target.overwrite(with: try tensor(name))
  }

  /// The file as if it did not hold these tensors, for a model that shares it with another.
  public func excluding(_ names: some Sequence<String>) -> SafeTensors {
    var rest = self
    for name in names { rest.entries[name] = nil }
    return rest
  }

  /// The tensors whose names begin with `prefix`, called by the rest of their names: for a model that is part of a larger one.
  public func only(prefix: String) -> SafeTensors {
    var part = self
    part.prefix += prefix
    part.entries = [:]
    for (name, entry) in entries where name.hasPrefix(prefix) {
      part.entries[String(name.dropFirst(prefix.count))] = entry
    }
    return part
  }

  /// Reads all parameters and buffers of a module.
  /// - Throws: `PipelineError` of kind `.badData` where one is missing, has another shape, or the file holds one that the
  ///   module does not know. The module is then partly read and must not be used.
  public func read(into module: some Module) throws(PipelineError) {
    let wanted = module.namedTensors()
    if let unknown = Set(names).subtracting(wanted.map(\.name)).min() {
      throw PipelineError(.badData, "\(path) holds \(prefix + unknown), which this model does not have")
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
    // The widest elements first, so that all are aligned without padding between them.
    let stored = tensors.map { ($0.name, $0.tensor.cast(to: type ?? $0.tensor.type)) }
    let tables = tables.sorted { $0.table.width.byteCount > $1.table.width.byteCount }
    var described = matrices.map { (name: $0.name, dtype: "F64", shape: [$0.matrix.rows, $0.matrix.columns]) }
    described += stored.map { (name: $0.0, dtype: $0.1.type == .float32 ? "F32" : "BF16", shape: $0.1.shape) }
    described += tables.map {
      (name: $0.name, dtype: $0.table.width.rawValue, shape: [$0.table.rowCount, $0.table.columns])
    }
    var prefix: Data
    do throws(SafeTensorsHeader.Fault) {
      prefix = try SafeTensorsHeader.bytes(describing: described, metadata: metadata, alignment: 8).header
    } catch { throw PipelineError(.cannotCreate, "cannot write \(url.path): \(error.description)") }
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
