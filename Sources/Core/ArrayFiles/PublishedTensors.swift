import Basics
import CKernels
import Foundation
import TensorCore

/// The tensors of a downloaded model: one file, or several ("shards") that an index names, as transformers writes them.
///
/// They are taken as transformers takes them: `model.safetensors` before an index, and from the shards that an index
/// names all tensors, whether it names these or not. Beyond that, nothing may be missing or be there twice. Nothing is
/// mapped, so that what was read does not count as this process's memory, however large the files are.
public struct PublishedTensors: Sendable {
  private struct Shard {
    let name: String
    let file: OpenFile
    let header: SafeTensorsHeader
  }

  private let shards: [Shard]
  /// In which shard each tensor is.
  private let places: [String: Int]

  private static let fileName = "model.safetensors"
  private static let indexName = "model.safetensors.index.json"
  /// An index larger than this is refused: that of a model with 100,000 tensors has ten megabytes.
  private static let maximumIndexSize = 64 << 20
  /// What is read at a time, in bytes, and converted while it is in the second-level cache.
  private static let blockSize = 1 << 18
  /// What the fingerprint takes of each tensor, in bytes.
  private static let sampleSize = 512

  /// The types that are read, in the format's words.
  public static let elementTypes = ["F32", "F16", "BF16"]

  /// The names of all tensors, sorted.
  public var names: [String] { places.keys.sorted() }

  /// Opens all files of a folder and reads their headers. Without `model.safetensors` and its index, the one
  /// safetensors file that the folder has is taken.
  /// - Throws: `PipelineError` of kind `.noInput` where there are no such files or a shard is missing, `.badData` where
  ///   an index or a file is not whole or one contradicts another.
  public init(folder: URL) throws(PipelineError) {
    let weightMap = try Self.weightMap(of: folder)
    // Of each file, a tensor that is expected in it.
    let expected = Dictionary(weightMap.map { ($0.value, $0.key) }, uniquingKeysWith: min)
    let files = try expected.isEmpty ? [Self.onlyFile(in: folder)] : expected.keys.sorted()
    var shards: [Shard] = []
    var places: [String: Int] = [:]
    for name in files {
      let file: OpenFile
      do throws(PipelineError) { file = try OpenFile(folder.appending(path: name)) } catch {
        guard let tensor = expected[name] else { throw error }
        throw PipelineError(error.kind, "\(error.message), and \(Self.indexName) expects \(tensor) in it")
      }
      let header = try SafeTensorsHeader(of: file)
      for tensor in header.entries.keys.sorted() {
        if let other = places.updateValue(shards.count, forKey: tensor) {
          throw PipelineError(.badData, "\(folder.path): both \(shards[other].name) and \(name) hold \(tensor)")
        }
      }
      shards.append(Shard(name: name, file: file, header: header))
    }
    for (tensor, name) in weightMap.sorted(by: { $0.key < $1.key }) {
      guard let place = places[tensor], shards[place].name == name else {
        throw PipelineError(
          .badData,
          "\(folder.appending(path: name).path) does not hold \(tensor), which \(Self.indexName) expects in it")
      }
    }
    (self.shards, self.places) = (shards, places)
  }

  /// The file of each tensor that the index names; nothing where a file alone is to be taken.
  private static func weightMap(of folder: URL) throws(PipelineError) -> [String: String] {
    let (manager, url) = (FileManager.default, folder.appending(path: indexName))
    guard !manager.fileExists(atPath: folder.appending(path: fileName).path), manager.fileExists(atPath: url.path)
    else { return [:] }
    let json = try InputFile.contents(of: url, maximumByteCount: maximumIndexSize)
    func broken(_ what: String) -> PipelineError { PipelineError(.badData, "\(url.path) is not an index: \(what)") }
    guard let object = try? JSONSerialization.jsonObject(with: json) as? [String: Any] else {
      throw broken("it is not a JSON object")
    }
    if let fault = SafeTensorsHeader.fault(in: json) { throw broken(fault) }
    guard let weightMap = object["weight_map"] as? [String: String], !weightMap.isEmpty else {
      throw broken("it has no weight_map of tensors and file names")
    }
    for (tensor, name) in weightMap
    where ["", ".", ".."].contains(name) || !name.utf8.allSatisfy({ $0 != 0 && $0 != 0x2F }) {
      throw broken("\(tensor) is to be in \"\(name)\", which is no name of a file in the folder")
    }
    return weightMap
  }

