import Decoding
import DrawingService
import Foundation

// What the server answers, in the form of OpenAI's interface with fields of our own. Keys are the properties' names in snake
// case: see `JSON.encoder`.

/// The answer to `GET /v1/models`.
struct ModelList: Encodable, Sendable {
  var object = "list"
  var data: [Model]

  /// The answer to `GET /v1/models/{model}`, too.
  struct Model: Encodable, Sendable {
    var id: String
    var object = "model"
    var created: Int
    var ownedBy = "local"
    var pictureSize: Int
    /// How pictures of another shape are made square.
    var fit: String
    var gridSide: Int
    var codesPerPlace: Int
    var hasRanker: Bool
    var isDefault: Bool
    /// What is drawn with where a request says nothing else.
    var sampling: Sampling

    init(_ description: CheckpointDescription) {
      id = description.name
      created = Int(description.created.timeIntervalSince1970)
      (pictureSize, gridSide) = (description.pictureSize, description.gridSide)
      fit = description.fit.rawValue
      (codesPerPlace, hasRanker) = (description.codesPerPlace, description.hasRanker)
      isDefault = description.isDefault
      sampling = Sampling(description.sampling)
    }
  }

  /// By the names of the fields of requests.
  struct Sampling: Encodable, Sendable {
    var temperature: Float
    var guidance: Float
    var topK: Int
    var topP: Float

    init(_ options: SamplingOptions) {
      (temperature, guidance) = (options.temperature, options.guidance)
      (topK, topP) = (options.topK, options.topP)
    }
  }
}

/// Tokens that a request took.
struct Usage: Encodable, Sendable, Equatable {
  var inputTokens: Int
  var outputTokens: Int
  var totalTokens: Int
  var inputTokensDetails: Details

  struct Details: Encodable, Sendable, Equatable {
    var textTokens: Int
    var imageTokens: Int
  }

  init(_ order: AcceptedOrder) {
    inputTokensDetails = Details(textTokens: order.textTokens, imageTokens: order.keptTokens)
    inputTokens = order.textTokens + order.keptTokens
    outputTokens = order.drawnTokens
    totalTokens = inputTokens + outputTokens
  }
}

/// What is always the same of a picture, as it is told.
private enum Always {
  static let background = "opaque"
  static let outputFormat = "png"
  static let quality = "auto"
}

/// The answer with pictures.
struct PicturesAnswer: Encodable, Sendable {
  var created: Int
  var background = Always.background
  var outputFormat = Always.outputFormat
  var quality = Always.quality
  var size: String
  var data: [Picture]
  var notes: [String]
  var model: String
  var usage: Usage

  struct Picture: Encodable, Sendable {
    var b64Json: String
    var seed: UInt64
    var number: Int
    /// The ranker's, where there were candidates.
    var score: Float?
  }
}

/// An unfinished picture, as an event.
struct PartialImageEvent: Encodable, Sendable {
  var type: String
  var b64Json: String
  var partialImageIndex: Int
  var createdAt: Int
  var size: String
  var quality = Always.quality
  var background = Always.background
  var outputFormat = Always.outputFormat
  var index: Int
}

/// A finished picture, as an event.
struct CompletedEvent: Encodable, Sendable {
  var type: String
  var b64Json: String
  var createdAt: Int
  var size: String
  var quality = Always.quality
  var background = Always.background
  var outputFormat = Always.outputFormat
  var usage: Usage
  var index: Int
  var seed: UInt64
  var number: Int
  var score: Float?
  var notes: [String]
  var model: String
}

/// The place in the queue, as an event.
struct QueuedEvent: Encodable, Sendable {
  var type: String
  var position: Int
}

/// What has ended a stream before its time.
struct ErrorEvent: Encodable, Sendable {
  var type = "error"
  var error: APIError

  private enum CodingKeys: CodingKey { case type, error }

  func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(type, forKey: .type)
    try ErrorBody(error).encode(to: encoder)
  }
}

enum JSON {
  static func encode(_ value: some Encodable) -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do { return try encoder.encode(value) } catch {
      // Nothing in these types has no form in JSON: numbers are finite.
      preconditionFailure("an answer that is no JSON: \(error)")
    }
  }
}
