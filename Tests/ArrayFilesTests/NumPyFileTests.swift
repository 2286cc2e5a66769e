import ArrayFiles
import Basics
import CArchive
import Foundation
import LinearAlgebra
import TestSupport
import Testing

/// The files are those of `Tests/Fixtures/make_numpy_fixtures.py`.
@Suite struct NumPyFileTests {
  static let folder = Fixtures.url("numpy")

  /// What all matrices hold before their type changes it.
  static let whole = (0..<15).map { Double($0 - 7) }

  static func read(_ name: String, array: String? = nil) throws(PipelineError) -> Matrix {
    try NumPyFile.matrix(contentsOf: folder.appendingPathComponent(name), array: array)
  }

  @Test(arguments: [
    "little-f8.npy", "big-f8.npy", "little-f4.npy", "big-f4.npy", "little-f2.npy", "big-f2.npy", "fortran.npy",
    "version-2.npy", "version-3.npy", "one-stored.npz", "one-deflated.npz", "not-ascii.npz",
  ])
  func floatingPointIsReadInEitherByteOrder(name: String) throws {
    #expect(try Self.read(name) == Matrix(Self.whole.map { $0 / 4 }, rows: 5, columns: 3))
  }

  @Test(arguments: ["int8", "int16", "int32", "int64", "big-int16"])
  func integersKeepTheirSign(name: String) throws {
    #expect(try Self.read("\(name).npy") == Matrix(Self.whole, rows: 5, columns: 3))
  }

  @Test(arguments: ["uint8", "uint16", "uint32", "uint64"])
  func integersWithoutSignAreRead(name: String) throws {
    #expect(try Self.read("\(name).npy") == Matrix(Self.whole.map(abs), rows: 5, columns: 3))
  }

  @Test func labelsMayHaveOneAxis() throws {
    func labels(_ name: String) throws(PipelineError) -> [Int] {
      try NumPyFile.integers(contentsOf: Self.folder.appendingPathComponent(name))
    }
    #expect(try labels("one-axis.npy") == [0, 1, 2, 3, 4])
    for name in ["int8.npy", "no-axes.npy", "no-rows.npy", "none.npy"] {
      #expect(throws: PipelineError.self) { try labels(name) }
    }
  }

  @Test func archivesAreReadAsTheyWereWritten() throws {
    let folder = try TemporaryFolder()
    let numbers = Matrix([0.5, -1e300, .pi, 0, 7, -2], rows: 2, columns: 3)
    let counts = Matrix([-3, 0, 1_099_511_627_776], rows: 3, columns: 1)
    let arrays = [
      ("means", NumPyWriter.data(of: numbers)), ("tokens", NumPyWriter.data(of: counts, asIntegers: true)),
      ("nothing", NumPyWriter.data(of: Matrix(rows: 0, columns: 4))),
    ]
    for name in ["a.npz", "b.npz"] { try NumPyWriter.write(arrays, to: folder.path(name)) }
    let file = try folder.read("a.npz")
    #expect(try folder.read("b.npz") == file)
    let url = folder.path("a.npz")
    #expect(try NumPyFile.arrayNames(contentsOf: url) == ["means", "tokens", "nothing"])
    #expect(try NumPyFile.arrayNames(contentsOf: Self.folder.appendingPathComponent("int8.npy")).isEmpty)
    #expect(try NumPyFile.integers(contentsOf: url, array: "tokens") == [-3, 0, 1_099_511_627_776])
    #expect(try NumPyFile.column(contentsOf: url, array: "tokens") == counts.elements)
    #expect(throws: PipelineError.self) { try NumPyFile.column(contentsOf: url, array: "means") }
    #expect(throws: PipelineError.self) { try NumPyFile.integers(contentsOf: url, array: "others") }
    // Stored: all numbers, and little beside them.
    #expect(file.count > 9 * 8 && file.count < arrays.reduce(0) { $0 + $1.1.count } + 1024)
    #expect(try NumPyFile.matrix(contentsOf: folder.path("a.npz"), array: "means") == numbers)
    #expect(try NumPyFile.matrix(contentsOf: folder.path("a.npz"), array: "tokens") == counts)
    // As wide as NumPy's own default for whole numbers.
    #expect(file.firstRange(of: Data("'<i8'".utf8)) != nil)
    let single = folder.path("single.npz")
    try NumPyWriter.write([("x", NumPyWriter.data(of: numbers))], to: single)
    #expect(try NumPyFile.matrix(contentsOf: single) == numbers)
  }

