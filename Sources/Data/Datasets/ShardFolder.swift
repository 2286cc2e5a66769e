import Basics
import Captions
import DataFiles
import Foundation
import Imaging

extension DataSetFolder {
  /// What all shards hold.
  struct ShardPictures {
    /// Sorted by file name.
    var pictures: CaptionedPictures.Builder
    var findings: [Finding] = []
    var unread = UnreadPictures()
    /// Whether all shards could be opened.
    var isReadable = true
  }

  func shardPictures() throws(PipelineError) -> ShardPictures {
    // A file name begins with the shard's.
    let shards = contents.shards.sorted { $0 + "/" < $1 + "/" }
    var columns = CaptionColumns(captionColumn, inOrder: [.caption, .text, .prompt])
    let reader = ShardReader(folder: url, captionColumn: captionColumn, columns: columns)
    var all = ShardPictures(pictures: CaptionedPictures.Builder(shards: shards))
    var unused: ShardReader.UnusedMembers = [:]
    var repeated: ShardReader.UnusedMembers = [:]
    for result in ConcurrentMap.results(shards.count, { reader.contents(of: shards[$0], number: $0) }) {
      let contents: ShardReader.Contents
      switch result {
      case .success(let found): contents = found
      case .failure(let error):
        all.isReadable = false
        all.findings.append(Finding(subject: "a shard", words: error.message))
        continue
      }
      all.pictures.append(contents.pictures)
      all.findings += contents.findings
      unused.merge(contents.unused) { ($0.count + $1.count, $0.first) }
      repeated.merge(contents.repeated) { ($0.count + $1.count, $0.first) }
      all.unread.add(contents.unread)
      columns.note(contents.columns)
    }
    if let note = try columns.finish(in: url) { all.findings.append(Finding(words: note)) }
    all.findings += ShardReader.findings(of: unused, repeated)
    return all
  }
}

/// Reads WebDataset shards: members with the same key are one sample. By WebDataset's rule the key is the path up to the first dot
/// of its last component, and what follows that dot, in lower case, says what the member is.
private struct ShardReader: Sendable {
  let folder: URL
  let captionColumn: String?
  /// Where captions may stand in a sample's JSON.
  let columns: CaptionColumns

  private struct Sample {
    /// With what follows the key.
    var picture: (member: TarArchive.Member, kind: String)?
    var text: (member: TarArchive.Member, kind: String)?
    var metadata: TarArchive.Member?
    /// Whether it has a picture that is not read.
    var hasUnread = false
  }

  /// Members that are not used, by what follows the key, with the first one.
  typealias UnusedMembers = [String: (count: Int, first: String)]

  /// What one shard holds.
  struct Contents: Sendable {
    var pictures = CaptionedPictures.Builder()
    var findings: [DataSetFolder.Finding] = []
    var unused: UnusedMembers = [:]
    /// Pictures and texts beside others of the same key.
    var repeated: UnusedMembers = [:]
    var unread = UnreadPictures()
    /// Those that its captions were taken from.
    var columns: CaptionColumns
  }

  /// - Parameters:
  ///   - shard: its path below the folder.
  ///   - number: of the shard among all.
  func contents(of shard: String, number: Int) -> Result<Contents, PipelineError> {
    do throws(PipelineError) {
      let file = try OpenFile(folder.appendingPathComponent(shard))
      let archive = try TarArchive(file)
      var contents = Contents(columns: columns)
      if let damage = archive.damage { contents.skip("the rest of \(shard)", damage) }
      if let first = archive.brokenLinks.first {
        contents.skip(
          "\(archive.brokenLinks.count) links in \(shard)", "they lead to no file in it, \(first) first")
      }
      let reader = MetadataFile(captionColumns: columns.names)
      var found: [(entry: CaptionedPicture, part: CaptionedPictures.Part)] = []
      for (key, sample) in samples(of: archive, shard, &contents).sorted(by: { $0.key < $1.key }) {
        guard let picture = sample.picture?.member else {
          if !sample.hasUnread { contents.skip("\(shard)/\(key)", "the shard has no picture for it") }
          continue
        }
        let path = "\(shard)/\(picture.name)"
        guard let captions = captions(of: sample, path, in: file, reader, &contents) else { continue }
        let part = CaptionedPictures.Part(
          shard: number, range: picture.offset..<(picture.offset + picture.byteCount))
        let entry = CaptionedPicture(fileName: path, captions: captions, split: .standard(forFileName: path))
        found.append((entry, part))
      }
      for (entry, part) in found.sorted(by: { $0.entry.fileName < $1.entry.fileName }) {
        contents.pictures.append(entry, part: part)
      }
      return .success(contents)
    } catch {
      return .failure(error)
    }
  }

