import Basics
import Foundation
import Imaging
import Ladder
import LatentModels
import Pages

/// The comparison as one HTML file that needs no other: style, drawings and pictures are inside.
struct LadderPage {
  let report: LadderReport

  func html() throws(PipelineError) -> String {
    var body: [HTML] = [header, summary, charts, expectations]
    for (i, rung) in report.models.enumerated() { body.append(try section(rung, number: i + 1)) }
    if let dalle = report.dalle { body.append(try section(dalle, number: report.models.count + 1)) }
    body.append(footer)
    return HTML.page(title: "The ladder on \(report.data)", body)
  }

  private var isPictures: Bool { report.pictureSize != nil }
  private var hasBounds: Bool { report.models.contains { $0.likelihood == .lowerBound } }

  // MARK: - The top

  private var header: HTML {
    let rows = isPictures ? "pictures" : "rows"
    let size = report.pictureSize.map { " of \($0)×\($0) pixels in color, \(report.dimensions) numbers each" }
    return .joined([
      .element("h1", [:], .text("From one Gaussian to DALL·E")),
      .element(
        "p", ["class": "lead"],
        .text(
          "Data: \(report.data), \(report.trainingRows) \(rows) for fitting and \(report.heldOutRows) held out"
            + (size ?? " of \(report.dimensions) numbers each") + ".")),
      .paragraph(.text(LadderPageText.introduction)),
    ])
  }

  private var summary: HTML {
    var header: [HTML] = ["Rung", "Idea", isPictures ? "Bits a dimension" : "Log-likelihood, nats", "Kind"]
    header += ["Fréchet distance, held out", "Fréchet distance, training", "Parameters", "Seconds"]
    var rows: [[HTML]] = report.models.map { rung in
      [
        .element("a", ["href": "#\(rung.model.rawValue)"], .text(rung.model.text.title)),
        .text(rung.model.text.idea),
        .text(isPictures ? format(rung.bitsPerDimension, "%.2f") : format(rung.meanLogLikelihood, "%.3f")),
        .text(rung.likelihood.map(Self.name) ?? "–"), .text(format(rung.frechetDistance, "%.2f")),
        .text(format(rung.trainingFrechetDistance, "%.2f")), .text(Self.grouped(rung.parameters)),
        .text(format(rung.seconds, "%.1f")),
      ]
    }
    if let dalle = report.dalle {
      rows.append([
        .element("a", ["href": "#dalle"], "DALL·E"), "draws what a sentence says", "–", "see below",
        .text(format(dalle.frechetDistance, "%.2f")), .text(format(dalle.trainingFrechetDistance, "%.2f")),
        .text(Self.grouped(dalle.parameters)),
        .text(dalle.trainingSeconds.map { Self.grouped(Int($0)) } ?? "–"),
      ])
    }
    let what = isPictures ? "pictures" : "rows"
    rows.append([
      .text("(training \(what))"), "a yardstick: real data in place of draws", "", "",
      .text(format(report.frechetDistanceOfTrainingRows, "%.2f")),
      .text(format(report.trainingFrechetDistanceOfTrainingRows, "%.2f")), "", "",
    ])
    return .element(
      "section", [:], .element("h2", [:], "All rungs in one table"), .table(header: header, rows: rows),
      .element("p", [:], HTML(markup: isPictures ? LadderPageText.bitsPerDimension : LadderPageText.natsPerRow)),
      .element(
        "p", [:],
        HTML(
          markup: LadderPageText.frechet(components: report.frechetComponents, samples: report.frechetSamples))),
      .paragraph(.text(shift)))
  }

  /// What the yardstick says of the split itself.
  private var shift: String {
    let (heldOut, training) = (
      report.frechetDistanceOfTrainingRows, report.trainingFrechetDistanceOfTrainingRows
    )
    let figures =
      "\(format(heldOut, "%.2f")) from the held-out data, and \(format(training, "%.2f")) from the training data"
    return heldOut > 3 * max(training, 1e-9)
      ? LadderPageText.yardstick + figures + LadderPageText.shifted : LadderPageText.yardstick + figures + "."
  }

