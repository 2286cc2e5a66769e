import Basics
import Datasets
import Foundation
import Generation
import ImageTokenizers
import Imaging
import Rankers
import TextTokenizer

/// Held-out captions and the reconstructions of their pictures, each looked up by the other.
struct RankerValidation {
  private static let maximumCount = 256
  /// Captions that a picture of the log shows, and pictures for each.
  private static let shownCaptions = 12
  private static let shownPictures = 6
  private let captions: [[String]]
  private let texts: [[Int32]]
  private let pictures: [Picture]
  private let scorer: Scorer

  init(
    _ dataSet: PictureDataSet, _ vocabulary: any TextEncoder, _ imageTokenizer: any ImageTokenizer, _ model: Ranker,
    _ team: ThreadTeam
  ) throws(PipelineError) {
    scorer = Scorer(ranker: model, team: team)
    let held = try dataSet.pictures(of: .validation, atMost: Self.maximumCount)
    captions = held.map { dataSet.entries[$0.index].captions }
    texts = captions.map { vocabulary.encode($0[0]) }
    pictures = Reconstructor(tokenizer: imageTokenizer, team: team).reconstruct(held.map(\.picture)).map(\.picture)
  }

  var count: Int { pictures.count }

  /// The shares of captions whose own picture scores highest, and of pictures whose own caption does. For some captions
  /// the pictures that score highest go to a picture in `folder`, a row each. Nil without pictures.
  func measure(picturesTo folder: URL) throws(PipelineError) -> (captionToPicture: Double, pictureToCaption: Double)? {
    guard !pictures.isEmpty else { return nil }
    let t = scorer.embeddings(ofTexts: texts)
    let p = scorer.embeddings(of: pictures)
    let scores = t.map { text in p.map { Scorer.cosine(text, $0) } }
    func isOther(_ caption: Int, _ picture: Int) -> Bool { !captions[picture].contains(captions[caption][0]) }
    let ofCaptions = captions.indices.count { i in
      captions.indices.allSatisfy { !isOther(i, $0) || scores[i][$0] < scores[i][i] }
    }
    let ofPictures = captions.indices.count { i in
      captions.indices.allSatisfy { !isOther($0, i) || scores[$0][i] < scores[i][i] }
    }
    let rows = captions.indices.prefix(Self.shownCaptions).flatMap { i in
      pictures.indices.sorted { (scores[i][$1], $0) < (scores[i][$0], $1) }.prefix(Self.shownPictures)
    }
    try Picture.grid(rows.map { pictures[$0] }, columns: min(Self.shownPictures, count)).write(
      to: folder.appendingPathComponent("ranking.png"),
      text: captions.prefix(Self.shownCaptions).enumerated().map {
        ("Caption \($0 + 1)", $1[0].replacing("\0", with: ""))
      })
    return (Double(ofCaptions) / Double(count), Double(ofPictures) / Double(count))
  }
}
