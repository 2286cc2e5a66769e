import Basics
import DrawingService
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import UnixSignals

/// The drawing service over HTTP: the page, and the images interface of OpenAI's clients.
package struct ImageServer: Service {
  package struct Settings: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes one that is free.
    package var port = 8080
    /// Of which clients must have one; nil where anybody may draw.
    package var keys: APIKeys?
    /// The origin whose pages may use the interface beside the server's own, or * for all; nil for the server's own alone.
    package var allowedOrigin: String?
    package var requests = RequestLimits()
    package var connections = ConnectionLimits()
    /// The program and its version, which stand in pictures and in the OpenAPI document.
    package var software = "dalle-server"

    package init() {}

    /// Nobody else can reach it, and it knows nobody: neither keys nor origins have been thought of.
    var isForThisMachine: Bool {
      (host == "localhost" || host == "::1" || host.hasPrefix("127.")) && keys == nil && allowedOrigin == nil
    }
  }

  private let service: DrawingService
  private let settings: Settings
  private let logger: Logger
  private let onListening: @Sendable (_ port: Int) -> Void

  /// - Parameters:
  ///   - onListening: told the port when connections are taken.
  package init(
    _ service: DrawingService, _ settings: Settings, logger: Logger,
    onListening: @escaping @Sendable (_ port: Int) -> Void = { _ in }
  ) {
    (self.service, self.settings, self.logger, self.onListening) = (service, settings, logger, onListening)
  }

  /// Answers until a graceful shutdown: what was accepted is drawn and answered, the rest refused.
  /// - Throws: `PipelineError` where the checkpoint cannot be loaded, or the port cannot be had.
  package func run() async throws {
    let (service, logger) = (service, logger)
    // They are shut down in the reverse order: first what draws, while connections are still answered, then those.
    try await ServiceGroup(
      services: [Listener(server: self), DrawingLifetime(service: service, logger: logger)], logger: logger
    ).run()
  }

  /// The same, with SIGTERM and SIGINT as what shuts it down.
  package func runUntilSignal() async throws {
    try await ServiceGroup(services: [self], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
  }

  /// - Throws: `PipelineError` where the port cannot be had.
  fileprivate func listen() async throws {
    let metrics = Metrics()
    let routes = Route.all(service, settings, metrics)
    let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
    router.add(
      middleware: RequestMiddleware(
        routes: routes, keys: settings.keys, allowedOrigin: settings.allowedOrigin?.lowercased(),
        isForThisMachine: settings.isForThisMachine, metrics: metrics, logger: logger))
    for route in routes { router.on(RouterPath(route.path), method: route.method, use: route.answer) }
    let limits = settings.connections
    // The library's own lines say nothing that those here do not.
    var quiet = logger
    quiet.logLevel = .critical
    let application = Application(
      router: router,
      server: .http1(
        configuration: .init(
          additionalChannelHandlers: [ConnectionGuard(limits, largestBody: settings.requests.formBytes)],
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 100))),
      configuration: .init(
        address: .hostname(settings.host, port: settings.port),
        availableConnectionsDelegate: .maximum(limits.connections, logger: quiet)),
      onServerRunning: { channel in
        let port = channel.localAddress?.port ?? settings.port
        logger.info("listening on \(settings.host), port \(port)")
        onListening(port)
      },
      logger: quiet)
    do { try await application.run() } catch let error as IOError {
      throw PipelineError(
        .cannotCreate,
        "cannot listen on \(settings.host), port \(settings.port): \(String(cString: strerror(error.errnoCode)))")
    }
  }
}

/// The connections.
private struct Listener: Service {
  let server: ImageServer
  func run() async throws { try await server.listen() }
}

/// The drawing: loads what draws, watches it for changes, and at the end finishes what was accepted.
private struct DrawingLifetime: Service {
  let service: DrawingService
  let logger: Logger

  func run() async throws {
    // Before anything else: untrapped it would end the process.
    let hangups = await UnixSignalsSequence(trapping: .sighup)
    try await service.load()
    logger.info("ready to draw with \(service.catalogue.standardName)")
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await cancelWhenGracefulShutdown { await service.watchCheckpoints() } }
      group.addTask {
        for await _ in hangups.cancelOnGracefulShutdown() {
          logger.info("loading all models anew")
          await service.reload()
        }
      }
      await group.waitForAll()
    }
    logger.info("finishing what was accepted")
    await service.drain()
  }
}
