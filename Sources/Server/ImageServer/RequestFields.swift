import Foundation

/// What a request is about.
enum Endpoint: String, CaseIterable, Sendable {
  case generations, edits, variations

  var path: String { "/v1/images/\(rawValue)" }
  /// What the types of its events begin with.
  var eventPrefix: String {
    switch self {
    case .generations: "image_generation"
    case .edits: "image_edit"
    case .variations: "image_variation"
    }
  }
  /// Whether its fields come as JSON; otherwise as a form with a picture.
  var takesJSON: Bool { self == .generations }
}

/// A field of the interface: its bounds are checked, and told in the OpenAPI document, from here.
struct RequestField: Sendable {
  enum Kind: Sendable {
    case text(longest: Int)
    /// The first is what is meant where it is left out.
    case choice([String])
    case integer(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    case boolean
    case picture
  }

  var name: String
  var kind: Kind
  var meaning: String
  var endpoints: Set<Endpoint>
  /// Where it must be given.
  var required: Set<Endpoint> = []

  private static let all = Set(Endpoint.allCases)
  private static let withPicture: Set<Endpoint> = [.edits, .variations]

  /// All fields that there are.
  static func all(_ limits: RequestLimits) -> [RequestField] {
    [
      .init(
        name: "prompt", kind: .text(longest: limits.promptLength), meaning: "What to draw.", endpoints: all,
        required: [.generations, .edits]),
      .init(
        name: "image", kind: .picture,
        meaning: "A PNG, JPEG or WebP to begin with: its first rows of image tokens are kept. Also called image[].",
        endpoints: withPicture, required: withPicture),
      .init(
        name: "mask", kind: .picture,
        meaning: "A square PNG of any size whose transparent part, whole rows at its bottom, is drawn.",
        endpoints: [.edits]),
      .init(
        name: "keep_rows", kind: .integer(0...1024),
        meaning: "How many rows of the image's tokens are kept; half of them unless given.", endpoints: withPicture),
      .init(
        name: "model", kind: .text(longest: 255),
        meaning: "One of those that GET /v1/models lists; the default unless given.",
        endpoints: all),
      .init(name: "n", kind: .integer(1...limits.pictures), meaning: "How many pictures.", endpoints: all),
      .init(
        name: "size", kind: .text(longest: 20),
        meaning: """
          auto, or the model's own size or a whole multiple of it up to \(limits.side) as "128x128": each pixel becomes a square.
          """, endpoints: all),
      .init(
        name: "response_format", kind: .choice(["b64_json"]), meaning: "Pictures come in the answer; url is refused.",
        endpoints: all),
      .init(name: "output_format", kind: .choice(["png"]), meaning: "The format of the pictures.", endpoints: all),
      .init(name: "stream", kind: .boolean, meaning: "Answers with server-sent events.", endpoints: all),
      .init(
        name: "partial_images", kind: .integer(0...1024),
        meaning: """
          How many unfinished pictures are shown of each, at most one a place of the image grid, and of many pictures fewer of each; \
          with stream.
          """, endpoints: all),
      .init(
        name: "progress", kind: .boolean, meaning: "Tells the place in the queue by events, too; with stream.",
        endpoints: all),
      .init(
        name: "seed", kind: .integer(0...1 << 53),
        meaning: "Names the random numbers: the same seed gives the same pictures. A random one unless given.",
        endpoints: all),
      .init(
        name: "guidance", kind: .number(0...100),
        meaning: "How strongly the prompt is followed (classifier-free guidance); 1 is not at all strengthened.",
        endpoints: all),
      .init(
        name: "temperature", kind: .number(0...100),
        meaning: "Below 1 the likely becomes likelier; 0 takes the likeliest.",
        endpoints: all),
      .init(
        name: "top_k", kind: .integer(0...1 << 20),
        meaning: "Draws among this many likeliest tokens; 0 sets no number.", endpoints: all),
      .init(
        name: "top_p", kind: .number(0...1),
        meaning: "Draws among the likeliest tokens that make up this probability; above 0.", endpoints: all),
      .init(
        name: "candidates", kind: .integer(1...limits.candidates),
        meaning: "Draws this many pictures and keeps the best n by the model's ranker.", endpoints: all),
      .init(
        name: "literal", kind: .boolean,
        meaning: "Gives the model the prompt as it is typed, with nouns that it has never seen.",
        endpoints: all),
      .init(name: "input_fidelity", kind: .choice(["low", "high"]), meaning: "Not used.", endpoints: [.edits]),
      .init(name: "user", kind: .text(longest: 512), meaning: "Not used.", endpoints: all),
      .init(name: "quality", kind: .choice(["auto", "standard"]), meaning: "There is one.", endpoints: all),
      .init(name: "background", kind: .choice(["auto", "opaque"]), meaning: "There is one.", endpoints: all),
      .init(name: "style", kind: .choice(["vivid"]), meaning: "There is one.", endpoints: [.generations]),
      .init(name: "moderation", kind: .choice(["auto", "low"]), meaning: "Not used.", endpoints: [.generations]),
      .init(name: "output_compression", kind: .integer(100...100), meaning: "There is one.", endpoints: all),
    ]
  }
}

/// How much one request may ask for.
package struct RequestLimits: Sendable {
  /// Bytes of a JSON body, and of a form with a picture.
  package var jsonBytes = 64 << 10
  package var formBytes = 16 << 20
  /// Bytes of all JSON bodies together, and of all forms.
  package var allBytes = 256 << 20
  /// Unicode characters of a prompt; what a model sees of it is far less.
  package var promptLength = 4000
  /// Pictures of a request, and candidates for them.
  package var pictures = 16
  package var candidates = 64
  /// Unfinished pictures of a request, each of which is decoded for it while all others wait, and of one picture at least.
  package var unfinished = (all: 64, each: 4)
  /// Of each of `count` pictures.
  func partials(of count: Int) -> Int { max(unfinished.each, unfinished.all / count) }
  /// Pixels a side of a picture that is answered.
  package var side = 1024
  /// Pixels of a picture that is sent.
  package var pixels = 16_000_000

  package init() {}
}

/// The fields of one request, checked one by one.
struct RequestFields: Sendable {
  enum Value: Sendable, Equatable {
    case null, boolean(Bool), integer(Int), number(Double)
    /// In a form it may stand for any of the others.
    case text(String)
    case file(Data)
    /// A list or an object.
    case other
  }

