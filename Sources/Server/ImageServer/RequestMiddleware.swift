import Basics
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

/// What all requests have in common: a key where one is wanted, errors in one form, a line in the log, and counts.
struct RequestMiddleware: RouterMiddleware {
  typealias Context = ServerContext

  let routes: [Route]
  let keys: APIKeys?
  /// In small letters, as browsers send origins.
  let allowedOrigin: String?
  /// Whether requests that call the server by a name are refused, but for that of the machine itself.
  let isForThisMachine: Bool
  let metrics: Metrics
  let logger: Logger

  func handle(
    _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    metrics.hasBegun()
    // Those of its path, of any method.
    let served = routes.filter { $0.serves(request.uri.path) }
    let path = served.first?.path ?? "other"
    let method = routes.contains { $0.method == request.method } ? request.method.rawValue : "other"
    var logger = logger
    logger[metadataKey: "request_id"] = "\(context.requestID)"
    let ending = RequestEnding { [metrics, logger] status in
      let seconds = start.duration(to: .now).inSeconds
      metrics.hasEnded(path: path, method: method, status: status, seconds: seconds)
      let line = "\(method) \(path) \(status) \(String(format: "%.3f", seconds)) s"
      // What is asked for every few seconds would bury the rest.
      logger.log(level: ["/healthz", "/metrics"].contains(path) && status < 400 ? .debug : .info, "\(line)")
    }
    var response: Response
    do {
      try checkHost(request)
      try checkOrigin(request)
      response =
        if let answer = preflight(request) { answer } else { try await authorized(request, context, served, next) }
    } catch is CancellationError {
      // Most likely nobody reads it. A client that has closed its own side only is told why nothing was drawn.
      response = Response(.clientHasGone)
    } catch {
      let answer = failure(error, request, served)
      if answer == .internalError { logger.error("\("\(error)".singleLine)") }
      response = Response(answer)
      if answer.status == .methodNotAllowed { response.headers[.allow] = methods(of: served) }
    }
    response.headers[.xRequestID] = context.requestID
    response.headers[.xContentTypeOptions] = "nosniff"
    if let allowedOrigin {
      response.headers[.accessControlAllowOrigin] = allowedOrigin
      response.headers[.accessControlExposeHeaders] = "x-request-id, retry-after"
      if allowedOrigin != "*" { response.headers[.vary] = "Origin" }
    }
    // The router leaves out the bodies of its own answers alone.
    if request.method == .head { response = response.createHeadResponse() }
    let (status, body) = (response.status.code, response.body)
    if body.contentLength != nil {
      ending.isAnswered(status)
      return response
    }
    response.body = ResponseBody { writer in
      try await body.write(writer)
      ending.isAnswered(status)
    }
    return response
  }

  private func authorized(
    _ request: Request, _ context: ServerContext, _ served: [Route],
    _ next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    let isOpen = served.contains { !$0.needsKey }
    if let keys, !isOpen, !keys.accept(request.headers[.authorization]) { throw APIError.wrongKey }
    // The router knows a path by other names, too, such as /metrics/, which a proxy's rules do not.
    guard !served.isEmpty else { throw APIError.notFound(request.uri.path) }
    return try await next(request, context)
  }

  /// A page whose name is made to mean this machine by and by (DNS rebinding) is the server's own to a browser. What it sends
  /// still bears that name.
  private func checkHost(_ request: Request) throws(APIError) {
    guard isForThisMachine, let host = request.head.authority?.lowercased() else { return }
    let name = host.prefix { $0 != ":" }
    let isAddress = host.hasPrefix("[") || name.allSatisfy { $0.isASCII && $0.isNumber || $0 == "." }
    if !isAddress, name != "localhost", !name.hasSuffix(".localhost") { throw .otherHost(host) }
  }

  /// Browsers tell the origin of a page with what it sends elsewhere. They send a form to any server without asking it,
  /// and show the page no answer: what has been drawn by then has taken its time all the same.
  /// - Throws: where a page of another server asks, and its origin is not the one that may.
  private func checkOrigin(_ request: Request) throws(APIError) {
    guard let origin = request.headers[.origin]?.lowercased(), allowedOrigin != "*", origin != allowedOrigin else {
      return
    }
    let own = request.head.authority?.lowercased() ?? ""
    if origin != "http://\(own)", origin != "https://\(own)" { throw .otherOrigin(origin, host: own) }
  }

  /// What a browser asks before it sends a page's request to another origin; nil for anything else.
  private func preflight(_ request: Request) -> Response? {
    guard request.method == .options, allowedOrigin != nil, request.headers[.accessControlRequestMethod] != nil else {
      return nil
    }
    // Whatever a client's library sends beside: OpenAI's tells its version in several headers of its own.
    let headers = request.headers[.accessControlRequestHeaders] ?? "authorization, content-type"
    return Response(
      status: .noContent,
      headers: [
        .accessControlAllowMethods: "GET, POST", .accessControlAllowHeaders: headers, .accessControlMaxAge: "600",
      ])
  }

  private func methods(of served: [Route]) -> String {
    let methods = served.map(\.method)
    return (methods.contains(.get) ? [.head] + methods : methods).map(\.rawValue).joined(separator: ", ")
  }

  private func failure(_ error: any Error, _ request: Request, _ served: [Route]) -> APIError {
    guard let error = error as? HTTPError else { return .of(error) }
    guard error.status == .notFound else {
      return APIError(status: error.status, message: error.body ?? "\(error.status)")
    }
    let path = request.uri.path
    if served.isEmpty { return .notFound(path) }
    return APIError(
      status: .methodNotAllowed,
      message: "\(path) takes \(methods(of: served)), not \(request.method.rawValue.prefix(20))",
      code: "method_not_allowed")
  }
}

/// Says once how a request has ended: by an answer, or because its client has gone.
private final class RequestEnding: Sendable {
  private let isOver = Mutex(false)
  private let action: @Sendable (_ status: Int) -> Void

  init(_ action: @escaping @Sendable (_ status: Int) -> Void) { self.action = action }

  deinit { isAnswered(APIError.clientHasGone.status.code) }

  func isAnswered(_ status: Int) { if !isOver.withLock({ $0.exchange(true) }) { action(status) } }
}

extension Bool {
  fileprivate mutating func exchange(_ value: Bool) -> Bool {
    defer { self = value }
    return self
  }
}

extension HTTPField.Name {
  static let xRequestID = Self("X-Request-ID")!
  static let referrerPolicy = Self("Referrer-Policy")!
}
