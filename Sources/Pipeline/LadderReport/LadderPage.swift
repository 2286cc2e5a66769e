import Basics
import Foundation
import Imaging
import Ladder
import LatentModels
import Pages

extension LadderReport {
  /// The comparison as one HTML file that needs no other: style, drawings and pictures are inside.
  /// - Throws: `PipelineError` where a picture cannot be encoded.
  public func html() throws(PipelineError) -> String {
    let hasBounds = models.contains { $0.likelihood == .lowerBound }
    let content = LadderPage(
      data: data, trainingRows: trainingRows, heldOutRows: heldOutRows, rowsName: rowsName, pictureSize: pictureSize,
      dimensions: dimensions, arePictures: arePictures, summary: summary, samples: samples, weighing: weighing,
      overlap: trainingPrecisionAndRecallOfTrainingRows.map(pair), components: frechetComponents,
      draws: frechetSamples, heldOutDistance: format(frechetDistanceOfTrainingRows, "%.2f"),
      trainingDistance: format(trainingFrechetDistanceOfTrainingRows, "%.2f"), yardstickRows: yardstickRows,
      isShifted: isShifted,
      charts: [costChart(hasBounds: hasBounds)] + distanceCharts, steps: steps,
      rungs: try zip(1..., models).map { (number, rung) throws(PipelineError) in try section(rung, number: number) },
      dalle: try dalle.map { (dalle) throws(PipelineError) in try section(dalle, number: models.count + 1) })
    return LadderPage.template.page(title: "The ladder on \(data)", content)
  }

  private var arePictures: Bool { pictureSize != nil }
  private var rowsName: String { arePictures ? "pictures" : "rows" }

  // MARK: - The top

  private var summary: [LadderPage.SummaryRow] {
    var rows = models.map { rung in
      LadderPage.SummaryRow(
        link: rung.model.rawValue, rung: rung.model.text.title, idea: rung.model.text.idea,
        likelihood: arePictures ? format(rung.bitsPerDimension, "%.2f") : format(rung.meanLogLikelihood, "%.3f"),
        kind: rung.likelihood.map(Self.name) ?? "–", weighted: weighted(rung),
        heldOut: format(rung.frechetDistance, "%.2f"), training: format(rung.trainingFrechetDistance, "%.2f"),
        overlap: overlapCells(rung.trainingPrecisionAndRecall), parameters: grouped(rung.parameters),
        seconds: format(rung.seconds, "%.1f"))
    }
    if let dalle {
      rows.append(
        .init(
          link: "dalle", rung: "DALL·E", idea: "draws what a sentence says", likelihood: "–", kind: "see below",
          weighted: samples.map { _ in "–" }, heldOut: format(dalle.frechetDistance, "%.2f"),
          training: format(dalle.trainingFrechetDistance, "%.2f"), overlap: overlapCells(nil),
          parameters: grouped(dalle.parameters), seconds: dalle.trainingSeconds.map { grouped(Int($0)) } ?? "–"))
    }
    rows.append(
      .init(
        link: nil, rung: "(training \(rowsName))", idea: "a yardstick: real data in place of draws", likelihood: "",
        kind: "", weighted: samples.map { _ in "" }, heldOut: format(frechetDistanceOfTrainingRows, "%.2f"),
        training: format(trainingFrechetDistanceOfTrainingRows, "%.2f"),
        overlap: overlapCells(trainingPrecisionAndRecallOfTrainingRows), parameters: "", seconds: ""))
    return rows
  }

  /// K of the importance-weighted columns; none where no rung has such figures.
  private var samples: [Int] {
    models.lazy.compactMap(\.importanceWeighted).first?.map(\.samples) ?? []
  }

  private func weighted(_ rung: RungReport) -> [String] {
    guard let figures = rung.importanceWeighted else { return samples.map { _ in "–" } }
    return figures.map { arePictures ? format($0.bitsPerDimension, "%.3f") : format($0.meanLogLikelihood, "%.3f") }
  }

  /// What the importance-weighted columns are, and whether more samples tell more.
  private var weighing: String? {
    guard let rows = models.lazy.compactMap(\.importanceWeighted?.first).first?.rows, let last = samples.last
    else { return nil }
    let gains = models.compactMap { rung -> (title: String, gain: Double)? in
      guard let figures = rung.importanceWeighted, figures.count > 1 else { return nil }
      let gain = figures[figures.count - 1].meanLogLikelihood - figures[0].meanLogLikelihood
      return (rung.model.text.title, arePictures ? gain / Double(dimensions) / log(2) : gain)
    }
    guard let most = gains.max(by: { $0.gain < $1.gain }) else { return nil }
    let unit = arePictures ? "bits a dimension" : "nats"
    return
      "With K draws of the code for each of \(rows) held-out \(rowsName) in place of one, weighed by how well they explain it, a "
      + "bound closes in on the true value as K grows (Burda et al. 2016). "
      + (most.gain < (arePictures ? 0.005 : 0.05)
        ? "Here \(last) draws gain less than \(arePictures ? "0.005" : "0.05") \(unit): the posteriors are nearly as wide as they should be."
        : "Here \(last) draws gain up to \(format(most.gain, arePictures ? "%.3f" : "%.2f")) \(unit), of the \(most.title): at least so much of "
          + "its distance from the truth is the encoder's.")
  }