  private let values: [String: Value]
  private let fields: [String: RequestField]

  /// - Throws: where a field is not one of the endpoint's, or one is missing.
  init(_ values: [String: Value], _ endpoint: Endpoint, _ limits: RequestLimits) throws(APIError) {
    let known = RequestField.all(limits).filter { $0.endpoints.contains(endpoint) }
    fields = Dictionary(uniqueKeysWithValues: known.map { ($0.name, $0) })
    self.values = values.filter { $0.value != .null }
    for name in self.values.keys.sorted() where fields[name] == nil {
      throw .badRequest(
        "there is no field \"\(name.prefix(100))\" here", String(name.prefix(100)), code: "unknown_parameter")
    }
    for field in known where field.required.contains(endpoint) && self.values[field.name] == nil {
      throw .badRequest("\(field.name) is missing", field.name, code: "missing_required_parameter")
    }
    // Also what is not used is what it says.
    for field in known where self.values[field.name] != nil { try check(field) }
  }

  /// - Throws: where the body is no JSON object.
  static func json(_ body: Data) throws(APIError) -> [String: Value] {
    do { return try JSONDecoder().decode([String: Value].self, from: body) } catch {
      throw .badRequest("the body is no JSON object")
    }
  }

  /// - Throws: where the body is no form, or a field comes twice.
  static func form(_ body: Data, contentType: String) throws(APIError) -> [String: Value] {
    var values: [String: Value] = [:]
    for part in try MultipartForm(body, contentType: contentType).parts {
      let name = part.name == "image[]" ? "image" : part.name
      guard values[name] == nil else {
        throw .badRequest(
          name == "image" ? "one image is taken, and there are several" : "the form has \(name.prefix(100)) twice",
          String(name.prefix(100)))
      }
      if part.fileName != nil || ["image", "mask"].contains(name) {
        values[name] = .file(part.content)
      } else {
        guard let text = String(validating: part.content, as: UTF8.self) else {
          throw .badRequest("\(name.prefix(100)) is no UTF-8", String(name.prefix(100)))
        }
        values[name] = .text(text)
      }
    }
    return values
  }