  @Test func booleansAreZeroAndOne() throws {
    #expect(try Self.read("bool.npy") == Matrix(Self.whole.map { $0 > 0 ? 1 : 0 }, rows: 5, columns: 3))
  }

  @Test(arguments: ["four-axes.npy", "four-axes-fortran.npy"])
  func furtherAxesAreLaidOutInRows(name: String) throws {
    #expect(try Self.read(name) == Matrix((0..<48).map(Double.init), rows: 2, columns: 24))
  }

  @Test func numbersThatAreNotFinitePass() throws {
    let matrix = try Self.read("not-finite.npy")
    #expect(matrix[0, 0].isNaN)
    #expect(matrix.elements.dropFirst() == [1, .infinity, -.infinity])
  }

  @Test func oneOfSeveralArraysIsChosen() throws {
    #expect(try Self.read("two.npz", array: "points") == Matrix(Self.whole.map { $0 / 4 }, rows: 5, columns: 3))
    #expect(throws: PipelineError.self) { try Self.read("two.npz", array: "labels") }
    for array in [nil, "x"] {
      let error = #expect(throws: PipelineError.self) { try Self.read("two.npz", array: array) }
      #expect(error?.kind == .usage)
      #expect(error?.message.contains("points, labels") == true)
    }
    let error = #expect(throws: PipelineError.self) { try Self.read("int8.npy", array: "x") }
    #expect(error?.kind == .usage)
  }

  @Test(arguments: [
    ("one-axis", "one axis"), ("no-axes", "no axes"), ("no-rows", "empty"), ("objects", "Python objects"),
    ("records", "named fields"), ("complex", "<c16"), ("text", "<U1"),
  ])
  func otherArraysAreRefused(name: String, reason: String) throws {
    let error = #expect(throws: PipelineError.self) { try Self.read("\(name).npy") }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains(reason) == true)
  }

  @Test func missingFilesAreToldFromDamagedOnes() throws {
    for name in ["no-such-file.npy", "."] {
      let error = #expect(throws: PipelineError.self) { try Self.read(name) }
      #expect(error?.kind == .noInput)
    }
  }
}

@Suite struct DamagedNumPyFileTests {
  /// Reads bytes through a file in `folder`.
  static func read(_ bytes: [UInt8], in folder: TemporaryFolder) throws -> Matrix {
    try folder.write(Data(bytes), to: "damaged")
    return try NumPyFile.matrix(contentsOf: folder.url.appendingPathComponent("damaged"))
  }

