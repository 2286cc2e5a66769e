import HTTPTypes
import NIOCore
import NIOHTTPTypes
import Synchronization

/// How long a connection may take for what.
package struct ConnectionLimits: Sendable {
  /// Connections at a time; others wait in the system's queue until one is closed.
  package var connections = 1024
  /// For the first line and the headers of a request, from the connection's beginning on.
  package var head = TimeAmount.seconds(15)
  /// Between the sending of an answer and the next request.
  package var idle = TimeAmount.seconds(60)
  /// For the body of a request.
  package var body = TimeAmount.seconds(120)
  /// How long a client may take nothing of an answer.
  package var reading = TimeAmount.seconds(60)
  /// How long what a client still sends is thrown away after an answer that did not wait for it.
  package var lingering = TimeAmount.seconds(2)

  package init() {}
}

/// Whether whoever has sent a request still waits for its answer.
final class ClientWatch: Sendable {
  private struct State {
    var isGone = false
    var action: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())

  var hasGone: Bool { state.withLock { $0.isGone } }

  /// - Parameter action: done once when the client goes, or now where it has gone.
  func whenGone(_ action: @escaping @Sendable () -> Void) {
    let isGone = state.withLock { state in
      if !state.isGone { state.action = action }
      return state.isGone
    }
    if isGone { action() }
  }

  func isGone() {
    let action = state.withLock { state in
      state.isGone = true
      defer { state.action = nil }
      return state.action
    }
    action?()
  }
}