  private func check(_ field: RequestField) throws(APIError) {
    switch field.kind {
    case .text, .choice: _ = try text(field.name)
    case .integer: _ = try integer(field.name)
    case .number: _ = try number(field.name)
    case .boolean: _ = try boolean(field.name)
    case .picture: _ = try file(field.name)
    }
  }

  private func wrong(_ name: String, _ expected: String) -> APIError {
    .badRequest("\(name) must be \(expected)", name, code: "invalid_value")
  }

  func text(_ name: String) throws(APIError) -> String? {
    guard let value = values[name], let field = fields[name] else { return nil }
    guard case .text(let text) = value else { throw wrong(name, "a string") }
    switch field.kind {
    // What JSON Schema calls characters.
    case .text(let longest) where text.unicodeScalars.count > longest:
      throw .badRequest(
        "\(name) has \(text.unicodeScalars.count) characters, and at most \(longest) are taken", name,
        code: "string_above_max_length")
    case .choice(let choices) where !choices.contains(text):
      throw wrong(name, choices.map { "\"\($0)\"" }.joined(separator: " or ") + ", not \"\(text.prefix(40))\"")
    default: return text
    }
  }

  func integer(_ name: String) throws(APIError) -> Int? {
    guard let value = values[name], let field = fields[name], case .integer(let range) = field.kind else { return nil }
    let bounds =
      range.count == 1 ? "\(range.lowerBound)" : "a whole number in \(range.lowerBound) ... \(range.upperBound)"
    let number: Int? =
      switch value {
      case .integer(let integer): integer
      case .text(let text) where isForm: Int(text)
      default: nil
      }
    guard let number, range.contains(number) else { throw wrong(name, bounds) }
    return number
  }

  func number(_ name: String) throws(APIError) -> Double? {
    guard let value = values[name], let field = fields[name], case .number(let range) = field.kind else { return nil }
    let number: Double? =
      switch value {
      case .integer(let integer): Double(integer)
      case .number(let number): number
      case .text(let text) where isForm: Double(text)
      default: nil
      }
    guard let number, range.contains(number) else {
      throw wrong(name, "a number in \(range.lowerBound) ... \(range.upperBound)")
    }
    return number
  }

  func boolean(_ name: String) throws(APIError) -> Bool? {
    switch values[name] {
    case nil: return nil
    case .boolean(let value): return value
    case .text("true") where isForm: return true
    case .text("false") where isForm: return false
    default: throw wrong(name, "true or false")
    }
  }

  func file(_ name: String) throws(APIError) -> Data? {
    switch values[name] {
    case nil: return nil
    case .file(let content): return content
    default: throw wrong(name, "a file")
    }
  }

  /// In a form all values are text.
  private var isForm: Bool { fields["image"] != nil }
}

extension RequestFields.Value: Decodable {
  init(from decoder: any Decoder) throws {
    guard let value = try? decoder.singleValueContainer() else {
      self = .other
      return
    }
    self =
      if value.decodeNil() { .null } else if let boolean = try? value.decode(Bool.self) {
        .boolean(boolean)
      } else if let integer = try? value.decode(Int.self) {
        .integer(integer)
      } else if let number = try? value.decode(Double.self) {
        .number(number)
      } else if let text = try? value.decode(String.self) {
        .text(text)
      } else {
        .other
      }
  }
}
