import Basics
import Checkpoints
import Foundation
import Imaging

/// The numbers of a run: `metrics.jsonl`, one object a line, and charts drawn from them.
final class TrainingLog {
  private struct Row {
    var step: Int
    var seconds: Double
    var values: [String: Double]
  }

  private let folder: URL
  private let stage: Stage
  private var rows: [Row] = []
  /// Lines of the other stages, which share the file. A new image tokenizer makes those of what was trained on an old one
  /// obsolete.
  private var otherLines: [String] = []

  /// Goes on with the rows of the earlier part of a run.
  /// - Parameter step: rows after this step are dropped: they were made after the save that is resumed.
  init(folder: URL, stage: Stage, resumingAt step: Int?) {
    self.folder = folder
    self.stage = stage
    guard let data = FileManager.default.contents(atPath: file.path) else { return }
    for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
      guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else { continue }
      if object["stage"] as? String != stage.rawValue {
        if stage != .imageTokenizer { otherLines.append(String(line)) }
      } else if let step, let at = object["step"] as? Int, at <= step, let seconds = object["seconds"] as? Double {
        var values = object.compactMapValues { $0 as? Double }
        values["step"] = nil
        values["seconds"] = nil
        rows.append(Row(step: at, seconds: seconds, values: values))
      }
    }
  }

  private var file: URL { folder.appendingPathComponent("metrics.jsonl") }

  func append(step: Int, seconds: Double, _ values: [(name: String, value: Double)]) {
    rows.append(
      Row(step: step, seconds: seconds, values: Dictionary(values.map { ($0.name, $0.value) }) { $1 }))
  }

  /// Writes the file and the charts anew.
  func write() throws(PipelineError) {
    var text = otherLines.map { $0 + "\n" }.joined()
    for row in rows {
      // JSON has no infinity or NaN.
      var fields = ["\"stage\":\"\(stage.rawValue)\"", "\"step\":\(row.step)", "\"seconds\":\(row.seconds)"]
      fields += row.values.filter(\.value.isFinite).sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
      text += "{\(fields.joined(separator: ","))}\n"
    }
    try AtomicFile.write(Data(text.utf8), to: file)
    for (name, chart) in charts {
      try AtomicFile.write(Data(chart.svg().utf8), to: folder.appendingPathComponent(name))
    }
  }

  private func series(_ name: String, _ key: String, smoothed: Bool = false) -> LineChart.Series {
    var points = rows.compactMap { row in row.values[key].map { (x: Double(row.step), y: $0) } }
    // At most a thousand points, each the mean of its neighbourhood: a chart has no more pixels than that.
    if smoothed, points.count > 1000 {
      let size = (points.count + 999) / 1000
      points = stride(from: 0, to: points.count, by: size).map { start in
        let part = points[start..<min(start + size, points.count)]
        return (part.map(\.x).reduce(0, +) / Double(part.count), part.map(\.y).reduce(0, +) / Double(part.count))
      }
    }
    return LineChart.Series(name: name, points: points)
  }

  private var charts: [(String, LineChart)] {
    switch stage {
    case .imageTokenizer:
      [
        (
          "tokenizer-psnr.svg",
          LineChart(
            title: "Reconstruction", xLabel: "step", yLabel: "PSNR, dB",
            series: [series("train", "psnr", smoothed: true), series("validation", "validation_psnr")])
        ),
        (
          "tokenizer-codebook.svg",
          LineChart(
            title: "Codebook", xLabel: "step", yLabel: "codes",
            series: [
              series("perplexity", "perplexity", smoothed: true), series("in use", "codes_in_use", smoothed: true),
            ])
        ),
      ]
    case .prior:
      [
        (
          "prior-loss.svg",
          LineChart(
            title: "Prior", xLabel: "step", yLabel: "nats an image token",
            series: [series("train", "image_loss", smoothed: true), series("validation", "validation_image_loss")])
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
            title: "Ranker", xLabel: "step", yLabel: "nats", series: [series("train", "loss", smoothed: true)])
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
