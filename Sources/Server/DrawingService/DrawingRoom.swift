import Basics
import Foundation
import Generation
import Imaging

/// Draws all orders, place by place, on one thread.
///
/// A session has a few places, which orders get in turn: whoever has the fewest pictures under way is the next, and of several whoever
/// got a place, or came, the longest ago. So an order for one is begun before the tenth picture of an order for sixty-four, and
/// however many orders there are and come, each gets its turn. No order alone takes all places, so
/// that whoever comes next need not wait for a picture to be finished.
actor DrawingRoom {
  private let executor = ThreadExecutor(name: "drawing")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private let reception: Reception
  private let catalogue: CheckpointCatalogue
  private let loader: CheckpointLoader
  private let checkpointLimit: Int
  private let report: @Sendable (DrawingReport) -> Void

  private var loaded: [String: LoadedCheckpoint] = [:]
  /// Orders for checkpoints that are being loaded.
  private var awaited: [String: [Reception.Arrival]] = [:]
  /// In the order in which they came.
  private var drawings: [Drawing] = []
  private var isDrawing = false
  private var uses = 0
  /// Pictures that were begun.
  private var turns = 0
  /// When the last picture was completed, or drawing was begun.
  private var lastCompletion = ContinuousClock.now
  /// What of a checkpoint could not be loaded in the place of the one that is, and is not tried again.
  private var refused: [String: CheckpointFingerprint] = [:]
  /// What a checkpoint's files were when they were looked at last.
  private var lastSeen: [String: CheckpointFingerprint] = [:]

  init(
    reception: Reception, catalogue: CheckpointCatalogue, threads: Int, checkpointLimit: Int,
    report: @escaping @Sendable (DrawingReport) -> Void
  ) {
    (self.reception, self.catalogue, self.checkpointLimit) = (reception, catalogue, checkpointLimit)
    loader = CheckpointLoader(threads: threads)
    self.report = report
  }

  deinit { executor.end() }

  /// Loads the default checkpoint.
  func loadStandard() async throws(PipelineError) {
    guard let (name, url) = catalogue.folder(named: nil) else { return }
    take(try await loader.load(name, url))
  }

  private func take(_ checkpoint: LoadedCheckpoint) {
    loaded[checkpoint.name] = checkpoint
    catalogue.hasLoaded(checkpoint)
  }

  /// Draws until nothing is left. May be called for each order: one call draws all of them.
  func draw() async {
    if isDrawing { return }
    isDrawing = true
    lastCompletion = .now
    while true {
      let arrivals = reception.takeArrivals(Self.arrivalsAtOnce)
      for arrival in arrivals { receive(arrival) }
      dropAbandoned()
      if drawings.isEmpty, arrivals.isEmpty { break }
      beginWhatThereIsRoomFor()
      tellPositions()
      drawNextPlaces()
      // Others that have something to do on this thread get their turn.
      await Task.yield()
    }
    isDrawing = false
  }

  // MARK: - Orders come and go

  /// Orders that are prepared between two places: of many that come together, all who are drawn for would wait otherwise.
  private static let arrivalsAtOnce = 2

  private func receive(_ arrival: Reception.Arrival) {
    if hasGone(arrival) { return }
    if let checkpoint = loaded[arrival.order.checkpoint ?? catalogue.standardName] {
      return add(arrival, with: checkpoint)
    }
    guard let (name, url) = catalogue.folder(named: arrival.order.checkpoint) else {
      return fail(arrival, DrawingRefusal.noCheckpoint(arrival.order.checkpoint ?? ""))
    }
    if awaited[name] != nil {
      awaited[name]?.append(arrival)
      return
    }
    guard makeRoom() else { return fail(arrival, DrawingRefusal.noRoomForCheckpoint(name)) }
    awaited[name] = [arrival]
    Task { await load(name, url) }
  }

  private func add(_ arrival: Reception.Arrival, with checkpoint: LoadedCheckpoint) {
    uses += 1
    checkpoint.lastUse = uses
    // It may have been replaced by one without since the order was given.
    guard arrival.order.candidates == nil || checkpoint.model.configuration.ranker != nil else {
      return fail(arrival, DrawingRefusal.noRanker(checkpoint.name))
    }
    do throws(PipelineError) {
      drawings.append(try Drawing(arrival.order, arrival.mailbox, with: checkpoint, turn: turns))
    } catch {
      fail(arrival, error)
    }
  }

  /// Whether the giver of an order has gone before it was looked at; then it has ended, and nothing is prepared for it.
  private func hasGone(_ arrival: Reception.Arrival) -> Bool {
    guard arrival.mailbox.isAbandoned else { return false }
    reception.hasEnded(.abandoned, wasBegun: false, undrawn: arrival.order.pictureCount)
    return true
  }

  private func fail(_ arrival: Reception.Arrival, _ error: any Error) {
    reception.hasEnded(.failed, wasBegun: false, undrawn: arrival.order.pictureCount)
    arrival.mailbox.finish(.failure(error))
  }

  private func dropAbandoned() {
    // Asked once of each: it may change at any time.
    drawings.removeAll { drawing in
      guard drawing.mailbox.isAbandoned else { return false }
      drawing.cancel()
      reception.hasEnded(.abandoned, wasBegun: drawing.isBegun, undrawn: drawing.total - drawing.completed)
      return true
    }
  }

  // MARK: - Drawing

  /// Checkpoints that have something to draw.
  private var busyCheckpoints: [LoadedCheckpoint] {
    var seen: Set<ObjectIdentifier> = []
    return drawings.map(\.checkpoint).filter { seen.insert(ObjectIdentifier($0)).inserted }
  }

  private func beginWhatThereIsRoomFor() {
    for checkpoint in busyCheckpoints {
      let capacity = checkpoint.session.capacity
      let most = max(1, capacity * 3 / 4)
      while checkpoint.owners.count < capacity {
        let candidates = drawings.filter {
          $0.checkpoint === checkpoint && $0.hasMoreToBegin && $0.activeCount < most
        }
        guard let next = candidates.min(by: { ($0.activeCount, $0.lastTurn) < ($1.activeCount, $1.lastTurn) }) else {
          break
        }
        if !next.isBegun { reception.hasBegun() }
        turns += 1
        next.begin(turn: turns)
      }
    }
  }

  private func tellPositions() {
    var waiting = 0
    for drawing in drawings {
      if !drawing.isBegun { waiting += 1 }
      drawing.tell(position: drawing.isBegun ? 0 : waiting)
    }
  }

  private func drawNextPlaces() {
    for checkpoint in busyCheckpoints {
      let steps = checkpoint.session.next()
      // All that must be seen is decoded at once, on all threads.
      let visible = steps.compactMap {
        step -> (step: PictureSession.Step, owner: Drawing, number: Int, partial: Int?)? in
        guard let (drawing, number) = checkpoint.owners[step.id] else { return nil }
        let partial = drawing.partialIndex(step, number: number)
        return step.isComplete || partial != nil ? (step, drawing, number, partial) : nil
      }
      let pictures = checkpoint.session.pictures(visible.map(\.step))
      var complete: [ObjectIdentifier: [(id: PictureSession.ID, number: Int, picture: Picture)]] = [:]
      for ((step, drawing, number, partial), picture) in zip(visible, pictures) {
        if let partial {
          drawing.show(picture, partialIndex: partial, number: number)
        } else {
          checkpoint.owners[step.id] = nil
          complete[ObjectIdentifier(drawing), default: []].append((step.id, number, picture))
        }
      }
      let count = complete.values.reduce(0) { $0 + $1.count }
      reception.hasDrawn(
        pictures: count, tokens: steps.reduce(0) { $0 + $1.drawn.count },
        seconds: lastCompletion.duration(to: .now).inSeconds)
      if count > 0 { lastCompletion = .now }
      for drawing in drawings { if let pictures = complete[ObjectIdentifier(drawing)] { drawing.complete(pictures) } }
    }
    for drawing in drawings where drawing.isComplete {
      reception.hasEnded(.finished(seconds: drawing.seconds), wasBegun: true, undrawn: 0)
      drawing.mailbox.finish()
    }
    drawings.removeAll(where: \.isComplete)
  }

  // MARK: - Checkpoints

  /// Drops the one that was not asked for the longest where there are as many as there may be.
  /// - Returns: false where all are in use.
  private func makeRoom() -> Bool {
    guard loaded.count + awaited.count >= checkpointLimit else { return true }
    let busy = Set(busyCheckpoints.map(\.name))
    guard let oldest = loaded.values.filter({ !busy.contains($0.name) }).min(by: { $0.lastUse < $1.lastUse }) else {
      return false
    }
    loaded[oldest.name] = nil
    catalogue.hasDropped(oldest.name)
    report(.dropped(oldest.name))
    return true
  }

  private func load(_ name: String, _ url: URL) async {
    let result: Result<Void, PipelineError>
    do throws(PipelineError) {
      take(try await loader.load(name, url))
      report(.loaded(name))
      result = .success(())
    } catch {
      result = .failure(error)
    }
    let arrivals = awaited.removeValue(forKey: name) ?? []
    for arrival in arrivals where !hasGone(arrival) {
      switch result {
      case .success: if let checkpoint = loaded[name] { add(arrival, with: checkpoint) }
      case .failure(let error): fail(arrival, error)
      }
    }
    await draw()
  }

  /// Puts checkpoints that have changed in the place of those that are loaded. What is being drawn is finished with the old ones.
  /// - Parameter all: whether also those that have not, and without waiting until their files rest.
  func reload(all: Bool = false) async {
    for (name, old) in loaded {
      let seen = CheckpointFingerprint(of: old.url)
      let isAtRest = lastSeen.updateValue(seen, forKey: name) == seen
      guard all || seen != old.fingerprint && seen != refused[name] && isAtRest else { continue }
      do throws(PipelineError) {
        let new = try await loader.load(name, old.url)
        // It may have made room for another meanwhile.
        guard loaded[name] === old else { continue }
        new.lastUse = old.lastUse
        take(new)
        refused[name] = nil
        reception.hasReloaded(true)
        report(.reloaded(name))
      } catch {
        refused[name] = seen
        reception.hasReloaded(false)
        report(.keptOld(name, error))
      }
    }
  }
}

/// What happens to checkpoints, for a log.
package enum DrawingReport: Sendable {
  case loaded(String)
  /// In the place of one of the same name.
  case reloaded(String)
  /// The new one could not be loaded, and the old one goes on drawing.
  case keptOld(String, PipelineError)
  /// To make room for another.
  case dropped(String)
}
