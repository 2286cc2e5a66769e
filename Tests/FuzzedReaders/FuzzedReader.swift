import ArrayFiles
import Basics
import Captions
import Checkpoints
import Datasets
import Foundation
import Imaging
import PretrainedTokenizers
import TextTokenizer

/// What reads bytes that others have made: it may refuse them, and do nothing else.
///
/// The readers are called as the program calls them, from files.
public enum FuzzedReader: String, CaseIterable, Sendable {
  case safetensors, tokenizer, pretrained, configuration, npy, npz, tar, index, metadata, captions, png, jpeg, webp

  /// The folder with the reader's seeds and all that ever broke it, below `Tests/Fixtures/fuzz`.
  public var corpus: URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/fuzz/\(rawValue)")
  }

  /// Reads all that there is in the bytes.
  /// - Parameter folder: where the reader's file is written; it is the reader's own, and what is in it is replaced.
  /// - Returns: whether they were taken.
  @discardableResult
  public func read(_ bytes: Data, in folder: URL) throws -> Bool {
    let file = folder.appending(path: fileName)
    try bytes.write(to: file)
    do throws(PipelineError) {
      try read(file, in: folder)
      return true
    } catch {
      // One line, which names what it is about.
      precondition(!error.message.isEmpty && !error.message.contains("\n"), "a message of more lines: \(error.message)")
      return false
    }
  }

  private var fileName: String {
    switch self {
    case .safetensors: "x.safetensors"
    case .tokenizer, .pretrained: "tokenizer.json"
    case .configuration: "config.json"
    case .npy: "x.npy"
    case .npz: "x.npz"
    case .tar: "x.tar"
    case .index: ".dalle-index.safetensors"
    case .metadata: "metadata.jsonl"
    case .captions: "a.txt"
    case .png, .jpeg, .webp: "x"
    }
  }

  private func read(_ file: URL, in folder: URL) throws(PipelineError) {
    switch self {
    case .safetensors:
      let tensors = try SafeTensors(contentsOf: file)
      for name in tensors.names.prefix(8) {
        // A type that is not read is a reason to refuse the tensor, and not the file.
        _ = try? tensors.tensor(name)
        _ = try? tensors.matrix(name)
        if let table = try? tensors.table(name), table.rowCount > 0 { _ = table[table.rowCount - 1] }
      }
    case .tokenizer:
      let vocabulary = try BytePairEncoding(contentsOf: file)
      _ = vocabulary.pieces(vocabulary.encode("An owl, 부엉이 🦉; made of 3 pizzas"))
    case .pretrained:
      let tokenizer = try PretrainedTokenizer(contentsOf: file)
      let ids = tokenizer.encode("An owl,  부엉이 🦉;\n made of 3 <x> pizzas", addingSpecialTokens: true)
      precondition(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize }, "an id beyond the vocabulary")
    case .configuration:
      let configuration = try Checkpoint(folder).readConfiguration()
      try configuration.validate(of: "x")
    case .npy, .npz: _ = try NumPyFile.matrix(contentsOf: file)
    case .tar, .metadata, .captions:
      let picture = folder.appending(path: "a.png")
      if self != .tar, !FileManager.default.fileExists(atPath: picture.path) {
        try Picture(width: 2, height: 2, color: .white).write(to: picture)
      }
      let dataSet = try PictureDataSet(contentsOf: folder, pictureSize: 4)
      _ = dataSet.trainingTexts(CaptionForms(of: dataSet.entries, indices: dataSet.indices(of: .train)))
    case .index:
      try writeShard(to: folder)
      // With nothing in memory, pictures are read from where the index says.
      let dataSet = try PictureDataSet(contentsOf: folder, pictureSize: 4, maximumBytesInMemory: 0)
      for index in dataSet.entries.indices.prefix(8) { _ = try dataSet.picture(at: index) }
    case .png, .jpeg, .webp: _ = try Picture(contentsOf: file)
    }
  }

  /// What the seeds of indices are of: an index is read where the files beside it have the sizes and the times that it names.
  private func writeShard(to folder: URL) throws(PipelineError) {
    let shard = folder.appending(path: "x.tar")
    if FileManager.default.fileExists(atPath: shard.path) { return }
    do {
      try Data("?".utf8).write(to: folder.appending(path: "photo.heic"))
      try FileManager.default.copyItem(at: FuzzedReader.tar.corpus.appending(path: "seed-text"), to: shard)
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSince1970: 0)], ofItemAtPath: shard.path)
    } catch {
      throw PipelineError(.inputOutput, error.localizedDescription)
    }
  }
}
