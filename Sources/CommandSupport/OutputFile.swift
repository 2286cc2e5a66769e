import Basics
import Foundation
import Imaging

/// A file that a command is going to write, refused before the work and not after it. What is there is replaced where a person has
/// named it, which is said, and never where the program has.
package enum OutputFile {
  /// A path that nothing has: what the program itself names never takes the place of something. Captions of emoji alone all give
  /// the same name.
  /// - Returns: the stem with the ending, or where that is taken with a number between them.
  package static func unusedPath(_ stem: String, _ ending: String = "") -> String {
    func isFree(_ path: String) -> Bool { (try? FileManager.default.attributesOfItem(atPath: path)) == nil }
    var (path, number) = (stem + ending, 2)
    while !isFree(path) { (path, number) = ("\(stem)-\(number)\(ending)", number + 1) }
    return path
  }

  /// - Throws: `PipelineError` of kind `.usage` for the name of another format than PNG, and what ``url(_:)`` throws.
  package static func picture(_ path: String, from inputs: [String?] = []) throws(PipelineError) -> URL {
    let ending = URL(fileURLWithPath: path).pathExtension.lowercased()
    if ending != "png", PictureFormat(fileExtension: ending) != nil {
      throw PipelineError(.usage, "\(path) would be a PNG all the same, which is all that is written; name it .png")
    }
    return try url(path, from: inputs)
  }

  /// - Parameters:
  ///   - path: what a person has named, or ``unusedPath(_:_:)``.
  ///   - ending: that the name must have; any where nil.
  ///   - inputs: paths of what is read for it; nil for what is not given.
  /// - Returns: where to write; where the path is a link, that which it leads to.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where no file can be written there, `.usage` where its name has another ending
  ///   or it would replace an input.
  package static func url(
    _ path: String, ending: String? = nil, from inputs: [String?] = []
  ) throws(PipelineError) -> URL {
    let url = AtomicFile.target(of: URL(fileURLWithPath: path))
    if let ending, url.pathExtension.lowercased() != ending {
      throw PipelineError(.usage, "--output must end in .\(ending), which \(path) does not")
    }
    if inputs.contains(where: { $0.map { isSame(url, URL(fileURLWithPath: $0)) } ?? false }) {
      throw PipelineError(.usage, "\(path) would replace what it is made of; name another file with --output")
    }
    let folder = url.deletingLastPathComponent()
    var status = stat()
    let isThere = stat(url.path, &status) == 0
    if path.isEmpty || path.hasSuffix("/") || isThere && status.st_mode & S_IFMT == S_IFDIR {
      throw PipelineError(.cannotCreate, "cannot write \"\(path)\": it is a folder; name a file in it")
    }
    guard !isThere || status.st_mode & S_IFMT == S_IFREG else {
      throw PipelineError(.cannotCreate, "cannot write \(path): it is a pipe or a device; name a file")
    }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue else {
      throw PipelineError(.cannotCreate, "cannot write \(path): there is no folder \(folder.relativePath)")
    }
    guard access(folder.path, W_OK) == 0 else {
      throw PipelineError(.cannotCreate, "cannot write \(path): \(String(cString: strerror(errno)))")
    }
    AtomicFile.removeLeftovers(of: url)
    if isThere { Console.note("\(path) is there, and will be replaced") }
    return url
  }

  /// Whether two paths lead to the same file, by whatever links.
  private static func isSame(_ a: URL, _ b: URL) -> Bool {
    a.resolvingSymlinksInPath().standardizedFileURL.path == b.resolvingSymlinksInPath().standardizedFileURL.path
  }
}

/// Pictures that a command is going to write, refused before they take more memory than there is.
package enum PictureSize {
  /// - Throws: `PipelineError` of kind `.usage` where `count` pictures, enlarged, have more pixels than can be read again.
  package static func check(count: Int, side: Int, scale: Int) throws(PipelineError) {
    try check(count: count, width: side, height: side, scale: scale)
  }

  package static func check(count: Int, width: Int, height: Int, scale: Int) throws(PipelineError) {
    let pixels = count * width * scale * height * scale
    guard pixels <= Picture.maximumPixelCount else {
      throw PipelineError(
        .usage,
        "the picture would have \(pixels / 1_000_000) million pixels, and at most "
          + "\(Picture.maximumPixelCount / 1_000_000) million are possible; lower --scale or the number of pictures")
    }
  }
}
