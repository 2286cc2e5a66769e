import Captions
import Foundation
import Imaging

/// The figures of merit of a checkpoint on one split of a data set.
public struct Evaluation: Encodable, Sendable {
  public var split: Split
  /// Pictures that reconstruction, codebook and loss were measured on: the whole split.
  public var pictures: Int
  /// From the mean squared error over the split, pixels in [0, 1].
  public var reconstructionPsnrInDecibels: Double
  /// Between reconstructions and the split's pictures, at full size, in which less is sharper; see `PatchDistance`. Nil where
  /// there are no training pictures to say what is looked at.
  public var reconstructionPatchDistance: Double?
  /// Over the split's tokens; see `CodebookUse`.
  public var codebookPerplexity: Double
  /// The share of codes that the split's tokens use.
  public var codebookUse: Double
  /// Nats an image token, given the first caption; nil where there is no prior.
  public var priorLoss: Double?
  /// One picture drawn for each caption, looked up among all pictures of the data set; nil where there is no prior.
  public var retrieval: Retrieval?
  /// Pictures drawn for each caption, of which the ranker chose one; nil where it was not asked.
  public var candidates: Int?
  /// The same with the ranker's choice.
  public var rankedRetrieval: Retrieval?
  /// The same with the reconstruction in place of the drawn picture: what stage 1 allows.
  public var retrievalCeiling: Retrieval
  /// The captions that were drawn, or some of them, to look at; no part of the figures.
  public var drawings: [Drawing] = []

  enum CodingKeys: String, CodingKey {
    case split, pictures, reconstructionPsnrInDecibels, reconstructionPatchDistance, codebookPerplexity, codebookUse
    case priorLoss, retrieval, candidates, rankedRetrieval, retrievalCeiling
  }

  public struct Retrieval: Encodable, Sendable {
    /// Captions that were drawn.
    public var captions: Int
    /// The shares whose own picture, or another of the same caption, is the nearest, and among the five nearest.
    public var at1: Double
    public var at5: Double

    /// - Parameter ranks: for each caption how many pictures are nearer than its own.
    package init(ranks: [Int]) {
      let count = Double(max(1, ranks.count))
      captions = ranks.count
      at1 = Double(ranks.count { $0 < 1 }) / count
      at5 = Double(ranks.count { $0 < 5 }) / count
    }
  }

  /// A caption of the split, its picture, and what the model makes of both.
  public struct Drawing: Sendable {
    public var caption: String
    public var original: Picture
    public var reconstruction: Picture
    /// Where the nearest of the caption's pictures stands among those nearest to the reconstruction.
    public var ceiling: Place
    /// Nil where there is no prior.
    public var drawn: DrawnPicture?
  }

  /// A picture that was drawn, and those of the data set near to it.
  public struct DrawnPicture: Sendable {
    public var picture: Picture
    /// Where the nearest of the caption's pictures stands; nil where the data set has none.
    public var own: Place?
    /// The nearest picture of the training split; nil where that is empty.
    public var nearest: Nearest?
  }

  /// Where a picture of the data set stands among those nearest to another one.
  public struct Place: Sendable {
    /// The number of pictures that are nearer.
    public var rank: Int
    /// The root of the mean squared difference of the two at 32×32 pixels, in [0, 1].
    public var distance: Double
  }

  /// A picture of the training split.
  public struct Nearest: Sendable {
    public var caption: String
    public var picture: Picture
    /// Whether it is a picture of the caption that was drawn.
    public var isOwn: Bool
    /// As a ``Place`` has it.
    public var distance: Double
  }

  /// The figures in words: for each a row, its name first, then a value for each evaluation.
  static func figures(_ evaluations: [Evaluation]) -> [[String]] {
    func row(_ name: String, _ value: (Evaluation) -> String) -> [String] { [name] + evaluations.map(value) }
    return [
      row("pictures") { "\($0.pictures)" },
      row("reconstruction PSNR, dB") { String(format: "%.2f", $0.reconstructionPsnrInDecibels) },
      row("patch distance of reconstructions") {
        $0.reconstructionPatchDistance.map { String(format: "%.3f", $0) } ?? "–"
      },
      row("codebook perplexity") { String(format: "%.0f", $0.codebookPerplexity) },
      row("codes in use") { percent($0.codebookUse) },
      row("prior loss, nats an image token") { $0.priorLoss.map { String(format: "%.3f", $0) } ?? "–" },
      row("captions drawn") { "\($0.retrieval?.captions ?? 0)" },
      row("retrieval@1 (ceiling)") {
        "\($0.retrieval.map { percent($0.at1) } ?? "–") (\(percent($0.retrievalCeiling.at1)))"
      },
      row("retrieval@5 (ceiling)") {
        "\($0.retrieval.map { percent($0.at5) } ?? "–") (\(percent($0.retrievalCeiling.at5)))"
      },
    ]
      + (evaluations.candidates.map { count in
        [
          row("retrieval@1, best of \(count)") { $0.rankedRetrieval.map { percent($0.at1) } ?? "–" },
          row("retrieval@5, best of \(count)") { $0.rankedRetrieval.map { percent($0.at5) } ?? "–" },
        ]
      } ?? [])
  }

  /// What the figures of retrieval mean.
  /// - Parameter settings: what the pictures were drawn with, in words.
  static func retrievalExplanation(_ evaluations: [Evaluation], settings: String) -> String {
    let best = evaluations.candidates.map {
      " Best of \($0): the ranker has chosen among \($0) pictures drawn for the caption."
    }
    return """
      Retrieval: one picture is drawn for each caption with \(settings), and its nearest neighbours are looked up \
      among all pictures of the data set, at 32×32 pixels: the share whose own picture, or another of the same caption, is the \
      nearest, or among the five nearest. The ceiling is the same with the tokenizer's reconstruction in place of the drawn picture.\(best ?? "")
      """
  }
}

extension [Evaluation] {
  /// How many pictures the ranker has chosen among; nil where it was not asked.
  var candidates: Int? { lazy.compactMap(\.candidates).first }
}
