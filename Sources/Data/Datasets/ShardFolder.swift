import Basics
import DataFiles
import Foundation
import Imaging

/// WebDataset shards: members with the same key are one sample. By WebDataset's rule the key is the path up to the first dot of
/// its last component, and what follows that dot, in lower case, says what the member is.
extension DataSetFolder {
  private struct Sample {
    var picture: TarArchive.Member?
    var text: TarArchive.Member?
    var metadata: TarArchive.Member?
    /// Whether it has a picture that is not read.
    var hasUnread = false
  }

  /// Members that are not used, by what follows the key, with the first one.
  private typealias UnusedMembers = [String: (count: Int, first: String)]

  /// - Parameters:
  ///   - shards: their paths.
  ///   - unread: receives the pictures of formats that are not read.
  func shardItems(_ shards: [String], _ unread: inout UnreadPictures) throws(PipelineError) -> [Item] {
    var columns = CaptionColumns(captionColumn, inOrder: [.caption, .text, .prompt])
    let reader = MetadataFile(captionColumns: columns.names)
    var unused: UnusedMembers = [:]
    var items: [Item] = []
    for shard in shards {
      let file = url.appendingPathComponent(shard)
      let archive = try TarArchive(contentsOf: file)
      if let damage = archive.damage { try skip("the rest of \(shard)", damage) }
      if let first = archive.brokenLinks.first {
        try skip("\(archive.brokenLinks.count) links in \(shard)", "they lead to no file in it, \(first) first")
      }
      let samples = samples(of: archive, shard, unused: &unused, unread: &unread)
      for (key, sample) in samples.sorted(by: { $0.key < $1.key }) {
        guard let picture = sample.picture else {
          if !sample.hasUnread { try skip("\(shard)/\(key)", "the shard has no picture for it") }
          continue
        }
        let path = "\(shard)/\(picture.name)"
        do throws(PipelineError) {
          guard let captions = try captions(of: sample, path, in: file, reader, &columns) else { continue }
          let part = picture.offset..<(picture.offset + picture.byteCount)
          items.append(item(path, captions: captions, split: nil, source: PictureSource(url: file, part: part)))
        } catch {
          if isStrict { throw error }
          try skip(path, error.message)
        }
      }
    }
    if let note = try columns.finish(in: url) { report(note) }
    try name(unused)
    return items
  }

  private func samples(
    of archive: TarArchive, _ shard: String, unused: inout UnusedMembers, unread: inout UnreadPictures
  ) -> [String: Sample] {
    var samples: [String: Sample] = [:]
    for member in archive.members {
      let name = PathParts(member.name).name
      if name.hasPrefix(".") { continue }
      let dot = name.firstIndex(of: ".") ?? name.endIndex
      let key = String(member.name[..<dot])
      switch name[dot...].dropFirst().lowercased() {
      case let kind where PictureFormat.readFileExtensions.contains(kind):
        samples[key, default: Sample()].picture = member
      case let kind where FolderContents.captionExtensions.contains(kind):
        samples[key, default: Sample()].text = member
      case "json": samples[key, default: Sample()].metadata = member
      case let kind:
        if let format = PictureFormat(fileExtension: kind) {
          unread.add(format, path: "\(shard)/\(member.name)")
          unread.haveCaptions = true
          samples[key, default: Sample()].hasUnread = true
        } else {
          unused[kind, default: (0, "\(shard)/\(member.name)")].count += 1
        }
      }
    }
    return samples
  }

  /// The captions of a sample, or nil, and reported, where it has none.
  private func captions(
    of sample: Sample, _ path: String, in file: URL, _ reader: MetadataFile, _ columns: inout CaptionColumns
  ) throws(PipelineError) -> [String]? {
    func content(_ member: TarArchive.Member) throws(PipelineError) -> Data {
      guard member.byteCount <= Self.maximumCaptionFileByteCount else {
        throw PipelineError(.badData, "\(member.name) has \(member.byteCount) bytes")
      }
      return try InputFile.contents(of: file, offset: member.offset, byteCount: member.byteCount)
    }
    if let text = sample.text, captionColumn == nil {
      return try captions(in: content(text), of: path, file: text.name)
    }
    var reason = columns.reasonOfNone
    if let metadata = sample.metadata {
      let row = try reader.row(json: content(metadata))
      columns.note(row)
      let captions = row.texts.compactMap(Self.caption)
      if !captions.isEmpty { return captions }
      if let problem = row.problem { reason = "\(metadata.name): \(problem)" }
    }
    try skip(path, reason)
    return nil
  }

  /// Says which members were not used: a picture or a text among them is one that somebody misses.
  private func name(_ unused: UnusedMembers) throws(PipelineError) {
    let captionKinds = FolderContents.captionExtensions + ["json"]
    func list(_ members: UnusedMembers) -> String {
      let all = members.sorted { $0.key < $1.key }
      let names = all.prefix(8).map { "\($1.count) \($0.isEmpty ? "without a dot" : ".\($0)") (\($1.first))" }
      return (names + (all.count > 8 ? ["\(all.count - 8) other kinds"] : [])).joined(separator: ", ")
    }
    let missed = unused.filter { kind, _ in
      let ending = PathParts(kind).fileExtension
      return captionKinds.contains(ending) || PictureFormat(fileExtension: ending) != nil
    }
    if !missed.isEmpty {
      try skip(
        "members of shards: \(list(missed))",
        "a key ends at its first dot, and what follows is no kind that is read, such as .jpg or .txt")
    }
    let others = unused.filter { missed[$0.key] == nil }
    if !others.isEmpty { report("members of shards that are not used: \(list(others))") }
  }
}