  static func expectBadData(_ bytes: [UInt8], _ reason: String = "", in folder: TemporaryFolder) {
    let error = #expect(throws: PipelineError.self) { try read(bytes, in: folder) }
    #expect(error?.kind == .badData)
    if !reason.isEmpty { #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")") }
  }

  static func fixture(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: NumPyFileTests.folder.appendingPathComponent(name)))
  }

  /// An array of version 1 with any description and no numbers.
  static func header(_ text: String) -> [UInt8] {
    [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(text.utf8.count % 256), UInt8(text.utf8.count / 256)] + Array(text.utf8)
  }

  @Test(arguments: ["little-f8.npy", "one-stored.npz", "one-deflated.npz"])
  func nothingShorterIsRead(name: String) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let whole = try Self.fixture(name)
    for count in 0..<whole.count { Self.expectBadData(Array(whole.prefix(count)), in: folder) }
    Self.expectBadData(whole + [0], in: folder)
  }

  /// No byte of an archive makes the reader crash or read other numbers than were written.
  @Test(arguments: ["one-stored.npz", "one-deflated.npz"])
  func noChangedByteReadsAsOtherNumbers(name: String) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let whole = try Self.fixture(name)
    let expected = try Self.read(whole, in: folder)
    var refused = 0
    for i in whole.indices {
      for change: UInt8 in [0x01, 0x80, 0xFF] {
        var bytes = whole
        bytes[i] ^= change
        do { #expect(try Self.read(bytes, in: folder) == expected) } catch let error as PipelineError {
          #expect(error.kind == .badData)
          refused += 1
        }
      }
    }
    #expect(refused > whole.count)
  }

  @Test func sizesAreNotBelieved() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    func array(_ shape: String) -> [UInt8] {
      Self.header("{'descr': '<f8', 'fortran_order': False, 'shape': (\(shape)), }")
    }
    Self.expectBadData(array("1000, 1000"), "cut short", in: folder)
    Self.expectBadData(array("4294967296, 4294967296"), "at most", in: folder)
    Self.expectBadData(array("2000000000, 1"), "at most", in: folder)
    Self.expectBadData(array("99999999999999999999, 2"), "makes no sense", in: folder)
    Self.expectBadData(array("-1, 2"), "not a description", in: folder)
    // In an archive: the directory claims 2 GiB for what are two hundred bytes, and so does the entry itself, which has the
    // number after its name and the four bytes of a field's head.
    var archive = try Self.fixture("one-deflated.npz")
    let entry = try #require(Data(archive).firstRange(of: Data([0x50, 0x4B, 1, 2]))?.lowerBound)
    archive[entry + 27] = 0x80
    Self.expectBadData(archive, in: folder)
    archive[30 + "x.npy".count + 4 + 3] = 0x80
    Self.expectBadData(archive, "cannot hold", in: folder)
  }

  @Test func headersAreUnderstoodOrRefused() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    // Python 2's long integers, other quotation marks, another order, no trailing comma.
    let unusual = Self.header("{\"shape\": (2L, 1L), \"fortran_order\": True, \"descr\": \"|u1\"}")
    #expect(try Self.read(unusual + [3, 200], in: folder) == Matrix([3, 200], rows: 2, columns: 1))

    Self.expectBadData(Self.header("{}"), "not a description", in: folder)
    Self.expectBadData(Self.header(String(repeating: " ", count: 20_000)), "claims 20000", in: folder)
    Self.expectBadData(Array("P5 3 5 255\n".utf8), "not an array", in: folder)
    var newer = unusual
    newer[6] = 9
    Self.expectBadData(newer, "version 9", in: folder)
    // A zip file without arrays, and one with nothing.
    Self.expectBadData([0x50, 0x4B, 5, 6] + [UInt8](repeating: 0, count: 18), "no array", in: folder)
  }
}

/// What libarchive reads and NumPy does not write.
@Suite struct ForeignArchiveTests {
  /// An archive as libarchive writes it.
  static func archive(
    _ format: Int32, _ entries: [(name: String, content: Data, type: UInt32)], options: String? = nil
  ) throws -> [UInt8] {
    // libarchive writes to both until it is closed.
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
    let count = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    defer {
      target.deallocate()
      count.deallocate()
    }
    let archive = try #require(archive_write_new())
    defer { archive_write_free(archive) }
    try #require(archive_write_set_format(archive, format) == ARCHIVE_OK)
    if let options {
      try #require(archive_write_set_options(archive, options) == ARCHIVE_OK)
      archive_write_set_passphrase(archive, "open sesame")
    }
    archive_write_set_bytes_in_last_block(archive, 1)
    try #require(archive_write_open_memory(archive, target.baseAddress, target.count, count) == ARCHIVE_OK)
    for (name, content, type) in entries {
      let entry = try #require(archive_entry_new())
      defer { archive_entry_free(entry) }
      archive_entry_set_pathname(entry, name)
      archive_entry_set_filetype(entry, type)
      archive_entry_set_perm(entry, 0o644)
      archive_entry_set_size(entry, Int64(content.count))
      try #require(archive_write_header(archive, entry) == ARCHIVE_OK)
      let written = content.withUnsafeBytes { archive_write_data(archive, $0.baseAddress, $0.count) }
      try #require(written == content.count)
    }
    try #require(archive_write_close(archive) == ARCHIVE_OK)
    return Array(target.prefix(count.pointee))
  }

