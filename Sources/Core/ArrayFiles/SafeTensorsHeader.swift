import Basics
import Foundation

/// The JSON that a safetensors file begins with, read as the reference library reads it, which is stricter than Foundation:
/// UTF-8 alone, whole numbers that are written as such, metadata that are text; and of no two tensors with one name one is taken.
struct SafeTensorsHeader {
  struct Entry {
    var dtype: String
    var shape: [Int]
    /// First byte and end, behind the header.
    var offsets: [Int]
  }

  /// A header larger than this is refused before anything is allocated for it, as by the reference library.
  private static let maximumSize = 100_000_000

  var metadata: [String: String]
  var entries: [String: Entry]
  /// Where the data begin in the file.
  let dataStart: Int

  /// What is wrong, in words.
  struct Fault: Error { var description: String }

  /// The types of the format and how many bits an element takes.
  static let bits = [
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
    "U64": 64,
  ]

  /// Reads the header of a file and compares it with the file's size.
  /// - Throws: `PipelineError` of kind `.badData` where the file is not whole.
  init(of file: OpenFile) throws(PipelineError) {
    func broken(_ what: String) -> PipelineError {
      PipelineError(.badData, "\(file.path) is not a whole safetensors file: \(what)")
    }
    guard file.byteCount >= 8 else { throw broken("it has \(file.byteCount) bytes") }
    let length = try file.contents(at: 0, byteCount: 8)
    // What a repository holds in a large file's place begins with this word.
    guard length != Data("version ".utf8) else {
      throw broken("it says where Git LFS keeps the file: download that")
    }
    let size = length.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * $1.offset) }
    guard size <= Self.maximumSize, Int(size) <= file.byteCount - 8 else {
      throw broken("its header claims \(size) bytes")
    }
    let json = try file.contents(at: 8, byteCount: Int(size))
    do throws(Fault) { try self.init(json, dataSize: file.byteCount - 8 - json.count) } catch {
      throw broken(error.description)
    }
  }

  /// - Parameters:
  ///   - json: the header.
  ///   - size: bytes behind it.
  private init(_ json: Data, dataSize size: Int) throws(Fault) {
    dataStart = 8 + json.count
    // Foundation would take a file in UTF-16, or one that begins with a byte order mark, too.
    guard json.first != 0xEF, !json.contains(0), String(validating: json, as: UTF8.self) != nil,
      let object = try? JSONSerialization.jsonObject(with: json) as? [String: Any]
    else { throw Fault(description: "its header is not a JSON object") }
    if let fault = Self.fault(in: json) { throw Fault(description: "its header is broken: \(fault)") }
    entries = [:]
    metadata = [:]
    for (key, value) in object {
      if key == "__metadata__" {
        if value is NSNull { continue }
        guard let text = value as? [String: String] else { throw Fault(description: "its metadata are not all text") }
        metadata = text
      } else {
        entries[key] = try Self.entry(key, value, dataSize: size)
      }
    }
    try checkPlaces(dataSize: size)
  }

  private static func entry(_ key: String, _ value: Any, dataSize size: Int) throws(Fault) -> Entry {
    guard let value = value as? [String: Any], let dtype = value["dtype"] as? String,
      let shape = value["shape"] as? [Int], let offsets = value["data_offsets"] as? [Int], offsets.count == 2
    else { throw Fault(description: "the entry of \(key) is malformed") }
    guard 0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= size else {
      throw Fault(description: "the data of \(key) lie outside the file")
    }
    guard try byteCount(key, dtype, shape) == offsets[1] - offsets[0] else {
      throw Fault(description: "\(key) has \(offsets[1] - offsets[0]) bytes for the shape \(shape)")
    }
    return Entry(dtype: dtype, shape: shape, offsets: offsets)
  }

  /// How many bytes a tensor takes.
  private static func byteCount(_ name: String, _ dtype: String, _ shape: [Int]) throws(Fault) -> Int {
    guard var count = bits[dtype] else {
      throw Fault(description: "\(name) is of a type \(dtype), which there is not")
    }
    for dimension in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard dimension >= 0, !overflow else {
        throw Fault(description: "the shape \(shape) of \(name) is not possible")
      }
      count = product
    }
    guard count % 8 == 0 else { throw Fault(description: "\(name) ends amidst a byte") }
    return count / 8
  }

  /// The data follow each other without overlaps or gaps and fill the file.
  private func checkPlaces(dataSize size: Int) throws(Fault) {
    var end = 0
    for (key, entry) in entries.sorted(by: { $0.value.offsets.lexicographicallyPrecedes($1.value.offsets) }) {
      guard entry.offsets[0] == end else {
        throw Fault(description: "the data of \(key) overlap others or leave a gap")
      }
      end = entry.offsets[1]
    }
    guard end == size else { throw Fault(description: "\(size - end) bytes at its end belong to no tensor") }
  }

  // MARK: Writing

  /// What a file begins with whose data follow each other in the order of `tensors`: the same bytes for the same tensors.
  /// - Parameters:
  ///   - tensors: with their types in the format's words.
  ///   - metadata: free text.
  ///   - alignment: the data begin at a multiple of so many bytes, a multiple of 8.
  /// - Returns: length and header, and where each tensor ends, in bytes behind them.
  static func bytes(
    describing tensors: [(name: String, dtype: String, shape: [Int])], metadata: [String: String], alignment: Int
  ) throws(Fault) -> (header: Data, ends: [Int]) {
    var object: [String: any Sendable] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var ends: [Int] = []
    for (name, dtype, shape) in tensors {
      guard name != "__metadata__", object[name] == nil else {
        throw Fault(description: "two tensors are called \(name)")
      }
      let start = ends.last ?? 0
      let (end, overflow) = start.addingReportingOverflow(try byteCount(name, dtype, shape))
      guard !overflow else { throw Fault(description: "there is more than a file can hold, from \(name) on") }
      object[name] = ["dtype": dtype, "shape": shape, "data_offsets": [start, end]] as [String: any Sendable]
      ends.append(end)
    }
    guard var json = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]) else {
      throw Fault(description: "the tensors cannot be described in JSON")
    }
    json.append(Data(repeating: UInt8(ascii: " "), count: (alignment - (8 + json.count) % alignment) % alignment))
    guard json.count <= maximumSize else { throw Fault(description: "its header would have \(json.count) bytes") }
    return (withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json, ends)
  }

  // MARK: What Foundation does not tell

  /// A key that an object has twice, or a shape or place that is not written in digits alone.
  /// - Parameter json: valid to Foundation.
  static func fault(in json: Data) -> String? {
    // The objects and arrays that are open; an array goes on with the key it stands under.
    var open: [(keys: Set<String>, key: String, isObject: Bool)] = []
    var isKey = false
    var index = json.startIndex
    while index < json.endIndex {
      let byte = json[index]
      switch byte {
      case UInt8(ascii: "{"):
        open.append(([], "", true))
        isKey = true
      case UInt8(ascii: "["):
        open.append(([], open.last?.key ?? "", false))
        isKey = false
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        open.removeLast()
        isKey = false
      case UInt8(ascii: ","): isKey = open.last?.isObject == true
      case UInt8(ascii: ":"): isKey = false
      case UInt8(ascii: "\""):
        let end = endOfString(at: index, in: json)
        if isKey {
          let key = key(json[index..<end])
          guard open[open.count - 1].keys.insert(key).inserted else { return "it has \(key) twice" }
          open[open.count - 1].key = key
        }
        index = end - 1
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): break
      default:
        let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        if let key = open.last?.key, ["shape", "data_offsets"].contains(key), !isDigit {
          return "a \(key) in it is not of whole numbers"
        }
      }
      index += 1
    }
    return nil
  }

  /// - Parameter quoted: with its quotation marks.
  private static func key(_ quoted: Data) -> String {
    // Escapes are rare, and a decoder takes longer than all of the header's other keys.
    let decoded = quoted.contains(UInt8(ascii: "\\")) ? try? JSONDecoder().decode(String.self, from: quoted) : nil
    return decoded ?? String(decoding: quoted.dropFirst().dropLast(), as: UTF8.self)
  }

  /// - Returns: the place behind its closing quotation mark.
  private static func endOfString(at start: Data.Index, in json: Data) -> Data.Index {
    var index = start + 1
    while index < json.endIndex, json[index] != UInt8(ascii: "\"") {
      index += json[index] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(index + 1, json.endIndex)
  }
}