  private func pair(_ figures: PrecisionAndRecall) -> String {
    "\(format(figures.precision, "%.2f")) and \(format(figures.recall, "%.2f"))"
  }

  private func overlapCells(_ figures: PrecisionAndRecall?) -> [String] {
    trainingPrecisionAndRecallOfTrainingRows == nil
      ? [] : [format(figures?.precision, "%.2f"), format(figures?.recall, "%.2f")]
  }

  private func costChart(hasBounds: Bool) -> Figure {
    let measured = models.filter { $0.cost != nil }
    if arePictures {
      return Figure(
        BarChart(
          title: "Bits a dimension on held-out pictures (less is better)",
          bars: measured.map {
            .init(
              name: $0.model.text.title, value: max(0, $0.cost ?? 0),
              label: ($0.likelihood == .lowerBound ? "≤ " : "") + format($0.cost, "%.2f"))
          }
        ).drawing(), caption: hasBounds ? "≤ marks a bound: the true value is that or less." : "")
    }
    // Log-likelihoods have no zero to draw bars from; what each gains on the worst does.
    let worst = measured.compactMap(\.cost).max() ?? 0
    return Figure(
      BarChart(
        title: "Held-out log-likelihood above the lowest one, nats a row (more is better)",
        bars: measured.map {
          .init(
            name: $0.model.text.title, value: worst - ($0.cost ?? worst),
            label: ($0.likelihood == .lowerBound ? "≥ " : "") + format($0.meanLogLikelihood, "%.3f"))
        }
      ).drawing(),
      caption: "The labels are the log-likelihoods themselves."
        + (hasBounds ? " ≥ marks a bound: the true value is that or more." : ""))
  }

  private var distanceCharts: [Figure] {
    func bar(_ name: String, _ distance: Double) -> BarChart.Bar {
      .init(name: name, value: max(0, distance), label: format(distance, "%.2f"))
    }
    func bars(_ distance: KeyPath<RungReport, Double?>) -> [BarChart.Bar] {
      models.compactMap { rung in rung[keyPath: distance].map { bar(rung.model.text.title, $0) } }
    }
    let yardstick = "(training \(rowsName))"
    let dalle = dalle?.frechetDistance.map { [bar("DALL·E", $0)] } ?? []
    return [
      Figure(
        BarChart(
          title: "Fréchet distance to held-out data (less is better)",
          bars: bars(\.frechetDistance) + dalle + [bar(yardstick, frechetDistanceOfTrainingRows)]
        ).drawing(),
        caption: "The last bar is real data, as a yardstick."),
      Figure(
        BarChart(
          title: "Fréchet distance to training data (less is better)",
          bars: bars(\.trainingFrechetDistance) + [bar(yardstick, trainingFrechetDistanceOfTrainingRows)]
        ).drawing(),
        caption: "How well each model draws what it was fitted to."
          + (self.dalle == nil ? "" : " DALL·E, which was asked for other pictures, is left out.")),
    ]
  }

  private var steps: LadderPage.Steps? {
    let all = expectations
    if all.isEmpty { return nil }
    return .init(
      areAllMet: all.allSatisfy(\.isMet),
      items: all.map {
        .init(
          from: $0.earlier.text.title, to: $0.later.text.title, isMet: $0.isMet, explanation: $0.explanation)
      })
  }

  // MARK: - One rung

  private func section(_ rung: RungReport, number: Int) throws(PipelineError) -> LadderPage.RungSection {
    let text = rung.model.text
    var figures: [Figure] = []
    if !rung.samples.isEmpty {
      figures.append(
        try Figure(
          Picture.grid(rung.samples, columns: 12, spacing: 2), scale: scale,
          caption: "Drawn by the model, the first \(rung.samples.count) draws, not picked"))
    }
    if !rung.reconstructions.isEmpty {
      figures.append(
        try Figure(
          Picture.grid(originals + rung.reconstructions, columns: originals.count, spacing: 2), scale: scale,
          caption: Self.reconstructionCaption(rung.model)))
    }
    if !rung.samplePoints.isEmpty {
      figures.append(
        Figure(
          ScatterPlot(
            title: "Draws and held-out rows, in the first two principal components",
            groups: [
              .init(name: "held-out rows", points: heldOutPoints), .init(name: "draws", points: rung.samplePoints),
            ]
          ).drawing(),
          caption: "Where the two clouds lie over each other, the model draws what is in the data."))
    }
    for figure in rung.figures {
      switch figure {
      case .picture(let picture, let scale, let caption):
        figures.append(try Figure(picture, scale: scale, caption: caption))
      case .drawing(let drawing, let caption): figures.append(Figure(drawing, caption: caption))
      }
    }
    return .init(
      number: number, id: rung.model.rawValue, isFirst: rung.model == Rung.allCases[0], text: text, facts: facts(rung),
      notes: rung.notes + meaning(rung), figures: figures)
  }