  private var charts: HTML {
    let measured = report.models.filter { $0.cost != nil }
    var figures: [HTML] = []
    if isPictures {
      figures.append(
        .figure(
          svg: LadderCharts.bars(
            title: "Bits a dimension on held-out pictures (less is better)",
            measured.map {
              .init(
                name: $0.model.text.title, value: max(0, $0.cost ?? 0),
                label: ($0.likelihood == .lowerBound ? "≤ " : "") + format($0.cost, "%.2f"))
            }), caption: hasBounds ? "≤ marks a bound: the true value is that or less." : ""))
    } else {
      // Log-likelihoods have no zero to draw bars from; what each gains on the worst does.
      let worst = measured.compactMap(\.cost).max() ?? 0
      figures.append(
        .figure(
          svg: LadderCharts.bars(
            title: "Held-out log-likelihood above the lowest one, nats a row (more is better)",
            measured.map {
              .init(
                name: $0.model.text.title, value: worst - ($0.cost ?? worst),
                label: ($0.likelihood == .lowerBound ? "≥ " : "") + format($0.meanLogLikelihood, "%.3f"))
            }),
          caption: "The labels are the log-likelihoods themselves."
            + (hasBounds ? " ≥ marks a bound: the true value is that or more." : "")))
    }
    var bars = report.models.compactMap { rung in
      rung.frechetDistance.map {
        LadderCharts.Bar(name: rung.model.text.title, value: max(0, $0), label: format($0, "%.2f"))
      }
    }
    var trainingBars = report.models.compactMap { rung in
      rung.trainingFrechetDistance.map {
        LadderCharts.Bar(name: rung.model.text.title, value: max(0, $0), label: format($0, "%.2f"))
      }
    }
    trainingBars.append(
      .init(
        name: "(training \(isPictures ? "pictures" : "rows"))",
        value: max(0, report.trainingFrechetDistanceOfTrainingRows),
        label: format(report.trainingFrechetDistanceOfTrainingRows, "%.2f")))
    if let distance = report.dalle?.frechetDistance {
      bars.append(.init(name: "DALL·E", value: max(0, distance), label: format(distance, "%.2f")))
    }
    bars.append(
      .init(
        name: "(training \(isPictures ? "pictures" : "rows"))", value: max(0, report.frechetDistanceOfTrainingRows),
        label: format(report.frechetDistanceOfTrainingRows, "%.2f")))
    figures.append(
      .figure(
        svg: LadderCharts.bars(title: "Fréchet distance to held-out data (less is better)", bars),
        caption: "The last bar is real data, as a yardstick."))
    figures.append(
      .figure(
        svg: LadderCharts.bars(title: "Fréchet distance to training data (less is better)", trainingBars),
        caption:
          "How well each model draws what it was fitted to. DALL·E, which was asked for other pictures, is left out."))
    return .element("section", [:], .joined(figures))
  }

  private var expectations: HTML {
    let all = report.expectations
    if all.isEmpty { return .empty }
    let items = all.map { expectation in
      HTML.element(
        "li", ["class": expectation.isMet ? "met" : "unmet"],
        .element(
          "b", [:], .text("\(expectation.earlier.text.title) → \(expectation.later.text.title)"),
          expectation.isMet ? " ✓ " : " ✗ "), .text(expectation.explanation))
    }
    let verdict =
      all.allSatisfy(\.isMet)
      ? "Theory says which of these should describe held-out data better. Here the figures agree with it everywhere."
      : "Theory says which of these should describe held-out data better, given data and training enough. Here the figures "
        + "do not agree with it everywhere, and below is why."
    return .element(
      "section", [:], .element("h2", [:], "Does every step help?"), .paragraph(.text(verdict)),
      .element("ul", ["class": "plain"], .joined(items)))
  }

  // MARK: - One rung

  private func section(_ rung: RungReport, number: Int) throws(PipelineError) -> HTML {
    let text = rung.model.text
    var parts: [HTML] = [
      .element("h2", [:], .text("\(number). \(text.title)")),
      .element(
        "p", [:], .element("b", [:], rung.model == Rung.allCases[0] ? "Why begin here. " : "What it answers. "),
        .text(text.answers)),
      .element("p", [:], .element("b", [:], "How. "), .text(text.how)),
      .element("p", ["class": "equation"], text.equation), facts(rung),
    ]
    for note in rung.notes { parts.append(.element("p", ["class": "note"], .text(note))) }
    if !rung.samples.isEmpty {
      parts.append(
        try .figure(
          Picture.grid(rung.samples, columns: 12, spacing: 2), scale: scale,
          caption: "Drawn by the model, the first \(rung.samples.count) draws, not picked"))
    }
    if !rung.reconstructions.isEmpty {
      parts.append(
        try .figure(
          Picture.grid(report.originals + rung.reconstructions, columns: report.originals.count, spacing: 2),
          scale: scale, caption: Self.reconstructionCaption(rung.model)))
    }
    if !rung.samplePoints.isEmpty {
      parts.append(
        .figure(
          svg: LadderCharts.scatter(
            title: "Draws and held-out rows, in the first two principal components",
            groups: [("held-out rows", report.heldOutPoints), ("draws", rung.samplePoints)]),
          caption: "Where the two clouds lie over each other, the model draws what is in the data."))
    }
    for figure in rung.figures {
      switch figure {
      case .picture(let picture, let scale, let caption):
        parts.append(try .figure(picture, scale: scale, caption: caption))
      case .drawing(let svg, let caption): parts.append(.figure(svg: svg, caption: caption))
      }
    }
    parts.append(.element("p", [:], .element("b", [:], "What is still wrong. "), .text(text.weakness)))
    parts.append(.element("p", ["class": "source"], .text(text.source)))
    return .element("section", ["id": rung.model.rawValue], .joined(parts))
  }

