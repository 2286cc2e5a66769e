import Foundation

/// Files and folders that are called by a name alone, because they lie in a folder where such are kept.
package enum NamedFile {
  /// - Returns: nil for a name alone.
  package static func path(_ name: String) -> URL? {
    name.contains("/") || name == "." || name == ".." ? URL(fileURLWithPath: name).standardizedFileURL : nil
  }

  /// What lies in a folder of this name in `$DALLE_HOME`, in `share/dalle` beside the program's `bin`, or above the program:
  /// run from elsewhere, an installed program and one that lies in its package still find what is bundled.
  package static func besideTheProgram(_ name: String, in folderName: String) -> URL? {
    if path(name) != nil { return nil }
    var homes: [URL] = []
    if let home = ProcessInfo.processInfo.environment["DALLE_HOME"] { homes.append(URL(fileURLWithPath: home)) }
    if var folder = Bundle.main.executableURL?.resolvingSymlinksInPath() {
      while folder.path != "/" {
        folder.deleteLastPathComponent()
        homes += [folder, folder.appendingPathComponent("share/dalle")]
      }
    }
    return homes.map { $0.appendingPathComponent(folderName).appendingPathComponent(name) }.first(where: exists)
  }

  package static func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }
}
