import Basics
import Foundation

extension BytePairEncoding {
  /// The largest file that is read, in bytes. The largest vocabularies in public use are about 20 MB.
  static let largestFileInBytes = 64 << 20

  /// Reads a vocabulary in Hugging Face's `tokenizer.json` format.
  ///
  /// Files are refused that ask for anything which is not done here and would change the ids: other normalizers,
  /// pre-tokenizers or models, special tokens, truncation, padding.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, `.inputOutput` where reading fails,
  ///   and `.badData` where it does not hold such a vocabulary.
  public init(contentsOf url: URL) throws(PipelineError) {
    let path = url.path
    let data = try Self.read(path)
    let file: TokenizerJSON
    do {
      file = try JSONDecoder().decode(TokenizerJSON.self, from: data)
    } catch DecodingError.dataCorrupted {
      throw PipelineError(.badData, "\(path) is not JSON: expected a tokenizer.json")
    } catch DecodingError.keyNotFound(let key, let context) {
      let field = (context.codingPath + [key]).map(\.stringValue).joined(separator: ".")
      throw PipelineError(.badData, "\(path) is not a tokenizer.json: the field \(field) is missing")
    } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
      let field = context.codingPath.map(\.stringValue).joined(separator: ".")
      throw PipelineError(
        .badData,
        field.isEmpty
          ? "\(path) is not a tokenizer.json: it is no JSON object"
          : "\(path) is not a tokenizer.json: the field \(field) has another type")
    } catch {
      throw PipelineError(.badData, "\(path) is not a tokenizer.json")
    }
    do throws(FileFault) {
      try self.init(file)
    } catch {
      throw PipelineError(.badData, "the vocabulary \(path) cannot be used: \(error.reason)")
    }
  }

  private static func read(_ path: String) throws(PipelineError) -> Data {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw PipelineError(.noInput, "cannot open the vocabulary \(path): \(String(cString: strerror(errno)))")
    }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    let data: Data
    do {
      data = try handle.read(upToCount: largestFileInBytes + 1) ?? Data()
    } catch {
      throw PipelineError(.inputOutput, "cannot read the vocabulary \(path): is it a file?")
    }
    guard data.count <= largestFileInBytes else {
      throw PipelineError(.badData, "\(path) is larger than \(largestFileInBytes >> 20) MiB: it is no vocabulary")
    }
    return data
  }

  private init(_ file: TokenizerJSON) throws(FileFault) {
    try file.refuseWhatIsNotDone()
    let vocabulary = file.model.vocabulary
    var pieces = [[UInt8]](repeating: [], count: vocabulary.count)
    for (text, id) in vocabulary {
      guard let piece = ByteAlphabet.piece(of: text), !piece.isEmpty else {
        throw FileFault("the piece \"\(text)\" has characters outside the byte alphabet")
      }
      guard pieces.indices.contains(id) else {
        throw FileFault(
          "the piece \"\(text)\" has the id \(id), but \(pieces.count) pieces must have the ids from 0 on")
      }
      guard pieces[id].isEmpty else {
        throw FileFault("\"\(ByteAlphabet.text(of: pieces[id]))\" and \"\(text)\" both have the id \(id)")
      }
      pieces[id] = piece
    }
    for character in ByteAlphabet.characters where vocabulary[String(character)] == nil {
      throw FileFault("the byte \"\(character)\" has no id: train it with the whole byte alphabet")
    }
    var merges: [PairMerger.Merge] = []
    merges.reserveCapacity(file.model.merges.count)
    for (left, right) in file.model.merges {
      guard let leftId = vocabulary[left] else { throw FileFault("a merge names the missing piece \"\(left)\"") }
      guard let rightId = vocabulary[right] else { throw FileFault("a merge names the missing piece \"\(right)\"") }
      guard let product = vocabulary[left + right] else {
        throw FileFault("a merge makes the missing piece \"\(left + right)\"")
      }
      merges.append(PairMerger.Merge(left: Int32(leftId), right: Int32(rightId), product: Int32(product)))
    }
    self.init(pieces: pieces, merges: merges, addsPrefixSpace: file.preTokenizer?.addPrefixSpace ?? false)
  }

  /// Writes the vocabulary in Hugging Face's `tokenizer.json` format.
  /// - Throws: `PipelineError` of kind `.cannotCreate` or `.inputOutput`; the file is then as it was before.
  public func write(to url: URL) throws(PipelineError) { try AtomicFile.write(Data(json.utf8), to: url) }

  /// Tells whether ids are those of this vocabulary: FNV-1a 64 over its file, in hexadecimal.
  package var fingerprint: String {
    var hash = FNV1a()
    hash.combine(json.utf8)
    return hash.hexadecimal
  }

  private var json: String {
    func quoted(_ piece: [UInt8]) -> String {
      // Of the alphabet only these two have a meaning inside a JSON string.
      let text = ByteAlphabet.text(of: piece)
      return text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    }
    let byteLevel =
      #"{"type": "ByteLevel", "add_prefix_space": \#(addsPrefixSpace), "trim_offsets": true, "use_regex": true}"#
    let vocabulary = pieces.enumerated().map { id, piece in "      \"\(quoted(piece))\": \(id)" }
    // Merges as strings: releases of the library before 0.20 do not read pairs.
    let merges = merges.map { "      \"\(quoted(pieces[Int($0.left)])) \(quoted(pieces[Int($0.right)]))\"" }
    return """
      {
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
        "pre_tokenizer": \(byteLevel),
        "post_processor": null,
        "decoder": \(byteLevel),
        "model": {
          "type": "BPE",
          "dropout": null,
          "unk_token": null,
          "continuing_subword_prefix": null,
          "end_of_word_suffix": null,
          "fuse_unk": false,
          "byte_fallback": false,
          "vocab": {
      \(vocabulary.joined(separator: ",\n"))
          },
          "merges": [
      \(merges.joined(separator: ",\n"))
          ]
        }
      }

      """
  }
}