  private func samples(of archive: TarArchive, _ shard: String, _ contents: inout Contents) -> [String: Sample] {
    var samples: [String: Sample] = [:]
    for member in archive.members {
      let name = PathParts(member.name).name
      if name.hasPrefix(".") { continue }
      let dot = name.firstIndex(of: ".") ?? name.endIndex
      let key = String(member.name[..<dot])
      /// - Parameter goesBefore: whether it is taken in the place of one of another kind.
      func keep(
        _ kind: String,
        as part: WritableKeyPath<Sample, (member: TarArchive.Member, kind: String)?>,
        goesBefore: (_ kind: String) -> Bool
      ) {
        if let other = samples[key]?[keyPath: part], other.kind != kind {
          let isTaken = goesBefore(other.kind)
          let left = isTaken ? other : (member: member, kind: kind)
          contents.repeated[left.kind, default: (0, "\(shard)/\(left.member.name)")].count += 1
          if !isTaken { return }
        }
        // Of two of one name, an archive means the last.
        samples[key, default: Sample()][keyPath: part] = (member, kind)
      }
      switch name[dot...].dropFirst().lowercased() {
      case let kind where PictureFormat.readFileExtensions.contains(kind):
        keep(kind, as: \.picture) { _ in false }
      case let kind where FolderContents.captionExtensions.contains(kind):
        let order = FolderContents.captionExtensions
        keep(kind, as: \.text) { order.firstIndex(of: kind) ?? 0 < order.firstIndex(of: $0) ?? 0 }
      case "json": samples[key, default: Sample()].metadata = member
      case let kind:
        if let format = PictureFormat(fileExtension: kind) {
          contents.unread.add(format, path: "\(shard)/\(member.name)")
          contents.unread.haveCaptions = true
          samples[key, default: Sample()].hasUnread = true
        } else {
          contents.unused[kind, default: (0, "\(shard)/\(member.name)")].count += 1
        }
      }
    }
    return samples
  }

  /// The captions of a sample, or nil, and said why, where it has none.
  private func captions(
    of sample: Sample, _ path: String, in file: OpenFile, _ reader: MetadataFile, _ contents: inout Contents
  ) -> [String]? {
    func content(_ member: TarArchive.Member) throws(PipelineError) -> Data {
      guard member.byteCount <= DataSetFolder.maximumCaptionFileByteCount else {
        throw PipelineError(.badData, "\(member.name) has \(member.byteCount) bytes")
      }
      return try file.contents(at: member.offset, byteCount: member.byteCount)
    }
    do throws(PipelineError) {
      if let text = sample.text?.member, captionColumn == nil {
        let (captions, problem) = DataSetFolder.captions(in: try content(text), file: text.name)
        if let problem { contents.skip(path, problem) }
        return captions
      }
      var reason = columns.reasonOfNone
      if let metadata = sample.metadata {
        let row = reader.row(json: try content(metadata))
        contents.columns.note(row)
        let captions = row.texts.compactMap(DataSetFolder.caption)
        if !captions.isEmpty { return captions }
        if let problem = row.problem { reason = "\(metadata.name): \(problem)" }
      }
      contents.skip(path, reason)
    } catch {
      contents.skip(path, error.message)
    }
    return nil
  }

  /// Which members were not used: a picture or a text among them is one that somebody misses.
  static func findings(of unused: UnusedMembers, _ repeated: UnusedMembers) -> [DataSetFolder.Finding] {
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
    let others = unused.filter { missed[$0.key] == nil }
    var findings: [DataSetFolder.Finding] = []
    if !missed.isEmpty {
      findings.append(
        .init(
          subject: "members of shards: \(list(missed))",
          words: "a key ends at its first dot, and what follows is no kind that is read, such as .jpg or .txt"))
    }
    if !repeated.isEmpty {
      findings.append(
        .init(
          subject: "members of shards: \(list(repeated))",
          words: "there is another picture, or another text, of the same key, and one is read"))
    }
    if !others.isEmpty { findings.append(.init(words: "members of shards that are not used: \(list(others))")) }
    return findings
  }
}

extension ShardReader.Contents {
  fileprivate mutating func skip(_ subject: String, _ reason: String) {
    findings.append(.init(subject: subject, words: reason))
  }
}
