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

  var metadata: [String: String]
  var entries: [String: Entry]

  /// What is wrong, in words.
  struct Fault: Error { var description: String }

  /// The types of the format and how many bits an element takes.
  static let bits = [
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
    "U64": 64,
  ]

  /// - Parameters:
  ///   - json: the header.
  ///   - size: bytes behind it.
  init(_ json: Data, dataSize size: Int) throws(Fault) {
    // Foundation would take a file in UTF-16, or one that begins with a byte order mark, too.
    guard json.first != 0xEF, !json.contains(0), String(validating: json, as: UTF8.self) != nil,
      let object = try? JSONSerialization.jsonObject(with: json) as? [String: Any]
    else { throw Fault(description: "its header is not a JSON object") }
    if let fault = Self.fault(in: json) { throw Fault(description: fault) }
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
    guard let bits = bits[dtype] else { throw Fault(description: "\(key) is of a type \(dtype), which there is not") }
    guard shape.allSatisfy({ $0 >= 0 }), 0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= size else {
      throw Fault(description: "the data of \(key) lie outside the file")
    }
    var count = bits
    for dimension in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw Fault(description: "the shape \(shape) of \(key) is too large") }
      count = product
    }
    let (expected, rest) = count.quotientAndRemainder(dividingBy: 8)
    guard rest == 0, expected == offsets[1] - offsets[0] else {
      throw Fault(description: "\(key) has \(offsets[1] - offsets[0]) bytes for the shape \(shape)")
    }
    return Entry(dtype: dtype, shape: shape, offsets: offsets)
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

  // MARK: What Foundation does not tell

  /// A key that an object has twice, or a shape or place that is not written in digits alone.
  /// - Parameter json: valid to Foundation.
  private static func fault(in json: Data) -> String? {
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
          guard open[open.count - 1].keys.insert(key).inserted else { return "its header has \(key) twice" }
          open[open.count - 1].key = key
        }
        index = end - 1
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): break
      default:
        let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        if let key = open.last?.key, ["shape", "data_offsets"].contains(key), !isDigit {
          return "a \(key) in its header is not of whole numbers"
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
