import Foundation

/// A folder that is gone when the last reference to it is, with what tests put into it.
public final class TemporaryFolder: Sendable {
  public let url: URL

  public init() throws {
    url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().appending(path: "dalle-tests-\(UUID())")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { remove() }

  /// Removes it now: said at the end of a test whose files are read after the last mention of the folder.
  public func remove() { try? FileManager.default.removeItem(at: url) }

  public func path(_ name: String) -> URL { url.appending(path: name) }

  public func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name).path) }

  public func read(_ name: String) throws -> Data { try Data(contentsOf: path(name)) }

  /// Makes the folders on the way, too.
  public func write(_ data: Data, to name: String) throws {
    let file = path(name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try data.write(to: file)
  }

  public func write(_ text: String, to name: String) throws { try write(Data(text.utf8), to: name) }

  /// A symbolic link; makes the folders on the way, too.
  public func link(_ name: String, to target: String) throws {
    let file = path(name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: target)
  }

  /// - Parameters:
  ///   - fixture: a name in `Tests/Fixtures/media`.
  ///   - name: what it is called in the folder; the same unless given.
  public func copyFixture(_ fixture: String, to name: String? = nil) throws {
    try write(Data(contentsOf: Fixtures.url("media/\(fixture)")), to: name ?? fixture)
  }

  /// All files below, by their path, for comparing what was there before with what is there after.
  public func contents(of name: String) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for case let file as String in FileManager.default.enumerator(atPath: path(name).path) ?? .init() {
      var isFolder: ObjCBool = false
      let full = path(name).appending(path: file)
      _ = FileManager.default.fileExists(atPath: full.path, isDirectory: &isFolder)
      if !isFolder.boolValue { contents[file] = try Data(contentsOf: full) }
    }
    return contents
  }
}

/// Calls `body` with a new folder that is removed afterwards.
public func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = try TemporaryFolder()
  return try withExtendedLifetime(folder) { try body(folder.url) }
}

/// The files that the scripts in `Tests/Fixtures` have made.
public enum Fixtures {
  /// - Parameter name: a path in `Tests/Fixtures`.
  public static func url(_ name: String) -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures/\(name)")
  }
}
