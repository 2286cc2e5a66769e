import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
  init(_ status: HTTPResponse.Status = .ok, _ contentType: String, _ content: some Collection<UInt8>) {
    self.init(
      status: status, headers: [.contentType: contentType], body: ResponseBody(byteBuffer: ByteBuffer(bytes: content)))
  }

  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
    Response(status, "application/json", JSON.encode(value))
  }

  init(_ error: APIError) {
    self = .json(ErrorBody(error), status: error.status)
    if let seconds = error.retryAfter { headers[.retryAfter] = "\(seconds)" }
    if error.status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
  }
}

extension Request {
  /// The whole body.
  /// - Throws: `APIError` where it is larger than `limit`, before it is read where its length is told.
  func wholeBody(limit: Int) async throws -> Data {
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw APIError.tooLarge(limit) }
    var whole = Data()
    for try await part in body {
      guard whole.count + part.readableBytes <= limit else { throw APIError.tooLarge(limit) }
      whole.append(contentsOf: part.readableBytesView)
    }
    return whole
  }
}