/// Why a well-formed file is not one that can be used.
private struct FileFault: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}

/// The parts of a `tokenizer.json` on which ids depend.
private struct TokenizerJSON: Decodable {
  var truncation: Present?
  var padding: Present?
  var addedTokens: [Present]?
  var normalizer: Component?
  var preTokenizer: Component?
  var postProcessor: Component?
  var decoder: Component?
  var model: Model

  enum CodingKeys: String, CodingKey {
    case truncation, padding, normalizer, decoder, model
    case addedTokens = "added_tokens"
    case preTokenizer = "pre_tokenizer"
    case postProcessor = "post_processor"
  }

  /// Anything but null.
  struct Present: Decodable {
    init(from decoder: any Decoder) {}
  }

  /// A normalizer, pre-tokenizer, post-processor or decoder.
  struct Component: Decodable {
    var type: String
    var normalizers: [Component]?
    var addPrefixSpace: Bool?
    var usesPattern: Bool?

    enum CodingKeys: String, CodingKey {
      case type, normalizers
      case addPrefixSpace = "add_prefix_space"
      case usesPattern = "use_regex"
    }

    var description: String {
      guard let normalizers else { return type }
      return "\(type)[\(normalizers.map(\.description).joined(separator: ", "))]"
    }
  }

  struct Model: Decodable {
    var type: String
    var dropout: Float?
    var continuingSubwordPrefix: String?
    var endOfWordSuffix: String?
    var ignoresMerges: Bool?
    var vocabulary: [String: Int]
    var merges: [(left: String, right: String)]

    enum CodingKeys: String, CodingKey {
      case type, dropout, merges
      case continuingSubwordPrefix = "continuing_subword_prefix"
      case endOfWordSuffix = "end_of_word_suffix"
      case ignoresMerges = "ignore_merges"
      case vocabulary = "vocab"
    }

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      type = try fields.decode(String.self, forKey: .type)
      guard type == "BPE" else {
        // What other models hold is of other types.
        (vocabulary, merges) = ([:], [])
        return
      }
      dropout = try fields.decodeIfPresent(Float.self, forKey: .dropout)
      continuingSubwordPrefix = try fields.decodeIfPresent(String.self, forKey: .continuingSubwordPrefix)
      endOfWordSuffix = try fields.decodeIfPresent(String.self, forKey: .endOfWordSuffix)
      ignoresMerges = try fields.decodeIfPresent(Bool.self, forKey: .ignoresMerges)
      vocabulary = try fields.decode([String: Int].self, forKey: .vocabulary)
      merges = try Self.merges(in: fields)
    }

    /// Merges stand as strings, `"a b"`, or as pairs, `["a", "b"]`.
    private static func merges(
      in fields: KeyedDecodingContainer<CodingKeys>
    ) throws -> [(left: String, right: String)] {
      let pairs: [[String]]
      if let strings = try? fields.decode([String].self, forKey: .merges) {
        pairs = strings.map { $0.split(separator: " ", omittingEmptySubsequences: false).map(String.init) }
      } else {
        pairs = try fields.decode([[String]].self, forKey: .merges)
      }
      return try pairs.map { pair in
        guard pair.count == 2 else {
          throw DecodingError.typeMismatch(
            [String].self, .init(codingPath: [CodingKeys.merges], debugDescription: "not a pair"))
        }
        return (pair[0], pair[1])
      }
    }
  }

  func refuseWhatIsNotDone() throws(FileFault) {
    guard model.type == "BPE" else { throw FileFault("its model is \(model.type), and only BPE is read") }
    let normalizers = normalizer?.type == "Sequence" ? normalizer?.normalizers?.map(\.description) : nil
    guard normalizers == ["NFC", "Lowercase"] else {
      throw FileFault(
        "its normalizer is \(normalizer?.description ?? "missing"), and only Sequence[NFC, Lowercase] is read")
    }
    guard let preTokenizer, preTokenizer.type == "ByteLevel" else {
      throw FileFault("its pre-tokenizer is \(preTokenizer?.type ?? "missing"), and only ByteLevel is read")
    }
    guard preTokenizer.addPrefixSpace != nil, preTokenizer.usesPattern ?? true else {
      throw FileFault("its ByteLevel pre-tokenizer must say add_prefix_space and have use_regex true")
    }
    guard postProcessor == nil || postProcessor?.type == "ByteLevel" else {
      throw FileFault("it has a post-processor, \(postProcessor?.type ?? ""), and only ByteLevel is read")
    }
    guard decoder?.type == "ByteLevel" else {
      throw FileFault("its decoder is \(decoder?.type ?? "missing"), and only ByteLevel is read")
    }
    guard addedTokens?.isEmpty ?? true else { throw FileFault("it has added tokens, which are not read") }
    guard truncation == nil, padding == nil else {
      throw FileFault("it truncates or pads, which is not done: set both to null")
    }
    guard model.dropout ?? 0 == 0 else {
      throw FileFault("it has dropout, which is given with each call here: set it to null")
    }
    guard (model.continuingSubwordPrefix ?? "").isEmpty, (model.endOfWordSuffix ?? "").isEmpty else {
      throw FileFault("its model has a subword prefix or suffix, which are not read")
    }
    guard model.ignoresMerges != true else { throw FileFault("its model ignores merges, which is not done") }
  }
}