  private static func onlyFile(in folder: URL) throws(PipelineError) -> String {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() } catch {
      throw PipelineError(.noInput, "cannot read the folder \(folder.path): \(error.localizedDescription)")
    }
    if names.contains(fileName) { return fileName }
    let files = names.filter { $0.hasSuffix(".safetensors") }
    guard files.count < 2 else {
      throw PipelineError(
        .noInput, "\(folder.path) holds \(files[0]), \(files[1]) and no \(indexName): download that, too")
    }
    guard let file = files.first else {
      throw PipelineError(.noInput, "\(folder.path) holds neither \(fileName) nor \(indexName)")
    }
    return file
  }

  /// The shape of a tensor; nil where there is none of that name.
  public func shape(of name: String) -> [Int]? { places[name].flatMap { shards[$0].header.entries[name] }?.shape }

  /// A tensor's type in the format's words, such as "BF16"; nil where there is none of that name.
  public func elementType(of name: String) -> String? {
    places[name].flatMap { shards[$0].header.entries[name] }?.dtype
  }

  // MARK: Reading

  /// Reads a tensor as float32: F32 as it is, F16 and BF16 widened. Several threads may read at once.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing or of another type, `.inputOutput` where reading fails.
  public func tensor(_ name: String) throws(PipelineError) -> Tensor {
    let (shard, entry) = try find(name)
    return try read(name, entry, of: shard, from: 0, shape: entry.shape)
  }

  /// Reads some rows of a tensor, which are slices of its first axis, as ``tensor(_:)`` does.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing, of another type or has no such rows,
  ///   `.inputOutput` where reading fails.
  /// - Returns: [range.count, …].
  public func rows(_ name: String, _ range: Range<Int>) throws(PipelineError) -> Tensor {
    let (shard, entry) = try find(name)
    guard let count = entry.shape.first, range.lowerBound >= 0, range.upperBound <= count else {
      throw PipelineError(
        .badData, "\(shard.file.path): \(name) has the shape \(entry.shape) and so no rows \(range)")
    }
    let rest = entry.shape.dropFirst()
    // The sizes of no rows at all may be absurd.
    let start = range.isEmpty ? 0 : range.lowerBound * rest.reduce(1, *)
    return try read(name, entry, of: shard, from: start, shape: [range.count] + rest)
  }

  private func find(_ name: String) throws(PipelineError) -> (Shard, SafeTensorsHeader.Entry) {
    guard let place = places[name], let entry = shards[place].header.entries[name] else {
      let files = shards.map(\.file.path).joined(separator: ", ")
      throw PipelineError(.badData, "there is no tensor \(name) in \(files)")
    }
    return (shards[place], entry)
  }

  /// - Parameters:
  ///   - start: the first element.
  ///   - shape: of the result.
  private func read(
    _ name: String, _ entry: SafeTensorsHeader.Entry, of shard: Shard, from start: Int, shape: [Int]
  ) throws(PipelineError) -> Tensor {
    guard Self.elementTypes.contains(entry.dtype) else {
      throw PipelineError(
        .badData, "\(shard.file.path): \(name) has the type \(entry.dtype); F32, F16 and BF16 are supported")
    }
    let size = entry.dtype == "F32" ? 4 : 2
    let place = shard.header.dataStart + entry.offsets[0] + start * size
    let result = Tensor(uninitialized: shape)
    if entry.dtype == "F32" {
      try shard.file.read(
        at: place, into: UnsafeMutableRawBufferPointer(start: result.pointer, count: result.count * 4))
      return result
    }
    let block = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: min(result.count, Self.blockSize / 2))
    defer { block.deallocate() }
    var done = 0
    while done < result.count {
      let part = UnsafeMutableBufferPointer(rebasing: block.prefix(result.count - done))
      try shard.file.read(at: place + done * 2, into: UnsafeMutableRawBufferPointer(part))
      if entry.dtype == "F16" {
        ck_widen_float16(part.baseAddress, result.floats + done, part.count)
      } else {
        ck_convert(CK_BFLOAT16, part.baseAddress, CK_FLOAT32, result.floats + done, part.count)
      }
      done += part.count
    }
    return result
  }

  // MARK: Telling them apart

  /// A hash of what can be read quickly: sizes and headers of all files, and some bytes from the middle of every tensor, so that
  /// a fine-tuned model differs from the one that it came from.
  /// - Throws: `PipelineError` of kind `.inputOutput` where reading fails.
  public func fingerprint() throws(PipelineError) -> String {
    var hash = FNV1a()
    for shard in shards {
      hash.combine("\(shard.file.byteCount) ".utf8)
      hash.combine(try shard.file.contents(at: 0, byteCount: shard.header.dataStart))
      for entry in shard.header.entries.values.sorted(by: { $0.offsets[0] < $1.offsets[0] }) {
        let size = entry.offsets[1] - entry.offsets[0]
        let count = min(size, Self.sampleSize)
        let place = shard.header.dataStart + entry.offsets[0] + (size - count) / 2
        hash.combine(try shard.file.contents(at: place, byteCount: count))
      }
    }
    return hash.hexadecimal
  }
}