  /// Enlarged so that pictures of 32 pixels are seen well and larger ones still fit.
  private var scale: Int { max(1, 64 / (report.pictureSize ?? 64)) }

  private static func reconstructionCaption(_ rung: Rung) -> String {
    rung == Rung(GaussianRung.self)
      ? "Held-out pictures above; below what the model can keep of them: having no latent variable, it knows the mean only"
      : "Held-out pictures above; below the same pictures through the latent variable and back"
  }

  private func facts(_ rung: RungReport) -> HTML {
    var facts: [(String, String)] = []
    if let bits = rung.bitsPerDimension {
      facts.append(("Held-out bits a dimension", Self.prefix(rung.likelihood, isCost: true) + format(bits, "%.3f")))
      facts.append(("Training bits a dimension", format(rung.trainingBitsPerDimension, "%.3f")))
    }
    if let likelihood = rung.meanLogLikelihood {
      facts.append(
        (
          "Held-out log-likelihood, nats a \(isPictures ? "picture" : "row")",
          Self.prefix(rung.likelihood, isCost: false) + format(likelihood, isPictures ? "%.1f" : "%.4f")
        ))
    }
    facts.append(("Fréchet distance, held out", format(rung.frechetDistance, "%.3f")))
    facts.append(("Fréchet distance, training", format(rung.trainingFrechetDistance, "%.3f")))
    facts.append(("Parameters", Self.grouped(rung.parameters)))
    facts.append(("Seconds to fit", format(rung.seconds, "%.1f")))
    return Self.facts(facts)
  }

  private static func facts(_ facts: [(String, String)]) -> HTML {
    .element(
      "dl", [:],
      .joined(facts.map { .element("div", [:], .element("dt", [:], .text($0)), .element("dd", [:], .text($1))) }))
  }

  private func section(_ dalle: DalleReport, number: Int) throws(PipelineError) -> HTML {
    var facts: [(String, String)] = [("Checkpoint", dalle.checkpoint)]
    if let nats = dalle.natsPerImageToken {
      facts.append(("Nats an image token, held out", format(nats, "%.3f")))
      facts.append(
        ("Nats a picture's \(dalle.tokensPerPicture) tokens", format(nats * Double(dalle.tokensPerPicture), "%.1f")))
    }
    facts.append(("Fréchet distance", format(dalle.frechetDistance, "%.3f")))
    facts.append(("Parameters", Self.grouped(dalle.parameters)))
    facts.append(("Seconds of training", dalle.trainingSeconds.map { Self.grouped(Int($0)) } ?? "unknown"))
    var parts: [HTML] = [
      .element("h2", [:], .text("\(number). DALL·E")), .paragraph(.text(LadderPageText.dalle)), Self.facts(facts),
      .element("p", [:], .element("b", [:], "Its likelihood. "), .text(LadderPageText.dalleLikelihood)),
    ]
    var cards: [HTML] = []
    for drawing in dalle.drawings {
      cards.append(try .figure(drawing.drawn, scale: 2, caption: drawing.caption))
    }
    parts.append(.element("div", ["class": "cards"], .joined(cards)))
    parts.append(
      try .figure(
        Picture.grid(
          dalle.drawings.map(\.original) + dalle.drawings.map(\.drawn) + dalle.reconstructions,
          columns: dalle.drawings.count, spacing: 2), scale: 1,
        caption:
          "Top: the held-out pictures of these captions. Middle: drawn from the captions alone. Bottom: the pictures "
          + "through stage 1 and back"))
    return .element("section", ["id": "dalle"], .joined(parts))
  }

  private var footer: HTML {
    .element(
      "footer", [:],
      .paragraph(
        .text(
          "Made by dalle-cli baselines compare. One rung alone: dalle-cli baselines fit MODEL DATA --output FILE, then "
            + "dalle-cli baselines sample FILE and dalle-cli baselines score FILE DATA.")))
  }

  // MARK: - Words and numbers

  private static func name(_ kind: LikelihoodKind) -> String {
    switch kind {
    case .exact: "exact"
    case .lowerBound: "bound"
    case .none: "none"
    }
  }

  private static func prefix(_ kind: LikelihoodKind?, isCost: Bool) -> String {
    kind == .lowerBound ? (isCost ? "≤ " : "≥ ") : ""
  }

  private func format(_ value: Double?, _ format: String) -> String {
    guard let value, value.isFinite else { return "–" }
    return String(format: format, value).replacing("-", with: "−")
  }

  /// 1234567 → 1 234 567, with spaces that do not break.
  private static func grouped(_ value: Int) -> String {
    var text = ""
    for (i, digit) in String(value).reversed().enumerated() {
      if i > 0 && i % 3 == 0 { text.append("\u{202F}") }
      text.append(digit)
    }
    return String(text.reversed())
  }
}