/// Ends a connection whose client is too slow, and tells whoever answers it when the client goes.
///
/// An answer is written at once, and sent as fast as its client takes it: what is to come after it, the wait for the next request or
/// the end of the connection, comes when all of it is sent.
///
/// A ``ClientWatch`` is handed to it as an outbound event of the channel, and is told of this request alone.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private let limits: ConnectionLimits
  private let largestBody: Int
  private var deadline: Scheduled<Void>?
  private var readingDeadline: Scheduled<Void>?
  private var watch: ClientWatch?
  private var isInputClosed = false
  /// Whether the connection will be closed, whatever else comes.
  private var isClosing = false
  /// Whether the body of the last request is not read to its end.
  private var isReadingBody = false
  /// Requests that were begun and are not answered; some clients send the next one before they have an answer.
  private var unanswered = 0
  /// Answers that are written and not sent to their ends.
  private var unsent = 0
  /// Bytes that waited for the client when they were counted last, and what was written since.
  private var waitingBytes = 0
  /// What others want closed as soon as all answers are sent.
  private var closings: [(mode: CloseMode, promise: EventLoopPromise<Void>?)] = []
  /// Whether a deadline has passed: then nothing is waited for.
  private var isTooLate = false

  /// - Parameter largestBody: bytes of the largest body that any path takes.
  init(_ limits: ConnectionLimits, largestBody: Int) { (self.limits, self.largestBody) = (limits, largestBody) }

  func handlerAdded(context: ChannelHandlerContext) {
    if context.channel.isActive { expect(within: limits.head, context) }
  }

  func channelActive(context: ChannelHandlerContext) {
    expect(within: limits.head, context)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    stop()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { stop() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset, what is no HTTP, headers without an end: whatever it is, nothing more is read.
    watch?.isGone()
    // Each byte that follows is an error of its own, and not another reason to wait.
    linger(context)
    context.fireErrorCaught(error)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      isReadingBody = true
      // Clients that ask before they send a large body, curl among them, wait for a second where they get no answer.
      let length = head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
      if head.headerFields[.expect]?.lowercased() == "100-continue", unanswered == 0, length <= largestBody {
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
      }
      unanswered += 1
      expect(within: limits.body, context)
    case .body: break
    case .end:
      isReadingBody = false
      // Drawing takes as long as it takes.
      if unanswered > 0 || unsent > 0 { expectNothing() } else { expect(within: limits.idle, context) }
    }
    context.fireChannelRead(data)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? ChannelEvent, event == .inputClosed {
      isInputClosed = true
      watch?.isGone()
    }
    context.fireUserInboundEventTriggered(event)
  }

  func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
    guard let watch = event as? ClientWatch else {
      return context.triggerUserOutboundEvent(event, promise: promise)
    }
    if isInputClosed || !context.channel.isActive { watch.isGone() } else { self.watch = watch }
    promise?.succeed()
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head) where head.status.kind != .informational:
      // What was not waited for is not read as the next request.
      if isReadingBody, unanswered == 1 { head.headerFields[.connection] = "close" }
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .body(let part):
      waitingBytes += part.readableBytes
      context.write(data, promise: promise)
    case .end:
      watch = nil
      unanswered = max(0, unanswered - 1)
      unsent += 1
      let sent = context.eventLoop.makePromise(of: Void.self)
      sent.futureResult.cascade(to: promise)
      sent.futureResult.assumeIsolated().whenComplete { _ in self.hasSent(context) }
      expectReading(context)
      context.write(data, promise: sent)
    default: context.write(data, promise: promise)
    }
  }

  /// An answer is sent to its end, or the connection is closed.
  private func hasSent(_ context: ChannelHandlerContext) {
    unsent -= 1
    guard unsent == 0 else { return }
    if context.channel.isActive {
      if context.channel.isWritable { expectNoReading() }
      if unanswered == 0 { if isReadingBody { linger(context) } else { expect(within: limits.idle, context) } }
    }
    let closings = closings
    self.closings = []
    for (mode, promise) in closings { context.close(mode: mode, promise: promise) }
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    // What is not sent would be thrown away. A client that takes nothing of it has its own deadline.
    if mode == .input || unsent == 0 || isTooLate { return context.close(mode: mode, promise: promise) }
    closings.append((mode, promise))
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    expectNoReading()
    if unsent > 0 || !context.channel.isWritable { expectReading(context) }
    context.fireChannelWritabilityChanged()
  }

  /// Has the client take something of what waits for it within the time for that, again and again while it does.
  private func expectReading(_ context: ChannelHandlerContext) {
    if readingDeadline != nil { return }
    waitingBytes = bytesThatWait(context)
    readingDeadline = schedule(in: limits.reading, context) { [self] in
      readingDeadline = nil
      if unsent == 0 && context.channel.isWritable { return }
      if bytesThatWait(context) < waitingBytes { expectReading(context) } else { end(context) }
    }
  }

  private func expectNoReading() {
    readingDeadline?.cancel()
    readingDeadline = nil
  }

  private func bytesThatWait(_ context: ChannelHandlerContext) -> Int {
    // A channel that is closed has none.
    (try? context.channel.syncOptions?.getOption(ChannelOptions.bufferedWritableBytes)) ?? 0
  }

  /// Closes it soon, and not at once: many clients would not read the answer.
  private func linger(_ context: ChannelHandlerContext) {
    expect(within: limits.lingering, context)
    isClosing = true
  }

  private func expect(within time: TimeAmount, _ context: ChannelHandlerContext) {
    if isClosing { return }
    deadline?.cancel()
    deadline = schedule(in: time, context) { [self] in end(context) }
  }

  private func expectNothing() {
    if isClosing { return }
    deadline?.cancel()
    deadline = nil
  }

  /// Whatever is not sent.
  private func end(_ context: ChannelHandlerContext) {
    isTooLate = true
    context.channel.close(promise: nil)
  }

  private func schedule(
    in time: TimeAmount, _ context: ChannelHandlerContext, _ action: @escaping () -> Void
  ) -> Scheduled<Void> {
    context.eventLoop.assumeIsolated().scheduleTask(in: time, action)
  }

  private func stop() {
    deadline?.cancel()
    deadline = nil
    expectNoReading()
    watch?.isGone()
    watch = nil
  }
}
