import ArrayFiles
import Basics
import Foundation
import NN
import TensorCore
import TestSupport
import Testing

struct SafeTensorsTests {
  private struct Pair: Module {
    let weight: Parameter
    let state: Buffer
  }

  @Test func roundTrip() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let wide = Tensor.normal([3, 5], seed: 1, stream: 1)
      let narrow = wide.cast(to: .bfloat16)
      let empty = Tensor.zeros([0, 4])
      let scalar = Tensor(2.5)
      try SafeTensors.write(
        [("wide", wide), ("narrow", narrow), ("empty", empty), ("scalar \"ü\"/", scalar)],
        metadata: ["key": "value \n é"], to: url)
      let file = try SafeTensors(contentsOf: url)
      #expect(file.names == ["empty", "narrow", "scalar \"ü\"/", "wide"])
      #expect(file.metadata == ["key": "value \n é"])
      for (name, tensor) in [("wide", wide), ("narrow", narrow), ("empty", empty), ("scalar \"ü\"/", scalar)] {
        let read = try file.tensor(name)
        #expect(read.shape == tensor.shape && read.type == tensor.type && read.scalars == tensor.scalars)
      }
      try SafeTensors.write([("wide", wide)], as: .bfloat16, to: url)
      #expect(try SafeTensors(contentsOf: url).tensor("wide").scalars == narrow.scalars)
      // Into memory that is there, from either type.
      let target = Tensor.zeros([3, 5])
      try SafeTensors(contentsOf: url).read("wide", into: target)
      #expect(target.scalars == narrow.scalars)
    }
  }

  @Test func tablesOfWholeNumbers() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let wide = IntegerTable([[0, 1, 255], [256, 32_768, 65_535]], columns: 3, width: .twoBytes)
      let narrow = IntegerTable([[7], [255], [0]], columns: 1, width: .oneByte)
      try SafeTensors.write(
        [("weight", Tensor([1, 2], shape: [2]))], tables: [("narrow", narrow), ("wide", wide)], metadata: ["a": "b"],
        to: url)
      let file = try SafeTensors(contentsOf: url)
      #expect(try file.table("wide")[0] == [0, 1, 255] && file.table("wide")[1] == [256, 32_768, 65_535])
      #expect(try file.table("narrow").rowCount == 3 && file.table("narrow")[1] == [255])
      #expect(try file.tensor("weight").scalars == [1, 2] && file.metadata == ["a": "b"])
      #expect(throws: PipelineError.self) { try file.table("weight") }
      #expect(throws: PipelineError.self) { try file.table("other") }
      #expect(throws: PipelineError.self) { try file.tensor("wide") }
    }
  }

  /// Byte for byte what the format says: length, header, data in the order given.
  @Test func layout() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let tensors = [("b", Tensor([1, -2], shape: [2, 1])), ("a", Tensor([0.5], shape: [1]).cast(to: .bfloat16))]
      try SafeTensors.write(tensors.map { (name: $0.0, tensor: $0.1) }, metadata: ["x": "y"], to: url)
      let bytes = [UInt8](try Data(contentsOf: url))
      var header =
        #"{"__metadata__":{"x":"y"},"a":{"data_offsets":[8,10],"dtype":"BF16","shape":[1]},"#
        + #""b":{"data_offsets":[0,8],"dtype":"F32","shape":[2,1]}}"#
      while header.utf8.count % 8 != 0 { header += " " }
      let count = UInt8(header.utf8.count)
      #expect(bytes.prefix(8) == [count, 0, 0, 0, 0, 0, 0, 0])
      #expect(String(decoding: bytes[8..<8 + Int(count)], as: UTF8.self) == header)
      #expect(bytes[(8 + Int(count))...] == [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 0, 0x3F])
    }
  }

  /// Each file is wrong in one way.
  @Test(arguments: [
    ("an empty file", nil, 0), ("a file of four bytes", nil, 4),
    ("not JSON", #"{"a":{"dtype":"F32","#, 8),
    ("not an object", "[1, 2]", 0),
    ("an entry that is no object", #"{"a":7}"#, 0),
    ("no dtype", #"{"a":{"shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("one offset", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, 8),
    ("a fractional shape", #"{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}"#, 8),
    ("a negative shape", #"{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}"#, 8),
    ("an overflowing shape", #"{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,8]}}"#, 8),
    ("an overflowing size", #"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, 0),
    ("a shape beyond whole numbers", #"{"a":{"dtype":"F32","shape":[1e30],"data_offsets":[0,8]}}"#, 8),
    ("a shape of another size", #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
    ("bfloat16 of float32's size", #"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("a negative offset", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-4,4]}}"#, 8),
    ("offsets in reverse", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
    ("data beyond the end", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7),
    ("data that no tensor claims", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9),
    (
      "overlapping data",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
      12
    ),
    ("metadata that are no text", #"{"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("metadata in a list", #"{"__metadata__":["x"],"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("a whole number with a fraction", #"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, 8),
    ("a whole number with an exponent", #"{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}"#, 8),
    ("a place with a fraction", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8.0]}}"#, 8),
    ("no number in a shape", #"{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}"#, 1),
    ("an unknown type", #"{"a":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("whole numbers of another size", #"{"a":{"dtype":"I64","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("half a byte", #"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#, 2),
    (
      "a name twice",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8
    ),
    (
      "a name twice, once escaped",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
      8
    ),
    ("a type twice", #"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("a byte order mark", "\u{FEFF}" + #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    (
      "a gap between data",
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
      12
    ),
  ])
  func refusesWhatIsNotWhole(what: String, header: String?, dataSize: Int) throws {
    try withTemporaryFolder { folder in
      var data = Data()
      if let header {
        data += withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8)
      }
      data += Data(repeating: 0, count: dataSize)
      expectBadData(data, in: folder, "\(what)")
    }
  }

  /// What the reference library takes, however odd.
  @Test(arguments: [
    ("spaces around", #"  {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  "#, 8),
    ("no metadata", #"{"__metadata__":null,"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ("another field", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1.5}}"#, 8),
    ("a scalar", #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, 4),
    ("two halves of a byte", #"{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}"#, 1),
    ("brackets and quotes in a name", #"{"a\"],{\\":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1),
    ("nothing", "{}", 0),
  ])
  func takesWhatIsWhole(what: String, header: String, dataSize: Int) throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let size = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
      try (size + Data(header.utf8) + Data(repeating: 0, count: dataSize)).write(to: url)
      #expect(try SafeTensors(contentsOf: url).names.count == (dataSize > 0 ? 1 : 0), "\(what)")
    }
  }

  /// All 65,536 numbers of 16 bits, and those of 64, as float32.
  @Test func floatingPointOfOtherSizesIsConverted() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let halves = (0...UInt16.max).map { $0 }
      let doubles = [1.0 / 3, -0.0, 1e300, .infinity]
      let header =
        #"{"h":{"dtype":"F16","shape":[256,256],"data_offsets":[0,131072]},"#
        + #""d":{"dtype":"F64","shape":[4],"data_offsets":[131072,131104]}}"#
      var data = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8)
      halves.withUnsafeBytes { data.append(contentsOf: $0) }
      doubles.withUnsafeBytes { data.append(contentsOf: $0) }
      try data.write(to: url)
      let file = try SafeTensors(contentsOf: url)
      let read = try file.tensor("h")
      #expect(read.type == .float32 && read.shape == [256, 256])
      #if !(os(macOS) && arch(x86_64))
        for (half, float) in zip(halves, read.scalars) {
          let expected = Float(Float16(bitPattern: half))
          #expect(expected.isNaN ? float.isNaN : float.bitPattern == expected.bitPattern, "\(half)")
        }
      #endif
      #expect(try file.tensor("d").scalars.map(\.bitPattern) == doubles.map { Float($0).bitPattern })
    }
  }

  @Test func refusesHeadersThatClaimTooMuch() throws {
    try withTemporaryFolder { folder in
      let rest = Data(#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#.utf8)
      for claimed in [UInt64(rest.count) + 1, 100_000_001, 1 << 40, 1 << 63, .max] {
        expectBadData(withUnsafeBytes(of: claimed.littleEndian) { Data($0) } + rest, in: folder, "\(claimed)")
      }
      // The end of the header cut off.
      expectBadData(
        withUnsafeBytes(of: UInt64(rest.count).littleEndian) { Data($0) } + rest.dropLast(3), in: folder, "cut off")
    }
  }

  private func expectBadData(_ data: Data, in folder: URL, _ comment: Comment) {
    let url = folder.appending(path: "broken.safetensors")
    let error = #expect(throws: PipelineError.self, comment) {
      try data.write(to: url)
      _ = try SafeTensors(contentsOf: url)
    }
    #expect(error?.kind == .badData, comment)
    #expect(error?.message.contains(url.path) == true, comment)
  }

  @Test func refusesATruncatedFile() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      try SafeTensors.write([("a", .normal([10], seed: 1, stream: 1))], to: url)
      let whole = try Data(contentsOf: url)
      for length in Swift.stride(from: 0, to: whole.count, by: 7) {
        expectBadData(whole.prefix(length), in: folder, "\(length) bytes")
      }
    }
  }

  @Test func namesWhatDoesNotFitTheModel() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let model = Pair(weight: Parameter(.zeros([2, 3])), state: Buffer(.zeros([4])))
      let weight = Tensor.normal([2, 3], seed: 1, stream: 1)
      let state = Tensor.normal([4], seed: 1, stream: 2)
      func message(_ tensors: [(name: String, tensor: Tensor)]) throws -> String {
        try SafeTensors.write(tensors, to: url)
        let file = try SafeTensors(contentsOf: url)
        let error = #expect(throws: PipelineError.self) { try file.read(into: model) }
        #expect(error?.kind == .badData)
        return error?.message ?? ""
      }
      #expect(try message([("weight", weight)]).contains("state"))
      #expect(try message([("weight", weight), ("state", state), ("more", state)]).contains("more"))
      #expect(try message([("weight", .zeros([3, 2])), ("state", state)]).contains("[3, 2]"))
      try SafeTensors.write([("state", state), ("weight", weight)], to: url)
      try SafeTensors(contentsOf: url).read(into: model)
      #expect(model.weight.value.scalars == weight.scalars && model.state.value.scalars == state.scalars)
    }
  }

  @Test func otherTypesAreRefusedWhenRead() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let header = #"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#
      try
        (withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + Data(count: 8))
        .write(to: url)
      let file = try SafeTensors(contentsOf: url)
      let error = #expect(throws: PipelineError.self) { try file.tensor("a") }
      #expect(error?.kind == .badData && error?.message.contains("I64") == true)
      #expect(#expect(throws: PipelineError.self) { try file.tensor("b") }?.kind == .badData)
    }
  }

  @Test func mappedBytesOutliveTheFile() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let scalars = (0..<100_000).map(Float.init)
      try SafeTensors.write([("a", Tensor(scalars, shape: [100, 1000])), ("empty", .zeros([0, 4]))], to: url)
      func mapped(_ name: String) throws -> MappedBytes {
        let file = try SafeTensors(contentsOf: url)
        #expect(file.elementTypeName(of: name) == "F32")
        #expect(try file.mapped(name).pointer == file.mapped(name).pointer)
        return try file.mapped(name)
      }
      let (bytes, empty) = (try mapped("a"), try mapped("empty"))
      let data = bytes[4000..<8000].data
      try FileManager.default.removeItem(at: url)
      #expect(bytes.byteCount == 400_000 && empty.byteCount == 0)
      #expect(bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) } == scalars)
      #expect(data == scalars[1000..<2000].map { $0 }.withUnsafeBytes { Data($0) })
    }
  }

  @Test func whatIsMissingCannotBeMapped() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      try SafeTensors.write([("a", .zeros([4]))], to: url)
      let file = try SafeTensors(contentsOf: url)
      #expect(file.elementTypeName(of: "b") == nil)
      let error = #expect(throws: PipelineError.self) { try file.only(prefix: "x.").mapped("a") }
      #expect(error?.kind == .badData && error?.message.contains("x.a") == true)
    }
  }

  @Test func aPartOfAFileIsReadIntoAModule() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file.safetensors")
      let weight = Tensor.normal([2, 3], seed: 1, stream: 1)
      try SafeTensors.write(
        [("part.weight", weight), ("part.state", .zeros([4])), ("other", .zeros([1])), ("partial", .zeros([1]))],
        to: url)
      let part = try SafeTensors(contentsOf: url).only(prefix: "part.")
      #expect(part.names == ["state", "weight"] && part.shape(of: "weight") == [2, 3])
      let model = Pair(weight: Parameter(.zeros([2, 3])), state: Buffer(.zeros([4])))
      try part.read(into: model)
      #expect(model.weight.value.scalars == weight.scalars)
      // A fault is told by the name in the file.
      let other = Pair(weight: Parameter(.zeros([3, 2])), state: Buffer(.zeros([4])))
      let error = #expect(throws: PipelineError.self) { try part.read(into: other) }
      #expect(error?.message.contains("part.weight") == true)
    }
  }

  @Test func aMissingFileIsNoInput() {
    let error = #expect(throws: PipelineError.self) {
      try SafeTensors(contentsOf: URL(filePath: "/nonexistent/file.safetensors"))
    }
    #expect(error?.kind == .noInput)
  }

  @Test func whatCannotBeWrittenIsSaid() throws {
    try withTemporaryFolder { folder in
      let file = folder.appending(path: "file")
      try Data().write(to: file)
      let error = #expect(throws: PipelineError.self) {
        try SafeTensors.write([("a", .zeros([4]))], to: file.appending(path: "below"))
      }
      #expect(error?.kind == .cannotCreate)
    }
  }
}
