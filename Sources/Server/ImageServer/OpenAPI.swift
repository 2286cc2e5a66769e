import Foundation
import HTTPTypes

/// What the interface takes and answers, as an OpenAPI document: https://spec.openapis.org/oas/v3.1.0
///
/// The fields of requests come from ``RequestField``, which also checks them.
enum OpenAPI {
  static func document(_ settings: ImageServer.Settings) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do { return try encoder.encode(root(settings)) } catch { preconditionFailure("no JSON: \(error)") }
  }

  private static func root(_ settings: ImageServer.Settings) -> JSONNode {
    var paths: [String: JSONNode] = [
      "/v1/models": ["get": operation("listModels", "The models that can draw.", [200: json("ModelList")], key: true)],
      "/v1/models/{model}": [
        "get": operation(
          "getModel", "One of the models that can draw.", [200: json("Model"), 404: json("Error")], key: true),
        "parameters": [["name": "model", "in": "path", "required": true, "schema": string]],
      ],
      "/healthz": [
        "get": operation(
          "getHealth", "Whether pictures are drawn: 503 while the model is loaded, and at the end.",
          [200: text, 503: text], key: false)
      ],
      "/metrics": [
        "get": operation("getMetrics", "Counts and times, as Prometheus reads them.", [200: text], key: true)
      ],
      "/openapi.json": [
        "get": operation(
          "getDocument", "This document.", [200: ["application/json": ["schema": ["type": "object"]]]], key: false)
      ],
    ]
    for endpoint in Endpoint.allCases { paths[endpoint.path] = ["post": drawing(endpoint)] }
    return [
      "openapi": "3.1.0",
      "info": [
        "title": "Pictures of captions",
        "version": .text(settings.software.split(separator: " ").last.map(String.init) ?? ""),
        "description": "OpenAI's images interface with fields of our own, over a model of this server's.",
        "license": ["name": "MIT", "identifier": "MIT"],
      ],
      "servers": [["url": "/"]],
      "paths": .object(paths),
      "components": [
        "schemas": .object(schemas(settings.requests)),
        "securitySchemes": ["key": ["type": "http", "scheme": "bearer"]],
      ],
    ]
  }

  // MARK: - Operations

  private static let text: JSONNode = ["text/plain": ["schema": ["type": "string"]]]

  private static func reference(_ schema: String) -> JSONNode { ["$ref": .text("#/components/schemas/\(schema)")] }

  private static func json(_ schema: String) -> JSONNode { ["application/json": ["schema": reference(schema)]] }

  /// - Parameter key: whether it wants the server's key, where there is one.
  private static func operation(
    _ name: String, _ summary: String, _ answers: [Int: JSONNode], key: Bool
  ) -> JSONNode {
    var responses: [String: JSONNode] = [:]
    for (status, content) in answers {
      responses["\(status)"] = [
        "description": .text(HTTPResponse.Status(code: status).reasonPhrase), "content": content,
      ]
    }
    responses["403"] = [
      "description": "a page of another server asks, and its origin is not allowed", "content": json("Error"),
    ]
    if key { responses["401"] = ["description": "the key is missing or wrong", "content": json("Error")] }
    var fields: [String: JSONNode] = [
      "operationId": .text(name), "summary": .text(summary), "responses": .object(responses),
    ]
    if key { fields["security"] = [["key": []], [:]] }
    return .object(fields)
  }

  private static func drawing(_ endpoint: Endpoint) -> JSONNode {
    let summary =
      switch endpoint {
      case .generations: "Draws pictures of a prompt."
      case .edits: "Draws pictures of a prompt that begin with an image: its upper part is kept."
      case .variations: "Draws an image anew: its upper part is kept, with a prompt or without one."
      }
    let success: JSONNode = [
      "application/json": ["schema": reference("Pictures")],
      "text/event-stream": [
        "schema": [
          "type": "string",
          "description": .text(
            """
            With stream: events \(endpoint.eventPrefix).partial_image (PartialImageEvent), \
            \(endpoint.eventPrefix).completed (CompletedEvent), with progress \(endpoint.eventPrefix).queued (QueuedEvent), and \
            error (ErrorEvent).
            """),
        ]
      ],
    ]
    var answers = [200: success]
    for status in [400, 404, 413, 415, 429, 500, 503] { answers[status] = json("Error") }
    guard case .object(var fields) = operation(endpoint.rawValue, summary, answers, key: true) else { return .null }
    fields["requestBody"] = [
      "required": true,
      "content": [
        endpoint.takesJSON ? "application/json" : "multipart/form-data": [
          "schema": reference(endpoint.rawValue.capitalized + "Request")
        ]
      ],
    ]
    return .object(fields)
  }

  // MARK: - Schemas

  private static func schemas(_ limits: RequestLimits) -> [String: JSONNode] {
    var schemas = answers
    for endpoint in Endpoint.allCases {
      let fields = RequestField.all(limits).filter { $0.endpoints.contains(endpoint) }
      schemas[endpoint.rawValue.capitalized + "Request"] = [
        "type": "object", "additionalProperties": false,
        "properties": .object(Dictionary(uniqueKeysWithValues: fields.map { ($0.name, schema($0)) })),
        "required": .list(fields.filter { $0.required.contains(endpoint) }.map { .text($0.name) }),
      ]
    }
    return schemas
  }

  private static func schema(_ field: RequestField) -> JSONNode {
    var schema: [String: JSONNode] =
      switch field.kind {
      case .text(let longest): ["type": "string", "maxLength": .integer(longest)]
      case .choice(let choices): ["type": "string", "enum": .list(choices.map { .text($0) })]
      case .integer(let range):
        ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
      case .number(let range):
        ["type": "number", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound)]
      case .boolean: ["type": "boolean"]
      case .picture: ["type": "string", "contentMediaType": "application/octet-stream"]
      }
    schema["description"] = .text(field.meaning)
    return .object(schema)
  }

  private static func object(_ properties: [String: JSONNode], optional: Set<String> = []) -> JSONNode {
    [
      "type": "object", "properties": .object(properties),
      "required": .list(properties.keys.filter { !optional.contains($0) }.sorted().map { .text($0) }),
    ]
  }

  private static let string: JSONNode = ["type": "string"]
  private static let integer: JSONNode = ["type": "integer"]
  private static let real: JSONNode = ["type": "number"]
  private static let boolean: JSONNode = ["type": "boolean"]
  private static let score: JSONNode = [
    "type": "number", "description": "The ranker's, in -1 ... 1, where there were candidates.",
  ]
  private static let notes: JSONNode = [
    "type": "array", "items": string, "description": "What the model cannot know of the prompt, a sentence each.",
  ]
  private static let number: JSONNode = ["type": "integer", "description": "Which picture of the seed it is."]
  private static let picture: JSONNode = [
    "type": "string", "contentEncoding": "base64", "contentMediaType": "image/png",
  ]
  /// What events of pictures have in common.
  private static let ofEvents: [String: JSONNode] = [
    "type": string, "b64_json": picture, "created_at": integer, "size": string, "quality": string, "background": string,
    "output_format": string, "index": ["type": "integer", "description": "Which of the n pictures."],
  ]

  /// What is answered, by the name of its schema.
  private static let answers: [String: JSONNode] = [
    "Error": object([
      "error": object([
        "message": string, "type": string, "param": ["type": ["string", "null"]], "code": ["type": ["string", "null"]],
      ])
    ]),
    "Model": object([
      "id": string, "object": string, "created": integer, "owned_by": string, "picture_size": integer,
      "fit": ["type": "string", "enum": ["pad", "crop"]],
      "grid_side": integer, "codes_per_place": integer, "has_ranker": boolean, "is_default": boolean,
      "sampling": reference("Sampling"),
    ]),
    "Sampling": object(["temperature": real, "guidance": real, "top_k": integer, "top_p": real]),
    "ModelList": object(["object": string, "data": ["type": "array", "items": reference("Model")]]),
    "Usage": object([
      "input_tokens": integer, "output_tokens": integer, "total_tokens": integer,
      "input_tokens_details": object(["text_tokens": integer, "image_tokens": integer]),
    ]),
    "Picture": object(["b64_json": picture, "seed": integer, "number": number, "score": score], optional: ["score"]),
    "Pictures": object([
      "created": integer, "background": string, "output_format": string, "quality": string, "size": string,
      "data": ["type": "array", "items": reference("Picture")], "notes": notes, "model": string,
      "usage": reference("Usage"),
    ]),
    "PartialImageEvent": object(ofEvents.merging(["partial_image_index": integer]) { $1 }),
    "CompletedEvent": object(
      ofEvents.merging([
        "seed": integer, "number": number, "score": score, "notes": notes, "model": string, "usage": reference("Usage"),
      ]) { $1 }, optional: ["score"]),
    "QueuedEvent": object([
      "type": string, "position": ["type": "integer", "description": "0 when it is being drawn."],
    ]),
    "ErrorEvent": object(["type": string, "error": ["type": "object"]]),
  ]
}

/// A piece of JSON, written as a literal.
enum JSONNode: Encodable, Sendable {
  case null, boolean(Bool), integer(Int), number(Double), text(String), list([JSONNode]), object([String: JSONNode])

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .boolean(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .list(let values): try container.encode(values)
    case .object(let fields): try container.encode(fields)
    }
  }
}

extension JSONNode: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  init(stringLiteral value: String) { self = .text(value) }
  init(booleanLiteral value: Bool) { self = .boolean(value) }
  init(arrayLiteral elements: JSONNode...) { self = .list(elements) }
  init(dictionaryLiteral elements: (String, JSONNode)...) {
    self = .object(Dictionary(elements) { $1 })
  }
}