  /// Enlarged so that pictures of 32 pixels are seen well and larger ones still fit.
  private var scale: Int { max(1, 64 / (pictureSize ?? shownSize ?? 64)) }

  private static func reconstructionCaption(_ rung: Rung) -> String {
    rung == Rung(GaussianRung.self)
      ? "Held-out pictures above; below what the model can keep of them: having no latent variable, it knows the mean only"
      : "Held-out pictures above; below the same pictures through the latent variable and back"
  }

  private func meaning(_ rung: RungReport) -> [String] {
    guard let figures = rung.trainingPrecisionAndRecall, let real = trainingPrecisionAndRecallOfTrainingRows
    else { return [] }
    return [figures.meaning(besides: real)]
  }

  private func facts(_ rung: RungReport) -> [Fact] {
    var facts: [Fact] = []
    if let bits = rung.bitsPerDimension {
      facts.append(Fact("Held-out bits a dimension", Self.prefix(rung.likelihood, isCost: true) + format(bits, "%.3f")))
      facts.append(Fact("Training bits a dimension", format(rung.trainingBitsPerDimension, "%.3f")))
    }
    if let likelihood = rung.meanLogLikelihood {
      facts.append(
        Fact(
          "Held-out log-likelihood, nats a \(arePictures ? "picture" : "row")",
          Self.prefix(rung.likelihood, isCost: false) + format(likelihood, arePictures ? "%.1f" : "%.4f")))
    }
    facts += (rung.boundTerms ?? []).enumerated().map { i, term in
      Fact("\(i == 0 ? "of it" : "less") \(term.name)", format(term.mean, arePictures ? "%.1f" : "%.4f"))
    }
    if let figures = rung.importanceWeighted {
      facts.append(
        Fact(
          "The same by K = \(figures.map { String($0.samples) }.joined(separator: ", ")) draws of the code",
          Self.prefix(rung.likelihood, isCost: arePictures) + weighted(rung).joined(separator: ", ")))
    }
    facts += [
      Fact("Fréchet distance, held out", format(rung.frechetDistance, "%.3f")),
      Fact("Fréchet distance, training", format(rung.trainingFrechetDistance, "%.3f")),
    ]
    facts += [("held out", rung.precisionAndRecall), ("training", rung.trainingPrecisionAndRecall)].compactMap {
      data, figures in figures.map { Fact("Precision and recall, \(data)", pair($0)) }
    }
    if let error = rung.reconstructionError {
      facts.append(Fact("Mean squared error of what comes back", format(error, "%.4g")))
    }
    facts += (rung.lossTerms ?? []).map { Fact("Loss: \($0.name)", format($0.mean, "%.4g")) }
    return facts + [
      Fact("Parameters", grouped(rung.parameters)), Fact("Seconds to fit", format(rung.seconds, "%.1f")),
    ]
  }

  private func section(_ dalle: DalleReport, number: Int) throws(PipelineError) -> LadderPage.DalleSection {
    var facts = [Fact("Checkpoint", dalle.checkpoint)]
    if let nats = dalle.natsPerImageToken {
      facts.append(Fact("Nats an image token, held out", format(nats, "%.3f")))
      facts.append(
        Fact("Nats a picture's \(dalle.tokensPerPicture) tokens", format(nats * Double(dalle.tokensPerPicture), "%.1f"))
      )
    }
    facts.append(Fact("Fréchet distance", format(dalle.frechetDistance, "%.3f")))
    if let figures = dalle.precisionAndRecall { facts.append(Fact("Precision and recall, held out", pair(figures))) }
    facts.append(Fact("Parameters", grouped(dalle.parameters)))
    facts.append(Fact("Seconds of training", dalle.trainingSeconds.map { grouped(Int($0)) } ?? "unknown"))
    return .init(
      number: number, areCaptionsNew: dalle.areCaptionsNew, facts: facts,
      cards: try dalle.drawings.map { (drawing) throws(PipelineError) in
        try Figure(drawing.drawn, scale: 2, caption: drawing.caption)
      },
      grid: try Figure(
        Picture.grid(
          dalle.drawings.map(\.original) + dalle.drawings.map(\.drawn) + dalle.reconstructions,
          columns: dalle.drawings.count, spacing: 2), scale: 1,
        caption:
          "Top: the held-out pictures of these captions. Middle: drawn from the captions alone. Bottom: the pictures "
          + "through stage 1 and back"))
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
  private func grouped(_ value: Int) -> String {
    var text = ""
    for (i, digit) in String(value).reversed().enumerated() {
      if i > 0 && i % 3 == 0 { text.append("\u{202F}") }
      text.append(digit)
    }
    return String(text.reversed())
  }
}
