import Basics
import DrawingService
import Foundation
import HTTPTypes

/// A request that is answered by an error, in the form of OpenAI's interface:
/// https://platform.openai.com/docs/guides/error-codes
struct APIError: Error, Equatable {
  var status: HTTPResponse.Status
  var message: String
  var type = "invalid_request_error"
  /// The field that is wrong.
  var parameter: String?
  var code: String?
  /// Seconds after which another try makes sense.
  var retryAfter: Int?

  /// A request that makes no sense.
  static func badRequest(_ message: String, _ parameter: String? = nil, code: String? = nil) -> APIError {
    APIError(status: .badRequest, message: message, parameter: parameter, code: code)
  }

  static func notFound(_ path: String) -> APIError {
    APIError(status: .notFound, message: "there is nothing at \(path.prefix(200))", code: "not_found")
  }

  static func tooLarge(_ limit: Int) -> APIError {
    APIError(
      status: .contentTooLarge, message: "the request's body is larger than \(limit) bytes", code: "request_too_large")
  }

  static let wrongKey = APIError(
    status: .unauthorized,
    message: "this server wants its key: send the header Authorization: Bearer KEY", code: "invalid_api_key")

  /// - Parameter host: what the request names as the server.
  static func otherHost(_ host: String) -> APIError {
    APIError(
      status: .forbidden,
      message:
        "this server is for the machine that it runs on, which is not called \(host.prefix(100)): where a proxy hands "
        + "that name on, start it with --api-key-file or --allow-origin",
      code: "other_host")
  }

  /// - Parameter host: what the request names as the server.
  static func otherOrigin(_ origin: String, host: String) -> APIError {
    APIError(
      status: .forbidden,
      message: "pages of \(origin.prefix(100)) may not use the server at \(host.prefix(100)): it is started with "
        + "--allow-origin for that, and a proxy must hand on the Host of its clients, port and all",
      code: "other_origin")
  }

  static let internalError = APIError(
    status: .internalServerError, message: "the server has failed at this; its log says more", type: "server_error")

  /// With nginx's number for it.
  static let clientHasGone = APIError(
    status: .init(code: 499, reasonPhrase: "Client Closed Request"),
    message: "the connection was closed on your side before the answer", code: "client_closed_request")

  static let tooMuchIsSent = unavailable("too much is being sent at the moment; try again", after: 5)

  private static func unavailable(_ message: String, after seconds: Int) -> APIError {
    APIError(
      status: .serviceUnavailable, message: message, type: "server_error", code: "unavailable", retryAfter: seconds)
  }

  init(
    status: HTTPResponse.Status, message: String, type: String = "invalid_request_error", parameter: String? = nil,
    code: String? = nil, retryAfter: Int? = nil
  ) {
    (self.status, self.type, self.parameter, self.code) = (status, type, parameter, code)
    self.message = message.singleLine
    self.retryAfter = retryAfter
  }

  init(_ refusal: DrawingRefusal) {
    switch refusal {
    case .queueIsFull(let seconds):
      self.init(
        status: .tooManyRequests, message: "as many requests wait as may; try again in \(seconds) s",
        type: "rate_limit_error", code: "rate_limit_exceeded", retryAfter: seconds)
    case .isLoading: self = .unavailable("the model is still being loaded; try again in a moment", after: 1)
    case .isEnding: self = .unavailable("the server is ending and takes nothing any more", after: 5)
    case .noRoomForCheckpoint(let name):
      self = .unavailable("as many models as may be loaded are in use, and \(name) is none of them", after: 5)
    case .noCheckpoint(let name):
      self.init(
        status: .notFound, message: "there is no model \"\(name.prefix(100))\"; GET /v1/models lists them",
        parameter: "model", code: "model_not_found")
    case .noRanker(let name):
      self = .badRequest("the model \(name) has no ranker, which candidates need", "candidates")
    }
  }

  /// What the library refuses, in the words of the interface.
  init(_ error: PipelineError) {
    guard error.kind == .usage else {
      self = .internalError
      return
    }
    let name = error.message.firstMatch(of: /`([a-zA-Z]+)`/).map { Self.fieldName(String($0.1)) }
    self = .badRequest(error.message.replacing(/`([a-zA-Z]+)`/) { Self.fieldName(String($0.output.1)) }, name)
  }

  /// "top_k" of "topK". Some fields are called otherwise than the settings are.
  private static func fieldName(_ setting: String) -> String {
    let exceptions = ["count": "n", "keptRows": "keep_rows"]
    return exceptions[setting]
      ?? setting.map { $0.isUppercase ? "_\($0.lowercased())" : String($0) }.joined()
  }

  /// For any error that a request ends with.
  static func of(_ error: any Error) -> APIError {
    switch error {
    case let error as APIError: error
    case let refusal as DrawingRefusal: APIError(refusal)
    case let error as PipelineError: APIError(error)
    default: .internalError
    }
  }
}

/// The body of such an answer.
struct ErrorBody: Encodable, Sendable {
  private var error: Content

  private struct Content: Encodable {
    var message: String
    var type: String
    var param: String?
    var code: String?

    private enum CodingKeys: CodingKey { case message, type, param, code }

    /// What there is none of is null, and not left out.
    func encode(to encoder: any Encoder) throws {
      var fields = encoder.container(keyedBy: CodingKeys.self)
      try fields.encode(message, forKey: .message)
      try fields.encode(type, forKey: .type)
      try fields.encode(param, forKey: .param)
      try fields.encode(code, forKey: .code)
    }
  }

  init(_ error: APIError) {
    self.error = Content(message: error.message, type: error.type, param: error.parameter, code: error.code)
  }
}
