import Basics
import Foundation
import Imaging

/// The files of a data set's folder by what they are, each list in the order of the tree.
package struct FolderContents {
  /// Of each folder one; none where another form of data set is meant, see ``otherMetadata``.
  package private(set) var metadata: [String] = []
  /// CSV that is not read, because there are JSON lines beside it, or shards or texts that have the captions.
  package private(set) var otherMetadata: [String] = []
  package private(set) var shards: [String] = []
  /// Archives that cannot be read without being unpacked.
  package private(set) var compressed: [String] = []
  /// Tables that may hold pictures and captions, and are not read.
  package private(set) var tables: [String] = []
  /// Those that are read.
  package private(set) var pictures: [String] = []
  package private(set) var unread = UnreadPictures()
  /// The files that hold a picture's captions, by their paths without the ending; of several the first one is meant.
  package private(set) var captions: [String: [String]] = [:]

  /// The endings of files that hold captions, in lower case; of two with the same stem the first one is read.
  package static let captionExtensions = ["txt", "caption"]

  package init(_ tree: FileTree, in url: URL) {
    var csv: [(path: String, folder: Substring)] = []
    var foldersOfLines: Set<Substring> = []
    for path in tree.files {
      let parts = PathParts(path)
      if PictureFormat.readFileExtensions.contains(parts.fileExtension) {
        pictures.append(path)
      } else if Self.captionExtensions.contains(parts.fileExtension) {
        captions[String(parts.stem), default: []].append(path)
      } else if parts.fileExtension == "tar" {
        // The same shard under another name is the same pictures.
        if tree.original(of: path) == nil { shards.append(path) }
      } else if TarArchive.isCompressed(path) {
        compressed.append(path)
      } else if parts.fileExtension == "parquet" {
        tables.append(path)
      } else if parts.name.lowercased() == MetadataFile.jsonLines {
        metadata.append(path)
        foldersOfLines.insert(parts.folder)
      } else if parts.name.lowercased() == MetadataFile.csv {
        csv.append((path, parts.folder))
      } else if let usual = PictureFormat(fileExtension: parts.fileExtension) {
        // The first bytes decide, as for any other picture.
        let file = url.appendingPathComponent(path)
        let format = (try? InputFile.head(of: file, byteCount: PictureFormat.headByteCount)).flatMap(PictureFormat.init)
        if format?.isRead == true { pictures.append(path) } else { unread.add(format ?? usual, path: path) }
      }
    }
    func rank(_ path: String) -> (Int, Int) {
      let ending = PathParts(path).fileExtension
      return (Self.captionExtensions.firstIndex(of: ending) ?? 0, path.hasSuffix(ending) ? 0 : 1)
    }
    for (stem, files) in captions where files.count > 1 { captions[stem] = files.sorted { rank($0) < rank($1) } }
    let hasLines = !metadata.isEmpty
    let haveTexts = !csv.isEmpty && mostPicturesHaveTexts
    for (path, folder) in csv {
      if foldersOfLines.contains(folder) || !hasLines && (!shards.isEmpty || haveTexts) {
        otherMetadata.append(path)
      } else {
        metadata.append(path)
      }
    }
    metadata.sort()
  }

  private var mostPicturesHaveTexts: Bool {
    2 * pictures.count { captions[String(PathParts($0).stem)] != nil } > pictures.count
  }
}

/// Pictures of formats that are known and not read.
package struct UnreadPictures {
  package private(set) var paths: Set<String> = []
  private var counts: [PictureFormat: Int] = [:]
  /// Whether one of them would be part of the data set.
  package var haveCaptions = false

  package init() {}

  /// - Parameter countsByFormat: of pictures in shards, which have captions, by the names of their formats.
  package init(inShards countsByFormat: [String: Int]) {
    for format in PictureFormat.all { counts[format] = countsByFormat[format.name] }
    haveCaptions = !counts.isEmpty
  }

  /// By the formats' names.
  package var countsByFormat: [String: Int] { Dictionary(uniqueKeysWithValues: counts.map { ($0.key.name, $0.value) }) }

  package mutating func add(_ format: PictureFormat, path: String) {
    paths.insert(path)
    counts[format, default: 0] += 1
  }

  package mutating func add(_ others: UnreadPictures) {
    paths.formUnion(others.paths)
    counts.merge(others.counts, uniquingKeysWith: +)
    haveCaptions = haveCaptions || others.haveCaptions
  }

  /// One line for each format.
  package var reasons: [String] {
    counts.sorted { $0.key.name < $1.key.name }.map { format, count in
      let what = count == 1 ? "picture is not read; convert it" : "pictures are not read; convert them"
      return "\(count) \(format.name) \(what) to PNG or JPEG, for example with \(format.converter ?? "another program")"
    }
  }
}
