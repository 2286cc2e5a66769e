import Foundation
import FuzzedReaders
import TestSupport
import Testing

/// Files that promise far more than they hold: they are refused before there is memory for it.
struct PromiseTests {
  /// What the program may take, the code of its libraries included.
  private static let kibibytes = 600_000

  private static let program: URL = {
    var folder = (Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])).resolvingSymlinksInPath()
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      let candidate = folder.appending(path: "fuzz-reader")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    fatalError("fuzz-reader is not beside the tests")
  }()

  private static func safetensors(_ header: String, length: UInt64? = nil) -> Data {
    withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { Data($0) } + Data(header.utf8)
  }

  private static func npy(_ shape: String) -> Data {
    let text = "{'descr': '<f8', 'fortran_order': False, 'shape': \(shape), }\n"
    return Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(text.utf8.count), 0]) + Data(text.utf8)
  }

  /// A seed in which bytes were replaced.
  private static func seed(_ reader: FuzzedReader, _ name: String, _ bytes: [UInt8], at place: Int) throws -> Data {
    var data = try Data(contentsOf: reader.corpus.appending(path: "seed-\(name)"))
    data.replaceSubrange(place..<place + bytes.count, with: bytes)
    return data
  }

  private static func promises() throws -> [(FuzzedReader, Data)] {
    let huge = [UInt8](repeating: 0x7F, count: 1) + [UInt8](repeating: 0xFF, count: 7)
    let jpeg = try Data(contentsOf: FuzzedReader.jpeg.corpus.appending(path: "seed-progressive"))
    // The frame's header: marker, length, precision, then height and width.
    let frame = try #require(jpeg.firstRange(of: Data([0xFF, 0xC2]))).lowerBound
    return [
      (.safetensors, safetensors("{}", length: 1 << 63)),
      (.safetensors, safetensors("{}", length: 99_999_999)),
      (
        .safetensors,
        safetensors(#"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#)
      ),
      (.npy, npy("(9223372036854775807, 1)")), (.npy, npy("(1073741824, 1)")), (.npy, npy("(2147483648, 4294967296)")),
      // Width and height of a PNG; sides that are allowed, but not in so few bytes.
      (.png, try seed(.png, "rgb", [0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF], at: 16)),
      (.png, try seed(.png, "rgb", [0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10], at: 16)),
      (.jpeg, try seed(.jpeg, "progressive", [0xFF, 0xFF, 0xFF, 0xFF], at: frame + 5)),
      (.jpeg, try seed(.jpeg, "progressive", [0x40, 0, 0x40, 0], at: frame + 5)),
      // The size of a member, in octal and in 256s.
      (.tar, try seed(.tar, "text", Array("77777777777".utf8), at: 124)),
      (.tar, try seed(.tar, "text", [0x80, 0, 0, 0] + huge, at: 124)),
      // The size of a picture in a shard that is smaller, in the first row of an index: the fourth byte of it.
      (.index, try seed(.index, "three", [0x3A], at: 467)),
      // Sizes of a member of an archive: of the first, before and after it is unpacked.
      (.npz, try seed(.npz, "stored", [UInt8](repeating: 0xFE, count: 8), at: 18)),
      (.npz, try seed(.npz, "deflated", [UInt8](repeating: 0xFE, count: 4), at: 22)),
    ]
  }

  @Test func promisesAreNotBelieved() throws {
    try withTemporaryFolder { folder in
      for (number, (reader, data)) in try Self.promises().enumerated() {
        let file = folder.appending(path: "promise-\(number)")
        try data.write(to: file)
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = [
          "-c", "ulimit -v \(Self.kibibytes); exec \"$0\" \"$@\"", Self.program.path, reader.rawValue, file.path,
        ]
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0 && text.hasSuffix("refused\n"), "\(number), \(reader): \(text)")
      }
    }
  }
}
