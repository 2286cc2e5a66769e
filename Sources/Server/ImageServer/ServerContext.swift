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
    channel.triggerUserOutboundEvent(watch, promise: nil)
    return watch
  }
}
