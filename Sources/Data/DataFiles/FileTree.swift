import Basics
import Foundation

/// The files below a folder. Links to folders are followed, each folder is read once however often it is reached, and hidden
/// files and folders are left out: editors and version control leave them.
package struct FileTree: Sendable {
  /// Their paths below the folder, sorted. Where a folder is reached in several ways, they are those without a link.
  package let files: [String]
  /// What is not read, with the reason.
  package let leftOut: [(path: String, reason: String)]
  /// Of each file that is a link, the path of the same file elsewhere in the tree.
  private let originals: [String: String]
  /// Strings that differ in their Unicode normal form only are the same in here.
  private let spellings: Set<String>

  /// - Throws: `PipelineError` of kind `.noInput` where `url` is not a folder that can be read.
  package init(_ url: URL) throws(PipelineError) {
    var walk = Walk(root: url.path)
    guard walk.read("") else {
      throw PipelineError(.noInput, "cannot read the data set \(url.path): \(String(cString: strerror(errno)))")
    }
    walk.followLinks()
    files = walk.files.map(\.path).sorted()
    leftOut = walk.leftOut.sorted { $0.path < $1.path }
    originals = walk.originals()
    spellings = Set(files)
  }

  /// The path of a file as the disk spells it, whatever its Unicode normal form; nil where there is none.
  package func spelling(of path: String) -> String? { spellings.firstIndex(of: path).map { spellings[$0] } }

  /// Where a file that is a link lies in the tree under another name; nil for one that is no link, or leads elsewhere.
  package func original(of path: String) -> String? { originals[path] }
}

/// What tells one file or folder from all others.
private struct FileIdentity: Hashable {
  var device: UInt64
  var number: UInt64

  init(device: UInt64, number: UInt64) { (self.device, self.number) = (device, number) }

  init(_ status: stat) { self.init(device: UInt64(status.st_dev), number: UInt64(status.st_ino)) }

  /// Nil where there is nothing at `path`.
  init?(of path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }
}

/// The way through a tree of folders: first those that are no links, then linked ones in the order of their paths.
private struct Walk {
  let root: String
  var files: [(path: String, identity: FileIdentity, isLink: Bool)] = []
  var leftOut: [(path: String, reason: String)] = []
  private var linkedFolders: [(path: String, identity: FileIdentity)] = []
  private var seen: Set<FileIdentity> = []

  init(root: String) { self.root = root }

  private func full(_ path: String) -> String { path.isEmpty ? root : "\(root)/\(path)" }

  /// Reads a folder and those below it that are no links.
  /// - Returns: whether it can be read; `errno` says why not.
  mutating func read(_ path: String) -> Bool {
    guard let folders = readEntries(of: path) else { return false }
    for folder in folders where !read(folder) { leftOut.append((folder, String(cString: strerror(errno)))) }
    return true
  }

  /// - Returns: the folders in it that are no links; nil where it cannot be read.
  private mutating func readEntries(of path: String) -> [String]? {
    guard let directory = opendir(full(path)) else { return nil }
    defer { closedir(directory) }
    var status = stat()
    guard fstat(dirfd(directory), &status) == 0 else { return nil }
    var folders: [String] = []
    guard seen.insert(FileIdentity(status)).inserted else { return folders }
    while let entry = readdir(directory) {
      // The system's structure has room for a longer name than it fills.
      let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \dirent.d_name)!
      let name = start.assumingMemoryBound(to: CChar.self)
      guard name[0] != CChar(UInt8(ascii: ".")) else { continue }
      guard let text = String(validatingCString: name) else {
        let repaired = String(cString: name)
        leftOut.append((path.isEmpty ? repaired : "\(path)/\(repaired)", "its name is not valid UTF-8"))
        continue
      }
      let child = path.isEmpty ? text : "\(path)/\(text)"
      switch Int32(entry.pointee.d_type) {
      case Int32(DT_REG):
        let identity = FileIdentity(device: UInt64(status.st_dev), number: UInt64(entry.pointee.d_ino))
        files.append((child, identity, false))
      case Int32(DT_DIR): folders.append(child)
      // Links, and file systems that do not tell what an entry is.
      case Int32(DT_LNK), Int32(DT_UNKNOWN): look(at: child, folders: &folders)
      default: break
      }
    }
    return folders
  }

  private mutating func look(at path: String, folders: inout [String]) {
    var status = stat()
    guard lstat(full(path), &status) == 0 else { return }
    let isLink = status.st_mode & S_IFMT == S_IFLNK
    if isLink, stat(full(path), &status) != 0 {
      let isLoop = errno == ELOOP
      leftOut.append((path, isLoop ? "it is a link that leads to itself" : "it is a link that leads nowhere"))
      return
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: files.append((path, FileIdentity(status), isLink))
    case S_IFDIR where isLink: linkedFolders.append((path, FileIdentity(status)))
    case S_IFDIR: folders.append(path)
    default: break
    }
  }

  /// Reads the folders that links lead to, and those that their links lead to.
  mutating func followLinks() {
    while !linkedFolders.isEmpty {
      let links = linkedFolders.sorted { $0.path < $1.path }
      linkedFolders = []
      for (path, identity) in links {
        if leadsBack(path, to: identity) {
          leftOut.append((path, "it is a link that leads back to a folder in which it lies"))
        } else if !read(path) {
          leftOut.append((path, String(cString: strerror(errno))))
        }
      }
    }
  }

  /// Whether a link leads to a folder above it or above the root, which would bring in what nobody means.
  private func leadsBack(_ path: String, to identity: FileIdentity) -> Bool {
    for start in [root, (full(path) as NSString).deletingLastPathComponent] {
      guard let resolved = realpath(start, nil) else { continue }
      defer { free(resolved) }
      var folder = String(cString: resolved)
      while true {
        if FileIdentity(of: folder) == identity { return true }
        if folder == "/" { break }
        folder = (folder as NSString).deletingLastPathComponent
      }
    }
    return false
  }

  /// Of each file that is a link, another path of the same file: one without a link, or else the first one.
  func originals() -> [String: String] {
    let links = files.filter(\.isLink).sorted { $0.path < $1.path }
    guard !links.isEmpty else { return [:] }
    let wanted = Set(links.map(\.identity))
    var first: [FileIdentity: String] = [:]
    for file in files where !file.isLink && wanted.contains(file.identity) {
      first[file.identity] = min(file.path, first[file.identity] ?? file.path)
    }
    var originals: [String: String] = [:]
    for link in links {
      if let original = first[link.identity] {
        originals[link.path] = original
      } else {
        first[link.identity] = link.path
      }
    }
    return originals
  }
}

/// The parts of a file's path: "train/a.b.PNG" is "a.b" with the ending "png" in "train".
package struct PathParts {
  /// Empty for a file that lies in no folder.
  package let folder: Substring
  /// With the ending.
  package let name: Substring
  /// The whole path without the last dot and what follows it.
  package let stem: Substring
  /// What follows the last dot, in lower case; empty where there is none, or nothing before it.
  package let fileExtension: String

  package init(_ path: String) {
    let bytes = path.utf8
    let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
    let start = slash.map { bytes.index(after: $0) } ?? bytes.startIndex
    folder = path[..<(slash ?? bytes.startIndex)]
    name = path[start...]
    if let dot = bytes[start...].lastIndex(of: UInt8(ascii: ".")), dot != start {
      stem = path[..<dot]
      fileExtension = path[bytes.index(after: dot)...].lowercased()
    } else {
      (stem, fileExtension) = (path[...], "")
    }
  }
}
