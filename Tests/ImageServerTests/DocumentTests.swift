import DrawingService
import Foundation
import Imaging
import TestSupport
import Testing

@testable import ImageServer

/// Whether what the server says of itself is true.
struct DocumentTests {
  private func document(_ server: TestServer) async throws -> [String: Any] {
    let answer = try await server.get("/openapi.json")
    #expect(answer.status == 200 && answer.headers["content-type"] == "application/json")
    return try answer.json()
  }

  private func schemas(_ document: [String: Any]) throws -> [String: [String: Any]] {
    try #require((document["components"] as? [String: Any])?["schemas"] as? [String: [String: Any]])
  }

  @Test func thePathsAreThoseOfTheServer() async throws {
    let server = try await Shared.server.value
    let document = try await document(server)
    #expect(document["openapi"] as? String == "3.1.0")
    let paths = try #require(document["paths"] as? [String: [String: Any]])
    var settings = ImageServer.Settings()
    settings.port = 0
    let routes = Route.all(server.service, settings, Metrics()).filter { $0.summary != nil }
    // What a path has for all of its methods stands beside them.
    let told = Set(
      paths.flatMap { path, item in item.keys.filter { $0 != "parameters" }.map { "\($0.uppercased()) \(path)" } })
    #expect(told == Set(routes.map { "\($0.method.rawValue) \($0.path)" }))
    for route in routes {
      let operation = paths[route.path]?[route.method.rawValue.lowercased()] as? [String: Any]
      #expect(operation?["summary"] as? String == route.summary)
      #expect((operation?["security"] != nil) == route.needsKey, "\(route.path)")
      // Nothing that the document has is unknown to the server.
      let answer = try await server.send(route.method.rawValue, route.path, [:], Data())
      let responses = try #require(operation?["responses"] as? [String: Any])
      #expect(responses["\(answer.status)"] != nil, "\(route.path): \(answer.status)")
    }
  }

