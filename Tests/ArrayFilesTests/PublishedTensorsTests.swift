import ArrayFiles
import Basics
import Foundation
import TensorCore
import TestSupport
import Testing

@Suite struct PublishedTensorsTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private struct Stored {
    var name: String
    var dtype: String
    var shape: [Int]
    var bytes: Data
  }

  /// A small tensor whose numbers are all `value`.
  private static func stored(_ name: String, _ value: Float = 1, shape: [Int] = [2, 3]) -> Stored {
    let scalars = [Float](repeating: value, count: shape.reduce(1, *))
    return Stored(name: name, dtype: "F32", shape: shape, bytes: scalars.withUnsafeBytes { Data($0) })
  }

  private static func file(_ tensors: [Stored]) throws -> Data {
    var header: [String: Any] = [:]
    var data = Data()
    for tensor in tensors {
      header[tensor.name] = [
        "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [data.count, data.count + tensor.bytes.count],
      ]
      data += tensor.bytes
    }
    let json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys])
    return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json + data
  }

  private func write(_ tensors: [Stored], to name: String = "model.safetensors") throws {
    try folder.write(Self.file(tensors), to: name)
  }

  private func writeIndex(_ weightMap: [String: String]) throws {
    let json = try JSONSerialization.data(withJSONObject: ["metadata": ["total_size": 1], "weight_map": weightMap])
    try folder.write(json, to: "model.safetensors.index.json")
  }

  private func open() throws -> PublishedTensors { try PublishedTensors(folder: folder.url) }

  @Test func rowsAreThoseOfTheWholeTensor() throws {
    // Rows of odd length at odd places, and more than is read at a time.
    var generator = SystemRandomNumberGenerator()
    let shape = [301, 9, 101]
    func random(_ dtype: String, _ bytes: Int) -> Stored {
      let words = (0..<301 * 909 * bytes / 2).map { _ in UInt16.random(in: 0...(.max), using: &generator) }
      return Stored(name: dtype, dtype: dtype, shape: shape, bytes: words.withUnsafeBytes { Data($0) })
    }
    let odd = Stored(name: "odd", dtype: "U8", shape: [3], bytes: Data([1, 2, 3]))
    try write([odd, random("F16", 2), random("BF16", 2), random("F32", 4)])
    let published = try open()
    let reference = try SafeTensors(contentsOf: folder.path("model.safetensors"))
    #expect(published.names == ["BF16", "F16", "F32", "odd"])
    for name in ["F16", "BF16", "F32"] {
      #expect(published.shape(of: name) == shape && published.elementType(of: name) == name)
      let expected = try reference.tensor(name).scalars.map(\.bitPattern)
      let whole = try published.tensor(name)
      #expect(whole.type == .float32 && whole.shape == shape && whole.scalars.map(\.bitPattern) == expected)
      for range in [0..<301, 0..<1, 7..<8, 100..<300, 300..<301, 5..<5] {
        let rows = try published.rows(name, range)
        #expect(rows.shape == [range.count, 9, 101])
        #expect(rows.scalars.map(\.bitPattern) == Array(expected[range.lowerBound * 909..<range.upperBound * 909]))
      }
    }
  }

  @Test func whatIsNotThereIsRefusedInOneLine() throws {
    try write([
      Self.stored("weight"), Self.stored("scalar", shape: []),
      Stored(name: "numbers", dtype: "I64", shape: [1], bytes: Data(count: 8)),
      // No element, and sides whose product no number holds.
      Stored(name: "absurd", dtype: "F32", shape: [0, 1 << 60, 1 << 60], bytes: Data()),
    ])
    let published = try open()
    #expect(try published.rows("absurd", 0..<0).count == 0 && published.tensor("scalar").item == 1)
    #expect(published.shape(of: "none") == nil && published.elementType(of: "numbers") == "I64")
    for (name, range) in [
      ("weight", 0..<3), ("weight", -1..<1), ("scalar", 0..<1), ("numbers", 0..<1), ("none", 0..<1), ("absurd", 0..<1),
    ] {
      let error = #expect(throws: PipelineError.self) { try published.rows(name, range) }
      #expect(error?.kind == .badData && error?.message.contains(name) == true)
      #expect(error?.message.contains("model.safetensors") == true)
    }
  }

  @Test func anIndexJoinsShards() throws {
    try write([Self.stored("a", 1), Self.stored("unnamed", 3)], to: "model-1.safetensors")
    try write([Self.stored("b", 2)], to: "model-2.safetensors")
    // Left over from another download; the index does not name it.
    try folder.write("not whole", to: "model-3.safetensors")
    try writeIndex(["a": "model-1.safetensors", "b": "model-2.safetensors"])
    let published = try open()
    #expect(published.names == ["a", "b", "unnamed"])
    for (name, value) in [("a", Float(1)), ("b", 2), ("unnamed", 3)] {
      #expect(try published.tensor(name).scalars == [Float](repeating: value, count: 6))
    }
    // A file of all tensors comes before an index.
    try write([Self.stored("c")])
    #expect(try open().names == ["c"])
  }

  @Test func aSingleFileMayHaveAnyName() throws {
    try write([Self.stored("a")], to: "tuned.safetensors")
    try folder.write("{}", to: "config.json")
    #expect(try open().names == ["a"])
    try write([Self.stored("b")], to: "other.safetensors")
    let error = #expect(throws: PipelineError.self) { try open() }
    #expect(error?.kind == .noInput && error?.message.contains("tuned.safetensors, other") == false)
    #expect(error?.message.contains("other.safetensors, tuned.safetensors") == true)
  }

  @Test func aFolderWithoutTensorsIsRefused() throws {
    try folder.write("{}", to: "config.json")
    #expect(#expect(throws: PipelineError.self) { try open() }?.kind == .noInput)
    let none = #expect(throws: PipelineError.self) { try PublishedTensors(folder: folder.path("none")) }
    #expect(none?.kind == .noInput && none?.message.contains(folder.path("none").path) == true)
  }

  /// Each names a file that is no plain name, or one that there is not; `outside.safetensors` is there, in the folder above.
  @Test(arguments: [
    "../outside.safetensors", "/etc/passwd", "below/model.safetensors", "", ".", "..", "./a.safetensors",
    "a.safetensors/", "a.safetensors\0.safetensors",
  ])
  func aNameOutsideTheFolderIsRefused(_ name: String) throws {
    let inner = folder.path("inner")
    try write([Self.stored("x")], to: "outside.safetensors")
    try write([Self.stored("x")], to: "inner/a.safetensors")
    try write([Self.stored("x")], to: "inner/below/model.safetensors")
    let json = try JSONSerialization.data(withJSONObject: ["weight_map": ["x": name]])
    try folder.write(json, to: "inner/model.safetensors.index.json")
    let error = #expect(throws: PipelineError.self) { try PublishedTensors(folder: inner) }
    #expect(error?.kind == .badData && error?.message.contains("x is to be in") == true)
  }

  @Test(arguments: [
    "", "nothing", "[]", #"{"weight_map": {"x": "a.safetensors""#, "{}", #"{"weight_map": {}}"#,
    #"{"weight_map": ["a.safetensors"]}"#, #"{"weight_map": {"x": 1}}"#, #"{"weight_map": {"x": {"y": "z"}}}"#,
    #"{"weight_map": {"x": "a.safetensors", "x": "b.safetensors"}}"#,
    #"{"weight_map": {"x": "a.safetensors"}, "weight_map": {"y": "b.safetensors"}}"#,
  ])
  func whatIsNoIndexIsRefused(_ text: String) throws {
    try write([Self.stored("x")], to: "a.safetensors")
    try folder.write(text, to: "model.safetensors.index.json")
    let error = #expect(throws: PipelineError.self) { try open() }
    #expect(error?.kind == .badData && error?.message.contains("model.safetensors.index.json is not an index") == true)
  }

  @Test func aHugeIndexIsNotRead() throws {
    try folder.write("{}", to: "model.safetensors.index.json")
    try #require(truncate(folder.path("model.safetensors.index.json").path, 1 << 40) == 0)
    let error = #expect(throws: PipelineError.self) { try open() }
    #expect(error?.kind == .badData && error?.message.contains("at most") == true)
  }

  @Test func shardsThatDoNotFitTheIndexAreRefused() throws {
    func message(_ kind: PipelineError.Kind) -> String {
      let error = #expect(throws: PipelineError.self) { try open() }
      #expect(error?.kind == kind)
      return error?.message ?? ""
    }
    try writeIndex(["x": "a.safetensors", "y": "b.safetensors"])
    try write([Self.stored("x")], to: "a.safetensors")
    let missing = message(.noInput)
    #expect(missing.contains("b.safetensors") && missing.contains("expects y in it"))

    try folder.write(Self.file([Self.stored("y")]).dropLast(), to: "b.safetensors")
    let truncated = message(.badData)
    #expect(truncated.contains("b.safetensors") && truncated.contains("the data of y lie outside"))

    try folder.write("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n", to: "b.safetensors")
    #expect(message(.badData).contains("Git LFS"))

    try write([Self.stored("z")], to: "b.safetensors")
    let lacking = message(.badData)
    #expect(lacking.contains("b.safetensors does not hold y"))

    try write([Self.stored("x"), Self.stored("y")], to: "b.safetensors")
    let twice = message(.badData)
    #expect(twice.contains("both a.safetensors and b.safetensors hold x"))

    // In another shard than the index says.
    try write([Self.stored("y")], to: "a.safetensors")
    try write([Self.stored("x")], to: "b.safetensors")
    #expect(message(.badData).contains("a.safetensors does not hold x"))

    try FileManager.default.removeItem(at: folder.path("b.safetensors"))
    try #require(mkfifo(folder.path("b.safetensors").path, 0o600) == 0)
    #expect(message(.noInput).contains("a device or pipe"))
  }

  @Test func theFingerprintIsThatOfTheSource() throws {
    func fingerprint(_ tensors: [Stored]) throws -> String {
      try write(tensors)
      return try open().fingerprint()
    }
    let whole = [Self.stored("a", shape: [40, 50]), Self.stored("b"), Self.stored("none", shape: [0])]
    let first = try fingerprint(whole)
    #expect(try fingerprint(whole) == first && first.count == 16)
    var tuned = whole
    tuned[0].bytes = Self.stored("a", 1.001, shape: [40, 50]).bytes
    var renamed = whole
    renamed[1].name = "c"
    #expect(Set(try [fingerprint(tuned), fingerprint(renamed), fingerprint(whole.dropLast()), first]).count == 4)
  }

  /// An import reads from several threads.
  @Test func threadsReadAtOnce() async throws {
    try write((0..<8).map { Self.stored("\($0)", Float($0), shape: [200, 300]) })
    let published = try open()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for name in published.names {
        group.addTask { try published.rows(name, 50..<150).scalars.allSatisfy { $0 == Float(name) } }
      }
      for try await isRight in group { #expect(isRight) }
    }
  }
}
