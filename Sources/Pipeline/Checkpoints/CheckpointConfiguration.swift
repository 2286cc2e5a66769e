import Basics
import Datasets
import Foundation
import ImageTokenizers
import Imaging
import NN
import Priors
import Rankers
import TensorCore

/// What `config.json` of a checkpoint says: everything that is needed to load it, and how it came about.
public struct CheckpointConfiguration: Codable, Sendable {
  /// The version of this file's layout.
  public var formatVersion = 1
  public var imageTokenizer: AnyImageTokenizerConfiguration?
  public var prior: AnyPriorConfiguration?
  /// What is put around a caption, for a prior that was trained elsewhere with a tokenizer of its own; nil for one that was
  /// trained here, to which captions are given as they are.
  public var prompt: PromptTemplate?
  public var data: DataDescription?
  /// The words of all training captions, sorted, a space between them, for telling which words of a prompt were never
  /// seen.
  public var captionWords: String?
  public var tokenizerTraining: TrainingSummary?
  public var priorTraining: TrainingSummary?
  /// The runs before that one, whose weights it began with.
  public var earlierPriorTraining: [TrainingSummary]?
  public var upsampler: Upsampler.Configuration?
  public var upsamplerTraining: TrainingSummary?
  public var ranker: Ranker.Configuration?
  public var rankerTraining: TrainingSummary?

  /// Pixels a side of what is drawn; nil without an image tokenizer.
  public var pictureSize: Int? { upsampler?.pictureSize ?? imageTokenizer?.layout.pictureSize }

  /// The runs that made the prior, the first one first.
  public var priorRuns: [TrainingSummary] { (earlierPriorTraining ?? []) + [priorTraining].compactMap(\.self) }

  public init() {}

  /// What drawing needs must be understood; how it came about is left out where it is not: another version may say more of
  /// that, or less.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    formatVersion = try fields.decode(Int.self, forKey: .formatVersion)
    imageTokenizer = try fields.decodeIfPresent(AnyImageTokenizerConfiguration.self, forKey: .imageTokenizer)
    prior = try fields.decodeIfPresent(AnyPriorConfiguration.self, forKey: .prior)
    prompt = try fields.decodeIfPresent(PromptTemplate.self, forKey: .prompt)
    upsampler = try fields.decodeIfPresent(Upsampler.Configuration.self, forKey: .upsampler)
    ranker = try fields.decodeIfPresent(Ranker.Configuration.self, forKey: .ranker)
    func provenance<Value: Decodable>(_ key: CodingKeys) -> Value? { try? fields.decode(Value.self, forKey: key) }
    data = provenance(.data)
    captionWords = provenance(.captionWords)
    tokenizerTraining = provenance(.tokenizerTraining)
    priorTraining = provenance(.priorTraining)
    earlierPriorTraining = provenance(.earlierPriorTraining)
    upsamplerTraining = provenance(.upsamplerTraining)
    rankerTraining = provenance(.rankerTraining)
  }

  /// - Parameter path: the file that `json` comes from, for messages.
  /// - Throws: `PipelineError` of kind `.badData` where it is not a configuration of this version or makes no sense.
  init(json: Data, of path: String) throws(PipelineError) {
    struct Version: Decodable {
      var formatVersion: Int?
      /// What published models have in its place.
      var modelType: String?
    }
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      // The version first: in another one, anything else may be different.
      let head = try decoder.decode(Version.self, from: json)
      if head.formatVersion == nil, let type = head.modelType {
        throw PipelineError(
          .badData, "it is of a published model of type \(type): dalle-cli import makes one ready to draw")
      }
      if let version = head.formatVersion, version != 1 {
        throw PipelineError(.badData, "it has the format version \(version), and this program reads 1")
      }
      self = try decoder.decode(Self.self, from: json)
    } catch let error as PipelineError {
      throw PipelineError(error.kind, "\(path): \(error.message)")
    } catch {
      throw PipelineError(.badData, "\(path) is not a checkpoint's configuration: \(Self.explain(error))")
    }
    try validate(of: path)
  }

  private static func explain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" is of the wrong type"
    case DecodingError.dataCorrupted(let context): context.debugDescription
    default: "\(error)"
    }
  }

  func json() throws(PipelineError) -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do { return try encoder.encode(self) } catch {
      throw PipelineError(.inputOutput, "cannot describe the checkpoint: \(error)")
    }
  }

  /// - Parameter source: what the message calls the place where the shapes come from.
  /// - Throws: `PipelineError` of kind `.badData` where a shape makes no sense.
  package func validate(of source: String) throws(PipelineError) {
    for (part, check) in [
      ("image tokenizer", { () throws(PipelineError) in try imageTokenizer?.base.validate() }),
      ("prior", { () throws(PipelineError) in try prior?.base.validateForCaptions() }),
      ("upsampler", { () throws(PipelineError) in try upsampler?.validate() }),
      ("ranker", { () throws(PipelineError) in try ranker?.validate() }),
    ] as [(String, () throws(PipelineError) -> Void)] {
      do throws(PipelineError) { try check() } catch {
        throw PipelineError(error.kind, "\(source): the \(part)'s \(error.message)")
      }
    }
  }

  /// The data set that a checkpoint was trained on.
  public struct DataDescription: Codable, Sendable, Equatable {
    public var name: String
    public var fingerprint: String
    public var fit: Picture.Fit
    public var trainPictures: Int
    public var validationPictures: Int
    public var testPictures: Int

    package init(_ dataSet: PictureDataSet) {
      name = dataSet.url.lastPathComponent
      fingerprint = dataSet.fingerprint
      fit = dataSet.fit
      trainPictures = dataSet.indices(of: .train).count
      validationPictures = dataSet.indices(of: .validation).count
      testPictures = dataSet.indices(of: .test).count
    }
  }

  /// Retrieval@1 on the validation split in the course of a run.
  public struct RetrievalProgress: Codable, Sendable, Equatable {
    /// The share whose own picture was the nearest when it was last measured.
    public var at1: Double
    /// Minutes of the run until at least half were; nil while fewer are.
    public var minutesToHalf: Double?

    package init(at1: Double, minutesToHalf: Double? = nil) { (self.at1, self.minutesToHalf) = (at1, minutesToHalf) }

    /// With a new measurement.
    package func adding(at1: Double, seconds: Double) -> Self {
      Self(at1: at1, minutesToHalf: minutesToHalf ?? (at1 >= 0.5 ? (seconds / 6).rounded() / 10 : nil))
    }
  }

  /// How long and with what a stage was trained, and where it stood at the last save.
  public struct TrainingSummary: Codable, Sendable, Equatable {
    public var steps: Int
    /// Whether the run has come to its end; nil in checkpoints from before it was noted.
    public var isComplete: Bool?
    public var epochs: Double
    public var minutes: Double
    public var threads: Int
    public var precision: ElementType
    public var engine: String
    public var settings: TrainingSettings
    /// Validation PSNR (dB) of a tokenizer, validation loss (nats an image token) of a prior, validation retrieval (the
    /// share of right answers, in 0 ... 1) of a ranker.
    public var validation: Double?
    /// How well a prior's pictures are found by `Evaluation.retrieval`, for validation captions; nil where it was not
    /// measured.
    public var retrieval: RetrievalProgress?
  }
}
