import DrawingService
import Foundation
import Synchronization

/// Counts of requests, and all counts as Prometheus reads them: https://prometheus.io/docs/instrumenting/exposition_formats
final class Metrics: Sendable {
  private struct Key: Hashable {
    var path: String
    var method: String
    var status: Int
  }

  private struct Histogram {
    /// Of requests that took at most so long as each bound.
    var counts = [Int](repeating: 0, count: Metrics.bounds.count)
    var sum = 0.0
    var count = 0
  }

  private struct State {
    var requests: [Key: Int] = [:]
    var seconds: [String: Histogram] = [:]
    var underWay = 0
  }

  /// Of the histogram, in seconds.
  static let bounds = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  private let state = Mutex(State())
  private let started = Date.now.timeIntervalSince1970

  func hasBegun() { state.withLock { $0.underWay += 1 } }

  /// - Parameter path: one of the interface's, or "other": what anybody asks for must not make a counter each.
  func hasEnded(path: String, method: String, status: Int, seconds: Double) {
    state.withLock { state in
      state.underWay -= 1
      state.requests[Key(path: path, method: method, status: status), default: 0] += 1
      var histogram = state.seconds[path] ?? Histogram()
      for (i, bound) in Self.bounds.enumerated() where seconds <= bound { histogram.counts[i] += 1 }
      histogram.sum += seconds
      histogram.count += 1
      state.seconds[path] = histogram
    }
  }

  func text(_ drawing: DrawingStatistics) -> String {
    let state = state.withLock { $0 }
    var text = MetricsText()
    text.family("dalle_http_requests_total", "counter", "Requests that were answered.")
    for (key, count) in state.requests.sorted(by: { "\($0.key)" < "\($1.key)" }) {
      text.sample(
        "dalle_http_requests_total", [("path", key.path), ("method", key.method), ("status", "\(key.status)")], count)
    }
    let name = "dalle_http_request_duration_seconds"
    text.family(name, "histogram", "Seconds from a request's head until its answer is ready or, with a stream, sent.")
    for (path, histogram) in state.seconds.sorted(by: { $0.key < $1.key }) {
      for (bound, count) in zip(Self.bounds, histogram.counts) {
        text.sample("\(name)_bucket", [("path", path), ("le", "\(bound)")], count)
      }
      text.sample("\(name)_bucket", [("path", path), ("le", "+Inf")], histogram.count)
      text.sample("\(name)_sum", [("path", path)], histogram.sum)
      text.sample("\(name)_count", [("path", path)], histogram.count)
    }
    text.single("dalle_http_requests_in_progress", "gauge", "Requests that are being answered.", state.underWay)
    text.single("dalle_queue_length", "gauge", "Drawing requests that wait.", drawing.waiting)
    text.single(
      "dalle_drawings_in_progress", "gauge", "Drawing requests that are being drawn.",
      drawing.unfinished - drawing.waiting)
    text.family("dalle_drawings_total", "counter", "Drawing requests by how they ended.")
    for (result, count) in [
      ("finished", drawing.finished), ("failed", drawing.failed), ("refused", drawing.refused),
      ("abandoned", drawing.abandoned),
    ] { text.sample("dalle_drawings_total", [("result", result)], count) }
    text.family("dalle_drawing_duration_seconds", "summary", "Seconds that finished drawing requests were drawn.")
    text.sample("dalle_drawing_duration_seconds_sum", [], drawing.finishedSeconds)
    text.sample("dalle_drawing_duration_seconds_count", [], drawing.finished)
    text.single(
      "dalle_pictures_total", "counter", "Pictures that were completed, candidates among them.", drawing.pictures)
    text.single("dalle_image_tokens_total", "counter", "Image tokens that were drawn.", drawing.tokens)
    text.family("dalle_checkpoint_reloads_total", "counter", "Checkpoints that were loaded anew, by how that went.")
    text.sample("dalle_checkpoint_reloads_total", [("result", "succeeded")], drawing.reloads)
    text.sample("dalle_checkpoint_reloads_total", [("result", "failed")], drawing.failedReloads)
    text.single("process_start_time_seconds", "gauge", "When the process began, since 1970.", started)
    if let bytes = Self.residentBytes {
      text.single("process_resident_memory_bytes", "gauge", "Memory that the process has in RAM.", bytes)
    }
    if let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
      text.single("process_open_fds", "gauge", "Open files and connections.", descriptors.count)
    }
    return text.lines.joined(separator: "\n") + "\n"
  }

  /// Nil where the system does not tell it so.
  private static var residentBytes: Int? {
    guard let file = FileHandle(forReadingAtPath: "/proc/self/statm"), let data = try? file.readToEnd() else {
      return nil
    }
    let fields = String(decoding: data, as: UTF8.self).split(separator: " ")
    return fields.count > 1 ? Int(fields[1]).map { $0 * sysconf(Int32(_SC_PAGESIZE)) } : nil
  }
}

/// Lines of Prometheus' text format.
private struct MetricsText {
  var lines: [String] = []

  mutating func family(_ name: String, _ type: String, _ help: String) {
    lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(type)"]
  }

  mutating func sample(_ name: String, _ labels: [(String, String)], _ value: some CustomStringConvertible) {
    let text = labels.map { "\($0)=\"\($1)\"" }.joined(separator: ",")
    lines.append("\(name)\(labels.isEmpty ? "" : "{\(text)}") \(value)")
  }

  mutating func single(_ name: String, _ type: String, _ help: String, _ value: some CustomStringConvertible) {
    family(name, type, help)
    sample(name, [], value)
  }
}
