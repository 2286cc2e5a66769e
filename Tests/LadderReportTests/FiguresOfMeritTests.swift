import Datasets
import Imaging
import Ladder
import LatentModels
import LinearAlgebra
import TestSupport
import Testing

@testable import Basics
@testable import LadderReport

@Suite struct FiguresOfMeritTests {
  /// A line in three dimensions, with noise.
  private func rows(_ count: Int) -> Matrix {
    var random = Philox(seed: 5, stream: 1)
    let elements = (0..<count).flatMap { _ in
      let z = random.normal()
      return [z, -z, 0.5 * z].map { $0 + 0.3 * random.normal() }
    }
    return Matrix(elements, rows: count, columns: 3)
  }

  private func options(klWeight: Double? = nil) -> LadderOptions {
    var options = LadderOptions()
    (options.bound, options.latentDimensions, options.components, options.threads) = (.steps(60), 1, 2, 1)
    options.klWeight = klWeight
    return options
  }

  @Test func rungsWithABoundHaveOneByManyDraws() throws {
    let x = rows(300)
    for rung in [Rung(VAERung.self), Rung(GaussianMixtureVAERung.self)] {
      let model = try rung.fit(x, side: nil, options: options().restricted(to: rung)).model
      func figures(_ seed: UInt64) throws -> [ImportanceWeightedFigure] {
        try #require(
          try ImportanceWeightedFigure.figures(of: model, x, arePictures: false, seed: seed, threads: 2))
      }
      let first = try figures(1)
      #expect(
        first.map(\.samples) == [1, 10, 100] && first.allSatisfy { $0.rows == 256 && $0.bitsPerDimension == nil })
      #expect(first[0].meanLogLikelihood < first[1].meanLogLikelihood)
      #expect(first[1].meanLogLikelihood < first[2].meanLogLikelihood)
      #expect(try figures(1) == first && figures(2) != first)
    }
    let ppca = Rung(PPCARung.self)
    let exact = try ppca.fit(x, side: nil, options: options().restricted(to: ppca)).model
    #expect(try ImportanceWeightedFigure.figures(of: exact, x, arePictures: false, seed: 1, threads: 1) == nil)
  }

  /// As bits they fall where the likelihood rises.
  @Test func picturesHaveBits() throws {
    let bytes = (0..<12 * 48).map { Double($0 * 31 % 256) }
    let x = Matrix(bytes.map { ($0 + 0.5) / 256 }, rows: 12, columns: 48)
    let rung = Rung(HierarchicalVAERung.self)
    let model = try rung.fit(x, side: 4, options: options().restricted(to: rung)).model
    let figures = try #require(
      try ImportanceWeightedFigure.figures(of: model, x, arePictures: true, seed: 1, threads: 1))
    let bits = figures.compactMap(\.bitsPerDimension)
    #expect(bits.count == 3 && bits[0] >= bits[1] && bits[1] >= bits[2] && bits[2] > 0)
  }

  @Test func theDivergenceOfAVAECanBeWeighed() throws {
    let x = rows(300)
    func meanSquareOfCodes(_ klWeight: Double) throws -> Double {
      let rung = Rung(VAERung.self)
      let model = try rung.fit(x, side: nil, options: options(klWeight: klWeight).restricted(to: rung)).model
      let codes = try #require(model as? any EncodingModel).latentArrays(x)[0].values.elements
      return codes.map { $0 * $0 }.mean
    }
    #expect(try meanSquareOfCodes(20) < 0.5 * meanSquareOfCodes(0.1))
    #expect(throws: PipelineError.self) { try options(klWeight: -1).validate() }
  }

  /// Held-out rows may be far from the training rows because they are few. That is no shift; other pictures are.
  @Test func aRandomSplitIsNoShift() throws {
    let random = try LadderComparison(LadderData(rows(300), name: "x.npy"), draws: 256, options: options()).report
    #expect(!random.isShifted && random.frechetDistanceOfTrainingRows > 0)
    for isShifted in [false, true] {
      let folder = try TemporaryFolder()
      var (shades, lines) = (Philox(seed: 3, stream: 1), "")
      for i in 0..<160 {
        let isHeldOut = i % 4 == 0
        // Shades of red, all of them or the darkest only.
        let red = UInt8(shades.index(below: isHeldOut && isShifted ? 20 : 256))
        let picture = Picture(width: 8, height: 8, color: .init(red: red, green: 128, blue: 128))
        try folder.write(picture.pngData(), to: "data/\(i).png")
        lines += "{\"file_name\": \"\(i).png\", \"text\": \"a\", \"split\": \"\(isHeldOut ? "test" : "train")\"}\n"
      }
      try folder.write(lines, to: "data/metadata.jsonl")
      let dataSet = try PictureDataSet(contentsOf: folder.path("data"), pictureSize: 8) { _ in }
      #expect(try LadderComparison(LadderData(dataSet), draws: 16, options: options()).report.isShifted == isShifted)
    }
  }

  /// The page of a matrix that can be taken for grey pictures shows them, and stays one of likelihoods.
  @Test func greyPicturesAreOnThePage() throws {
    let x = Matrix((0..<60 * 64).map { Double($0 * 37 % 256) / 255 }, rows: 60, columns: 64)
    var comparison = try LadderComparison(LadderData(x, name: "grey.npy"), draws: 16, options: options())
    for rung in [Rung(GaussianRung.self), Rung(PPCARung.self), Rung(VAERung.self)] { comparison.add(rung) }
    let report = comparison.report
    #expect(report.originals.count == 6 && report.originals[0].width == 8 && report.pictureSize == nil)
    for row in report.models {
      #expect(row.samples.count == 16 && row.reconstructions.count == 6 && !row.samplePoints.isEmpty)
      #expect(try #require(row.reconstructionError) > 0 && row.trainingPrecisionAndRecall != nil)
    }
    let html = try report.html()
    #expect(html.contains("data:image/png;base64,") && html.contains("Log-likelihood"))
    #expect(html.contains("<th>by K = 100</th>") && html.contains("as a map") && !html.contains("Bits a dimension"))
  }
}
