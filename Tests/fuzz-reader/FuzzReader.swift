// The entry point of libFuzzer: `.ci/fuzz` builds this with the rest of it. Built otherwise, the program reads files once:
// `fuzz-reader png FILE…`, to see again what broke a reader.
import Foundation
import FuzzedReaders

/// A folder in memory where there is one, since each input is written to a file.
private let folder: URL = {
  let memory = URL(filePath: "/dev/shm")
  let place = FileManager.default.fileExists(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
  let folder = place.appending(path: "fuzz-reader-\(ProcessInfo.processInfo.processIdentifier)")
  do { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) } catch {
    fatalError("cannot make \(folder.path): \(error)")
  }
  return folder
}()

private func read(_ bytes: Data, by reader: FuzzedReader) -> Bool {
  do { return try reader.read(bytes, in: folder) } catch { fatalError("cannot write in \(folder.path): \(error)") }
}

#if FUZZING
  private let reader: FuzzedReader = {
    let name = ProcessInfo.processInfo.environment["DALLE_READER"] ?? ""
    guard let reader = FuzzedReader(rawValue: name) else {
      fatalError("DALLE_READER must be one of \(FuzzedReader.allCases.map(\.rawValue)), not \"\(name)\"")
    }
    atexit { try? FileManager.default.removeItem(at: folder) }
    return reader
  }()

  @_cdecl("LLVMFuzzerTestOneInput")
  public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    _ = read(start.map { Data(bytes: $0, count: count) } ?? Data(), by: reader)
    return 0
  }
#else
  @main enum FuzzReader {
    static func main() throws {
      defer { try? FileManager.default.removeItem(at: folder) }
      let arguments = CommandLine.arguments.dropFirst()
      guard let reader = arguments.first.flatMap(FuzzedReader.init), arguments.count > 1 else {
        FileHandle.standardError.write(Data("usage: fuzz-reader READER FILE…\n".utf8))
        exit(64)
      }
      for file in arguments.dropFirst() {
        let isTaken = read(try Data(contentsOf: URL(filePath: file)), by: reader)
        print("\(file): \(isTaken ? "read" : "refused")")
      }
    }
  }
#endif