  static let file = dalle_archive_regular_file

  static func array() throws -> Data { Data(try DamagedNumPyFileTests.fixture("little-f8.npy")) }

  @Test func zipFilesOfOtherProgramsAreRead() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let entries = try [("x.npy", Self.array(), Self.file), ("notes.txt", Data("text".utf8), Self.file)]
    let expected = try NumPyFileTests.read("little-f8.npy")
    for method in ["store", "deflate"] {
      let archive = try Self.archive(ARCHIVE_FORMAT_ZIP, entries, options: "zip:compression=\(method)")
      #expect(try DamagedNumPyFileTests.read(archive, in: folder) == expected)
    }
  }

  @Test(arguments: [
    ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FORMAT_CPIO_POSIX, ARCHIVE_FORMAT_7ZIP, ARCHIVE_FORMAT_XAR, ARCHIVE_FORMAT_SHAR,
  ])
  func otherFormatsAreRefused(format: Int32) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let archive = try Self.archive(format, [("x.npy", Self.array(), Self.file)])
    DamagedNumPyFileTests.expectBadData(archive, "not an array", in: folder)
  }

  @Test(arguments: ["zipcrypt", "aes256"])
  func encryptedArraysAreRefused(encryption: String) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let entries = try [("x.npy", Self.array(), Self.file)]
    let archive = try Self.archive(ARCHIVE_FORMAT_ZIP, entries, options: "zip:encryption=\(encryption)")
    DamagedNumPyFileTests.expectBadData(archive, "x.npy is encrypted", in: folder)
  }

  @Test func aNameThatIsThereTwiceIsRefused() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let entries = try [("x.npy", Self.array(), Self.file), ("x.npy", Self.array(), Self.file)]
    DamagedNumPyFileTests.expectBadData(try Self.archive(ARCHIVE_FORMAT_ZIP, entries), "the array x twice", in: folder)
  }

  @Test func foldersAreNoArrays() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let archive = try Self.archive(ARCHIVE_FORMAT_ZIP, [("x.npy", Data(), dalle_archive_folder)])
    DamagedNumPyFileTests.expectBadData(archive, "holds no array", in: folder)
  }

  /// What stands before a zip file is no part of it, and what is compressed as NumPy never does is another's.
  @Test func whatNumPyDoesNotWriteIsRefused() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let archive = try DamagedNumPyFileTests.fixture("one-deflated.npz")
    DamagedNumPyFileTests.expectBadData(Array("#!/bin/sh\n".utf8) + archive, "not an array", in: folder)
    DamagedNumPyFileTests.expectBadData(try DamagedNumPyFileTests.fixture("bzip2.npz"), "bzip", in: folder)
  }

  /// An honest size is not enough: what unpacks to a thousand times itself is refused before it is unpacked.
  @Test func whatIsLargerThanItsArrayIsRefused() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let bomb = try Self.archive(
      ARCHIVE_FORMAT_ZIP, [("x.npy", Self.array() + Data(count: 100 << 20), Self.file)],
      options: "zip:compression=deflate")
    #expect(bomb.count < 200_000)
    DamagedNumPyFileTests.expectBadData(bomb, "where its shape", in: folder)
  }
}
