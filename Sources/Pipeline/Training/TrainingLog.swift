import Basics
import Checkpoints
import Foundation
import Imaging

/// The numbers of a run: `metrics.jsonl`, one object a line, which grows as they come, and charts drawn from them.
///
/// What is kept in memory does not grow with the run: a chart has no more points than it has pixels.
final class TrainingLog {
  private let folder: URL
  private let stage: Stage
  /// By the names of the numbers.
  private var curves: [String: Curve] = [:]
  /// Lines that are not in the file yet, and when the others came there.
  private var pending = ""
  private var lastFlush = ContinuousClock.now
  /// Whether the file holds what an earlier part of this run, or another one, has left and this one goes on after.
  private var isOpen = false
  private let resumedStep: Int?
  private let flushInterval: Duration

  /// Goes on with the rows of the earlier part of a run.
  /// - Parameters:
  ///   - folder: of the log.
  ///   - stage: whose run it is.
  ///   - step: rows after this step are dropped: they were made after the save that is resumed. Nil for a new run.
  ///   - flushInterval: until a row is in the file.
  init(folder: URL, stage: Stage, resumingAt step: Int?, flushInterval: Duration = .seconds(5)) {
    (self.folder, self.stage, resumedStep, self.flushInterval) = (folder, stage, step, flushInterval)
    for line in keptLines where line.isOwn {
      for (name, value) in line.values { curves[name, default: Curve()].append(x: Double(line.step), y: value) }
    }
  }

  private var file: URL { folder.appendingPathComponent("metrics.jsonl") }

  private struct Line {
    var text: Substring
    var isOwn: Bool
    var step: Int
    var values: [String: Double]
  }

  /// What stays of the file at the beginning: this run's rows up to the step that it goes on from, and those of the other
  /// stages, which share the file. A new image tokenizer makes those of what was trained on an old one obsolete.
  private var keptLines: [Line] {
    guard let data = FileManager.default.contents(atPath: file.path) else { return [] }
    return String(decoding: data, as: UTF8.self).split(separator: "\n").compactMap { text in
      guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else { return nil }
      let isOwn = object["stage"] as? String == stage.rawValue
      let step = object["step"] as? Int ?? 0
      guard isOwn ? step <= resumedStep ?? -1 : stage != .imageTokenizer else { return nil }
      let values = object.compactMapValues { $0 as? Double }.filter { $0.key != "step" && $0.key != "seconds" }
      return Line(text: text, isOwn: isOwn, step: step, values: values)
    }
  }

  /// Adds a row, which is in the file within seconds.
  func append(step: Int, seconds: Double, _ values: [(name: String, value: Double)]) throws(PipelineError) {
    // JSON has no infinity or NaN.
    let values = Dictionary(values.filter(\.value.isFinite).map { ($0.name, $0.value) }) { $1 }
    var fields = ["\"stage\":\"\(stage.rawValue)\"", "\"step\":\(step)", "\"seconds\":\(seconds)"]
    fields += values.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
    pending += "{\(fields.joined(separator: ","))}\n"
    for (name, value) in values { curves[name, default: Curve()].append(x: Double(step), y: value) }
    if lastFlush.duration(to: .now) > flushInterval && !waitsForSave { try flush() }
  }

  /// A new run that is killed before its first save has changed nothing: until then the rows stay that it takes the place of.
  private var waitsForSave: Bool {
    !isOpen && resumedStep == nil && FileManager.default.fileExists(atPath: file.path)
  }

  private func flush() throws(PipelineError) {
    if !isOpen {
      // Once, so that what a kill has left after the last save does not stand twice.
      try AtomicFile.write(Data(keptLines.map { $0.text + "\n" }.joined().utf8), to: file)
      isOpen = true
    }
    // The folder may have gone between two saves.
    guard let handle = try? FileHandle(forWritingTo: file) else {
      throw PipelineError(.cannotCreate, "cannot open \(file.path) to add to it")
    }
    do {
      let end = try handle.seekToEnd()
      do {
        try handle.write(contentsOf: Data(pending.utf8))
      } catch {
        // What a full disk has taken of it comes again with the rest.
        try? handle.truncate(atOffset: end)
        throw error
      }
      try handle.close()
    } catch {
      throw PipelineError(.inputOutput, "cannot add to \(file.path): \(error.localizedDescription)")
    }
    pending = ""
    lastFlush = .now
  }

  /// Brings the file and the charts up to date.
  func write() throws(PipelineError) {
    try flush()
    for (name, chart) in charts {
      try AtomicFile.write(Data(chart.svg().utf8), to: folder.appendingPathComponent(name))
    }
  }

  private func series(_ name: String, _ key: String) -> LineChart.Series {
    LineChart.Series(name: name, points: curves[key]?.points ?? [])
  }

  /// At most two thousand points, each the mean of as many neighbouring numbers.
  private struct Curve {
    private(set) var points: [(x: Double, y: Double)] = []
    /// How many numbers a point is the mean of.
    private var size = 1
    /// The sums over the numbers that no point has yet.
    private var rest = (x: 0.0, y: 0.0, count: 0)

    private static let maximumCount = 2000

    mutating func append(x: Double, y: Double) {
      rest = (rest.x + x, rest.y + y, rest.count + 1)
      guard rest.count == size else { return }
      points.append((rest.x / Double(size), rest.y / Double(size)))
      rest = (0, 0, 0)
      guard points.count == Self.maximumCount else { return }
      points = stride(from: 0, to: points.count, by: 2).map { i -> (x: Double, y: Double) in
        let (a, b) = (points[i], points[i + 1])
        return (x: (a.x + b.x) / 2, y: (a.y + b.y) / 2)
      }
      size *= 2
    }
  }

  private var charts: [(String, LineChart)] {
    switch stage {
    case .imageTokenizer:
      [
        (
          "tokenizer-psnr.svg",
          LineChart(
            title: "Reconstruction", xLabel: "step", yLabel: "PSNR, dB",
            series: [series("train", "psnr"), series("validation", "validation_psnr")])
        ),
        (
          "tokenizer-codebook.svg",
          LineChart(
            title: "Codebook", xLabel: "step", yLabel: "codes",
            series: [
              series("perplexity", "perplexity"), series("in use", "codes_in_use"),
            ])
        ),
      ]
    case .upsampler:
      [
        (
          "upsampler-psnr.svg",
          LineChart(
            title: "Upsampling", xLabel: "step", yLabel: "PSNR, dB",
            series: [series("train", "psnr"), series("validation", "validation_psnr")])
        )
      ]
    case .prior:
      [
        (
          "prior-loss.svg",
          LineChart(
            title: "Prior", xLabel: "step", yLabel: "nats an image token",
            series: [series("train", "image_loss"), series("validation", "validation_image_loss")])
        ),
        (
          "prior-retrieval.svg",
          LineChart(
            title: "Retrieval", xLabel: "step", yLabel: "share of captions",
            series: [
              series("validation, own picture is the nearest", "validation_retrieval_at_1"),
              series("validation, among the five nearest", "validation_retrieval_at_5"),
              series("training captions in other forms", "forms_retrieval_at_1"),
            ])
        ),
      ]
    case .ranker:
      [
        (
          "ranker-loss.svg",
          LineChart(
            title: "Ranker", xLabel: "step", yLabel: "nats", series: [series("train", "loss")])
        ),
        (
          "ranker-retrieval.svg",
          LineChart(
            title: "Retrieval", xLabel: "step", yLabel: "share of right answers",
            series: [
              series("caption to picture", "validation_caption_to_picture"),
              series("picture to caption", "validation_picture_to_caption"),
            ])
        ),
      ]
    }
  }
}
