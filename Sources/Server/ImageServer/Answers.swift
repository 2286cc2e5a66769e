import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

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
  /// The whole body, as `use` is given it.
  /// - Throws: `APIError` where it is larger than `limit`, before it is read where its length is told, where it is not what HTTP
  ///   allows, and where too much is being sent by all together; `CancellationError` where the client goes while it sends; and
  ///   what `use` throws.
  func withWholeBody<Result>(
    limit: Int, of allowance: BodyAllowance, _ use: (Data) async throws -> Result
  ) async throws -> Result {
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw APIError.tooLarge(limit) }
    var whole = Data()
    defer { allowance.give(whole.count) }
    do {
      for try await part in body {
        guard whole.count + part.readableBytes <= limit else { throw APIError.tooLarge(limit) }
        guard allowance.take(part.readableBytes) else { throw APIError.tooMuchIsSent }
        whole.append(contentsOf: part.readableBytesView)
      }
    } catch let error as APIError {
      throw error
    } catch  where error is IOError || error is ChannelError || error is CancellationError {
      // Nobody reads an answer.
      throw CancellationError()
    } catch {
      // All else is the parser's: chunks without a length, an end before the end. The client has sent them, and not we.
      throw APIError.badRequest("the body is not whole, or not what HTTP allows")
    }
    return try await use(whole)
  }
}

/// How many bytes all bodies may have that are in memory at a time: bodies that are bounded each are still many.
final class BodyAllowance: Sendable {
  private let rest: Mutex<Int>

  init(_ bytes: Int) { rest = Mutex(bytes) }

  /// - Returns: false where there is not so much left, and then takes nothing.
  func take(_ bytes: Int) -> Bool {
    rest.withLock { rest in
      guard bytes <= rest else { return false }
      rest -= bytes
      return true
    }
  }

  func give(_ bytes: Int) { rest.withLock { $0 += bytes } }
}
