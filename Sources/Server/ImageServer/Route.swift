import Basics
import Decoding
import DrawingService
import Foundation
import HTTPTypes
import Hummingbird
import ServerPage

/// What the server answers: the router, the list of methods of a path, and the OpenAPI document are made of these.
struct Route: Sendable {
  var method: HTTPRequest.Method = .get
  /// In which `{name}` stands for a part of any name.
  var path: String
  /// What it is for, for the OpenAPI document; nil for the files of the page, which are not in it.
  var summary: String?
  /// Whether it wants the server's key, where there is one.
  var needsKey = true
  var answer: @Sendable (Request, ServerContext) async throws -> Response

  static func all(_ service: DrawingService, _ settings: ImageServer.Settings, _ metrics: Metrics) -> [Route] {
    let drawing = DrawingRoutes(service: service, limits: settings.requests, software: settings.software)
    let document = OpenAPI.document(settings)
    let sampling = service.catalogue.description(of: nil)?.sampling ?? SamplingOptions()
    return ServerPage.files(sampling: sampling).map(Self.file) + [
      Route(method: .post, path: Endpoint.generations.path, summary: "Draws pictures of a prompt.") {
        try await drawing.answer(.generations, $0, $1)
      },
      Route(
        method: .post, path: Endpoint.edits.path,
        summary: "Draws pictures of a prompt that begin with an image: its upper part is kept."
      ) { try await drawing.answer(.edits, $0, $1) },
      Route(
        method: .post, path: Endpoint.variations.path,
        summary: "Draws an image anew: its upper part is kept, with a prompt or without one."
      ) { try await drawing.answer(.variations, $0, $1) },
      Route(path: "/v1/models", summary: "The models that can draw.") { _, _ in
        .json(ModelList(data: service.catalogue.descriptions.map(ModelList.Model.init)))
      },
      Route(path: "/v1/models/{model}", summary: "One of the models that can draw.") { _, context in
        let part = try context.parameters.require("model")
        let name = part.removingPercentEncoding ?? part
        guard let model = service.catalogue.description(of: name) else { throw APIError(.noCheckpoint(name)) }
        return .json(ModelList.Model(model))
      },
      Route(
        path: "/healthz", summary: "Whether pictures are drawn: 503 while the model is loaded, and at the end.",
        needsKey: false
      ) { _, _ in
        service.isReady
          ? Response(.ok, "text/plain; charset=utf-8", "ok\n".utf8)
          : Response(.serviceUnavailable, "text/plain; charset=utf-8", "not ready\n".utf8)
      },
      Route(path: "/metrics", summary: "Counts and times, as Prometheus reads them.") { _, _ in
        Response(.ok, Metrics.contentType, metrics.text(service.statistics).utf8)
      },
      Route(path: "/openapi.json", summary: "This document.", needsKey: false) { _, _ in
        Response(.ok, "application/json", document)
      },
    ]
  }

  /// Whether it is what answers requests for a path.
  func serves(_ path: String) -> Bool {
    let (own, asked) = (parts(self.path), parts(path))
    return own.count == asked.count && zip(own, asked).allSatisfy { $0.hasPrefix("{") ? !$1.isEmpty : $0 == $1 }
  }

  private func parts(_ path: String) -> [Substring] {
    path.split(separator: "/", omittingEmptySubsequences: false)
  }

  /// No file of the system: the page is part of the program.
  private static func file(_ file: PageFile) -> Route {
    var hash = FNV1a()
    hash.combine(file.content)
    let tag = "\"\(hash.hexadecimal)\""
    return Route(path: file.path, needsKey: false) { request, _ in
      let headers: HTTPFields = [
        .eTag: tag, .cacheControl: "no-cache", .contentSecurityPolicy: contentSecurityPolicy,
        .referrerPolicy: "no-referrer",
      ]
      let known = request.headers[values: .ifNoneMatch].flatMap { $0.split(separator: ",") }
      if known.contains(where: { $0.trimmingCharacters(in: .whitespaces) == tag }) {
        return Response(status: .notModified, headers: headers)
      }
      var response = Response(.ok, file.contentType, file.content)
      response.headers.append(contentsOf: headers)
      return response
    }
  }

  private static let contentSecurityPolicy = """
    default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    """
}
