import ArrayFiles
import Basics
import Foundation
import TensorCore
import TestSupport
import Testing

@Suite struct SafeTensorsWriterTests {
  private let folder: TemporaryFolder
  private let url: URL

  init() throws {
    folder = try TemporaryFolder()
    url = folder.path("model.safetensors")
  }

  /// Names, types and shapes of which some take several blocks, some nothing, and some no multiple of anything.
  private static let tensors: [(name: String, dtype: String, shape: [Int])] = [
    ("first", "F32", [16, 4]), ("embedding", "BF16", [1000, 1024]), ("empty", "F32", [0, 7]),
    ("large", "U8", [3, 1 << 20]),
    ("odd", "U8", [3]), ("last", "F16", [500, 1023]),
  ]
  private static let sizes = [256, 2_048_000, 0, 3 << 20, 3, 1_023_000]
  private static let ends = sizes.indices.map { sizes[...$0].reduce(0, +) }
  /// What the tensors hold.
  private let data: Data = {
    var state: UInt32 = 1
    return Data(
      (0..<Self.ends[5]).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(state >> 24)
      })
  }()

  private func writer(_ metadata: [String: String] = ["source": "a"], to url: URL? = nil) throws -> SafeTensorsWriter {
    try SafeTensorsWriter(to: url ?? self.url, tensors: Self.tensors, metadata: metadata, syncInterval: 1 << 20)
  }

  private static func start(_ tensor: Int) -> Int { tensor == 0 ? 0 : ends[tensor - 1] }

  /// Appends the data from `start` to `end`.
  private func append(_ start: Int, _ end: Int, to writer: SafeTensorsWriter, chunk: Int = 700_001) throws {
    for place in stride(from: start, to: end, by: chunk) {
      try data[place..<min(end, place + chunk)].withUnsafeBytes { try writer.append($0) }
    }
  }

  /// Writes what is missing, and compares the file with what it must be.
  private func complete(_ writer: SafeTensorsWriter, at url: URL? = nil, _ comment: Comment = "") throws {
    let url = url ?? self.url
    if writer.firstMissing < Self.sizes.count {
      try append(Self.start(writer.firstMissing), data.count, to: writer)
    }
    try writer.finish()
    let bytes = try Data(contentsOf: url)
    #expect(bytes.suffix(data.count) == data, comment)
    let file = try SafeTensors(contentsOf: url)
    #expect(Set(file.names) == Set(Self.tensors.map(\.name)), comment)
    let names = try FileManager.default.contentsOfDirectory(atPath: url.deletingLastPathComponent().path)
    #expect(names == ["model.safetensors"], comment)
  }

  private var partial: URL { folder.path("model.safetensors.partial") }
  private var progress: URL { folder.path("model.safetensors.progress") }
  private var headerSize: Int {
    get throws {
      try Data(contentsOf: partial).prefix(2).enumerated().reduce(8) { $0 + Int($1.element) << (8 * $1.offset) }
    }
  }

  @Test(arguments: [1_000_003, 1 << 21, 65_536]) func cutInAnyWayTheFileIsTheSame(chunk: Int) throws {
    let writer = try writer()
    #expect(writer.firstMissing == 0)
    try append(0, data.count, to: writer, chunk: chunk)
    try writer.finish()
    let file = try SafeTensors(contentsOf: url)
    #expect(file.metadata == ["source": "a"])
    for (index, (name, dtype, shape)) in Self.tensors.enumerated() {
      #expect(file.shape(of: name) == shape && file.elementTypeName(of: name) == dtype)
      let bytes = try file.mapped(name)
      #expect(bytes.data == data[Self.start(index)..<Self.ends[index]])
    }
    // As long as sizes are multiples of 64, so are the places.
    for name in ["first", "embedding", "empty", "large", "odd"] {
      #expect(Int(bitPattern: try file.mapped(name).pointer) % 64 == 0)
    }
  }

  @Test func chunksOfOneByteAreTaken() throws {
    let writer = try SafeTensorsWriter(to: url, tensors: [("a", "U8", [3]), ("b", "F32", [1])])
    for byte in [1, 2, 3, 0, 0, 0, 0x40] as [UInt8] { try withUnsafeBytes(of: byte) { try writer.append($0) } }
    try writer.finish()
    #expect(try SafeTensors(contentsOf: url).tensor("b").scalars == [2])
    #expect(try SafeTensors(contentsOf: url).mapped("a").data == Data([1, 2, 3]))
  }

  @Test func aFileOfNoTensorsIsOne() throws {
    let writer = try SafeTensorsWriter(to: url, tensors: [])
    #expect(writer.firstMissing == 0)
    try writer.finish()
    #expect(try SafeTensors(contentsOf: url).names.isEmpty)
  }

  /// An error or an interrupt ends a run; the next one goes on.
  @Test func whatEndsInOrderLosesNothing() throws {
    for tensor in 0...Self.sizes.count {
      for extra in [0, 1, 100] where tensor < Self.sizes.count && Self.sizes[tensor] > extra || extra == 0 {
        try ended {
          let writer = try writer()
          try append(0, Self.start(tensor) + extra, to: writer)
        }
        #expect(!FileManager.default.fileExists(atPath: url.path))
        let next = try writer()
        // A tensor of no bytes is there as soon as the one before it is.
        #expect(next.firstMissing == (tensor == 2 ? 3 : tensor), "\(tensor) and \(extra) bytes")
        try complete(next, "\(tensor) and \(extra) bytes")
        try FileManager.default.removeItem(at: url)
      }
    }
  }

  /// What a kill leaves behind: the folder as it is while a writer is at work.
  @Test func aKillLosesWhatCameAfterTheLastRecord() throws {
    let writer = try writer()
    var first: [Int] = []
    for place in stride(from: 0, to: data.count, by: 300_000) {
      try append(place, min(place + 300_000, data.count), to: writer)
      let copy = try TemporaryFolder()
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.url.path) {
        try copy.write(folder.read(name), to: name)
      }
      let next = try self.writer(to: copy.path("model.safetensors"))
      first.append(next.firstMissing)
      try complete(next, at: copy.path("model.safetensors"), "killed at \(place)")
    }
    #expect(first == first.sorted() && first.first == 0 && first.last == 3)
    try writer.finish()
  }

  @Test func aPartialFileIsContinuedWhereverItEnds() throws {
    try ended {
      let writer = try writer()
      try append(0, data.count, to: writer)
    }
    let (whole, record, header) = (try Data(contentsOf: partial), try Data(contentsOf: progress), try headerSize)
    #expect(header % 64 == 0 && whole.count == header + data.count)
    var lengths = [0, 1, header - 1, header, header + 1]
    for end in Self.ends { lengths += [header + end - 1, header + end, header + end + 1] }
    for length in Set(lengths).sorted() where length <= whole.count {
      try whole.prefix(length).write(to: partial)
      try record.write(to: progress)
      let next = try writer()
      let expected = length < header ? 0 : Self.ends.firstIndex { $0 > length - header } ?? Self.ends.count
      #expect(next.firstMissing == expected, "\(length) bytes")
      try complete(next, "\(length) bytes")
      try FileManager.default.removeItem(at: url)
    }
    // More than there should be.
    try (whole + Data(count: 1000)).write(to: partial)
    try record.write(to: progress)
    let next = try writer()
    #expect(next.firstMissing == Self.ends.count)
    try complete(next)
  }

  /// After a loss of power there may be anything behind what was synced.
  @Test(arguments: [
    "none", "", "nonsense", "0123456789abcdef 6000000", "HASH", "HASH -1", "HASH 1e6", "HASH 300",
    "HASH 99999999999999999999",
  ])
  func onlyWhatIsRecordedIsBelieved(record: String) throws {
    try ended {
      let writer = try writer()
      try append(0, data.count, to: writer)
    }
    let hash = try String(decoding: Data(contentsOf: progress), as: UTF8.self).prefix(16)
    let header = try headerSize
    let bytes = try Data(contentsOf: partial)
    try (bytes.prefix(header + 256) + Data(count: bytes.count - header - 256)).write(to: partial)
    try FileManager.default.removeItem(at: progress)
    if record != "none" { try Data(record.replacing("HASH", with: hash).utf8).write(to: progress) }
    let next = try writer()
    #expect(next.firstMissing == (record == "HASH 300" ? 1 : 0))
    try complete(next)
  }

  @Test func anotherSourceStartsAnew() throws {
    func begin(_ source: String) throws -> Int {
      let writer = try writer(["source": source])
      defer { withExtendedLifetime(writer) {} }
      if source == "a" { try append(Self.start(writer.firstMissing), Self.ends[1], to: writer) }
      return writer.firstMissing
    }
    #expect(try begin("a") == 0)
    #expect(try begin("b") == 0)
    // The record of the first was not left for the third.
    let record = try? Data(contentsOf: progress)
    #expect(record == nil)
    let next = try writer()
    #expect(next.firstMissing == 0)
    try complete(next)
    #expect(try SafeTensors(contentsOf: url).metadata == ["source": "a"])
  }

  @Test func whatIsThereStaysUntilTheEnd() throws {
    try folder.write("old", to: "model.safetensors")
    let writer = try writer()
    try append(0, data.count, to: writer)
    #expect(try folder.read("model.safetensors") == Data("old".utf8))
    try writer.finish()
    #expect(try SafeTensors(contentsOf: url).names.count == 6)
  }

  @Test func aSecondWriterIsRefused() throws {
    try ended {
      let first = try writer()
      try append(0, Self.ends[3], to: first)
      let error = #expect(throws: PipelineError.self) { try writer() }
      #expect(error?.kind == .cannotCreate && error?.message.contains("another run is writing it") == true)
      // It has changed nothing.
      try append(Self.ends[3], data.count, to: first)
    }
    let next = try writer()
    #expect(next.firstMissing == 6)
    try complete(next)
  }

  @Test func whatCannotFitIsRefusedBeforeItIsBegun() throws {
    for (tensors, words) in [
      ([("a", "F32", [1 << 40, 1 << 10])], "there is room for"), ([("a", "F32", [1 << 40, 1 << 40])], "not possible"),
      ((0..<16).map { ("t\($0)", "U8", [1 << 59]) }, "from t15 on"),
      ([("a", "F32", [1]), ("a", "F32", [1])], "called a"),
      ([("__metadata__", "F32", [1])], "__metadata__"), ([("a", "F33", [1])], "F33"),
      ([("a", "F32", [-1])], "not possible"),
    ] as [([(name: String, dtype: String, shape: [Int])], String)] {
      let error = #expect(throws: PipelineError.self) { try SafeTensorsWriter(to: url, tensors: tensors) }
      #expect(error?.kind == .cannotCreate && error?.message.contains(words) == true, "\(error?.message ?? "")")
      #expect(error?.message.contains(url.path) == true)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)
  }

  @Test func whereNoFileCanBeIsSaid() throws {
    let error = #expect(throws: PipelineError.self) { try writer(to: folder.path("none/model.safetensors")) }
    #expect(error?.kind == .cannotCreate)
    try FileManager.default.createDirectory(at: partial, withIntermediateDirectories: false)
    #expect(#expect(throws: PipelineError.self) { try writer() }?.kind == .cannotCreate)
    try FileManager.default.removeItem(at: partial)
    // A folder in the file's place is noticed at the end; nothing is lost by it.
    try folder.write("x", to: "model.safetensors/x")
    try ended {
      let writer = try writer()
      try append(0, data.count, to: writer)
      #expect(#expect(throws: PipelineError.self) { try writer.finish() }?.kind == .cannotCreate)
    }
    try FileManager.default.removeItem(at: url)
    let next = try writer()
    #expect(next.firstMissing == 6)
    try complete(next)
  }

  /// A run: its writers are gone when this returns.
  private func ended(_ body: () throws -> Void) rethrows { try body() }
}
