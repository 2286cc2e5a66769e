import Hummingbird
import NIOCore

/// What belongs to one request.
struct ServerContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  /// Which request it is, for the log and for its client.
  let requestID = "\(RequestID())"
  private let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  /// Tells when the client goes before its request is answered.
  func watchClient() -> ClientWatch {
    let watch = ClientWatch()
    let promise = channel.eventLoop.makePromise(of: Void.self)
    // Where the connection is closed already there is no handler any more that would take the watch.
    promise.futureResult.whenFailure { _ in watch.isGone() }
    channel.triggerUserOutboundEvent(watch, promise: promise)
    return watch
  }
}