  /// What refers to something refers to something that is there.
  @Test func referencesLeadSomewhere() async throws {
    let server = try await Shared.server.value
    let document = try await document(server)
    let names = Set(try schemas(document).keys)
    let text = String(decoding: try JSONSerialization.data(withJSONObject: document), as: UTF8.self)
    let references = text.matches(of: /#\\\/components\\\/schemas\\\/([A-Za-z]+)/).map { String($0.1) }
    #expect(references.count > 10 && Set(references).isSubset(of: names))
  }

  /// Every field at both of its bounds is taken, and beyond them refused.
  @Test func theFieldsOfRequestsAreThoseThatAreTaken() async throws {
    let server = try await Shared.server.value
    let schema = try #require(try schemas(try await document(server))["GenerationsRequest"])
    let properties = try #require(schema["properties"] as? [String: [String: Any]])
    #expect(schema["required"] as? [String] == ["prompt"] && schema["additionalProperties"] as? Bool == false)
    func status(_ name: String, _ value: Any) async throws -> Int {
      var fields: [String: Any] = ["prompt": "x"]
      fields[name] = value
      if name == "partial_images" { fields["stream"] = true }
      if name == "n" || name == "candidates" { fields["top_k"] = 1 }
      let json = try JSONSerialization.data(withJSONObject: fields)
      return try await server.generate(String(decoding: json, as: UTF8.self)).status
    }
    for (name, field) in properties {
      switch field["type"] as? String {
      case "integer", "number":
        let (least, most) = (try #require(field["minimum"] as? Double), try #require(field["maximum"] as? Double))
        #expect(try await status(name, Int(most)) == 200, "\(name)")
        #expect(try await status(name, name == "top_p" ? 0.01 : Int(least)) == 200, "\(name)")
        #expect(try await status(name, least - 1) == 400, "\(name)")
        #expect(try await status(name, most * 2 + 1) == 400, "\(name)")
      case "boolean":
        for value in [true, false] { #expect(try await status(name, value) == 200, "\(name)") }
      case "string":
        if let choices = field["enum"] as? [String] {
          for choice in choices { #expect(try await status(name, choice) == 200, "\(name)") }
          #expect(try await status(name, "something else") == 400, "\(name)")
        } else {
          let most = try #require(field["maxLength"] as? Int)
          #expect(try await status(name, String(repeating: "x", count: most + 1)) == 400, "\(name)")
        }
      default: Issue.record("\(name) is of no type")
      }
    }
  }

  /// Compares what is answered with its schema: the same fields, of the right types.
  private func check(
    _ value: Any, _ schema: [String: Any], _ all: [String: [String: Any]], _ path: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var schema = schema
    if let reference = schema["$ref"] as? String, let name = reference.split(separator: "/").last {
      schema = all[String(name)] ?? [:]
    }
    let types = schema["type"] as? [String] ?? [schema["type"] as? String ?? "none"]
    let found =
      switch value {
      case is NSNull: "null"
      case is String: "string"
      case let number as NSNumber:
        CFBooleanCheck.isBoolean(number)
          ? "boolean" : number.doubleValue == number.doubleValue.rounded() ? "integer" : "number"
      case is [Any]: "array"
      default: "object"
      }
    #expect(
      types.contains(found) || found == "integer" && types.contains("number"), "\(path) is \(found)",
      sourceLocation: sourceLocation)
    if let items = schema["items"] as? [String: Any], let values = value as? [Any] {
      for value in values { check(value, items, all, path + "[]", sourceLocation: sourceLocation) }
    }
    guard let properties = schema["properties"] as? [String: [String: Any]], let fields = value as? [String: Any] else {
      return
    }
    let required = Set(schema["required"] as? [String] ?? [])
    #expect(required.isSubset(of: fields.keys), "\(path) lacks fields", sourceLocation: sourceLocation)
    #expect(Set(fields.keys).isSubset(of: properties.keys), "\(path) has more fields", sourceLocation: sourceLocation)
    for (name, value) in fields {
      check(value, properties[name] ?? [:], all, "\(path).\(name)", sourceLocation: sourceLocation)
    }
  }

  @Test func answersAreAsTheDocumentSays() async throws {
    let server = try await Shared.server.value
    let all = try schemas(try await document(server))
    func check(_ value: [String: Any], _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
      self.check(value, try #require(all[name]), all, name, sourceLocation: sourceLocation)
    }
    try check(try await server.get("/v1/models").json(), "ModelList")
    try check(try await server.get("/v1/models/checkpoint").json(), "Model")
    try check(try await server.get("/nothing").json(), "Error")
    try check(try await server.generate("{}").json(), "Error")
    try check(try await server.generate(#"{"prompt": "x", "n": 2}"#).json(), "Pictures")
    try check(try await server.generate(#"{"prompt": "x", "candidates": 2}"#).json(), "Pictures")
    let events = try await StreamTests.answerThatShows(partial: "image_generation.partial_image") {
      try await server.generate(
        #"{"prompt": "x", "stream": true, "partial_images": 4, "progress": true, "candidates": 2}"#)
    }.events()
    let names = [
      "image_generation.queued": "QueuedEvent", "image_generation.partial_image": "PartialImageEvent",
      "image_generation.completed": "CompletedEvent",
    ]
    #expect(Set(events.map(\.type)) == Set(names.keys))
    for event in events { try check(event.object, try #require(names[event.type])) }
    let error = try JSONSerialization.jsonObject(with: JSON.encode(ErrorEvent(error: .internalError)))
    try check(try #require(error as? [String: Any]), "ErrorEvent")
  }

  /// Prometheus' text: every sample has a type and help, no name comes twice, and histograms add up.
  @Test func metricsAreReadAsPrometheusReadsThem() async throws {
    let server = try await TestServer()
    _ = try await server.generate(#"{"prompt": "x", "n": 3}"#)
    _ = try await server.generate("{}")
    for i in 0..<20 { _ = try await server.get("/nothing/\(i)") }
    let answer = try await server.get("/metrics")
    #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
    let lines = String(decoding: answer.body, as: UTF8.self).split(separator: "\n").map(String.init)
    var (types, samples): ([String: String], [String: Double]) = ([:], [:])
    for line in lines {
      if line.hasPrefix("# TYPE ") {
        let words = line.split(separator: " ").map(String.init)
        #expect(types.updateValue(words[3], forKey: words[2]) == nil)
      } else if !line.hasPrefix("#") {
        let space = try #require(line.lastIndex(of: " "))
        let key = String(line[..<space])
        #expect(samples.updateValue(try #require(Double(line[space...].dropFirst())), forKey: key) == nil, "\(line)")
        let name = String(key.prefix { $0 != "{" }).replacing(/_(bucket|sum|count)$/, with: "")
        #expect(types[name] != nil, "\(line)")
        if name.hasSuffix("_total") { #expect(types[name] == "counter") }
      }
    }
    #expect(samples["dalle_pictures_total"] == 3 && samples["dalle_image_tokens_total"] == 48)
    let path = #"path="/v1/images/generations""#
    #expect(samples[#"dalle_http_requests_total{\#(path),method="POST",status="200"}"#] == 1)
    #expect(samples[#"dalle_http_requests_total{\#(path),method="POST",status="400"}"#] == 1)
    #expect(samples[#"dalle_http_requests_total{path="other",method="GET",status="404"}"#] == 20)
    #expect(samples["dalle_http_request_duration_seconds_bucket{\(path),le=\"+Inf\"}"] == 2)
    #expect(samples["dalle_http_request_duration_seconds_count{\(path)}"] == 2)
    #expect(samples["dalle_queue_length"] == 0 && samples["dalle_drawings_total{result=\"finished\"}"] == 1)
    #expect((samples["dalle_http_request_duration_seconds_sum{\(path)}"] ?? 0) > 0)
  }
}

/// Foundation has booleans of JSON as numbers.
private enum CFBooleanCheck {
  static func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}
