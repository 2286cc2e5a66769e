import Basics
import Datasets
import Foundation
import Imaging
import Ladder
import LadderReport
import LatentModels
import LinearAlgebra
import TestSupport
import Testing

@testable import LectureFigures

/// Each figure of the list, with a budget of seconds: what is drawn means what it says.
@Suite struct LectureFigureTests {
  private typealias Values = [LectureFigure.Content.Value]

  private func figure(_ name: String) throws -> LectureFigure { try #require(LectureFigure(named: name)) }

  private func options(steps: Int = 30, seed: UInt64 = 0) -> LadderOptions {
    var options = LadderOptions()
    (options.bound, options.seed, options.threads) = (.steps(steps), seed, 2)
    return options
  }

  private func values(_ name: String, seed: UInt64 = 0, data: LadderData? = nil) throws -> Values {
    try figure(name).content(.init(data: data, options: options(seed: seed))).values
  }

  /// The values of names that end in 0, 1, …
  private func curve(_ values: Values, _ stem: String) -> [Double] {
    var curve: [Double] = []
    while let value = values["\(stem)_\(curve.count)"] { curve.append(value) }
    return curve
  }

  private func rises(_ curve: [Double]) -> Bool { zip(curve, curve.dropFirst()).allSatisfy { $1 >= $0 - 1e-10 } }

  /// Two stripes or a square on white, 8×8, with captions of the two kinds; one in five is held out.
  private func pictures() throws -> LadderData {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    var lines = ""
    for i in 0..<60 {
      var picture = Picture(width: 8, height: 8, color: .white)
      for y in 1..<7 {
        for x in 1..<7 where i % 2 == 0 ? (x + i / 2) % 3 == 0 : (2...5).contains(y) {
          for c in 0..<3 { picture.pixels[3 * (8 * y + x) + c] = UInt8(10 * (i % 7)) }
        }
      }
      try picture.write(to: folder.path("\(i).png"))
      let split = i % 5 == 4 ? "test" : "train"
      lines +=
        "{\"file_name\":\"\(i).png\",\"text\":\"\(i % 2 == 0 ? "stripes" : "a square")\",\"split\":\"\(split)\"}\n"
    }
    try folder.write(lines, to: "metadata.jsonl")
    return try LadderData(PictureDataSet(contentsOf: folder.url, pictureSize: 8))
  }

  // MARK: All of them

  @Test func namesAreDifferentAndOfTheCommandLinesForm() {
    let names = LectureFigure.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(names.allSatisfy { $0.wholeMatch(of: #/[a-z0-9]+(-[a-z0-9]+)*/#) != nil })
    #expect(LectureFigure(named: "no such") == nil)
  }

  @Test(arguments: LectureFigure.all.filter { $0.source == .points }.map(\.name), [UInt64(0), 1])
  func figuresOfPointsAreDrawnTheSameFromASeed(_ name: String, _ seed: UInt64) throws {
    let figure = try figure(name)
    let content = try figure.content(.init(options: options(seed: seed)))
    let svg = try content.svg(title: figure.shows)
    #expect(svg.hasPrefix("<svg") && svg.contains("<circle") || svg.contains("<rect"))
    #expect(!svg.contains("nan") && !svg.contains("inf"))
    #expect(content.picture() == nil && !content.isPicture && !content.caption.isEmpty)
    #expect(try figure.content(.init(options: options(seed: seed))).svg(title: figure.shows) == svg)
    #expect(try figure.content(.init(options: options(seed: seed + 7))).svg(title: figure.shows) != svg)
  }

  @Test(arguments: LectureFigure.all.filter { $0.source == .digits || $0.source == .pictures }.map(\.name))
  func figuresOfPicturesAreDrawn(_ name: String) throws {
    let figure = try figure(name)
    let content = try figure.content(.init(data: pictures(), options: options(steps: 4)))
    let picture = try #require(content.picture())
    #expect(content.isPicture && Set(picture.pixels).count > 8)
    #expect(content.values.allSatisfy { $0.value.isFinite } && !content.values.isEmpty)
    #expect(!content.caption.contains("nan"))
    let svg = try content.svg(title: figure.shows)
    #expect(svg.contains("data:image/png;base64,"))
  }

  @Test(arguments: LectureFigure.all.filter { $0.source == .digits || $0.source == .pictures }.map(\.name))
  func figuresOfPicturesRefuseAMatrix(_ name: String) throws {
    let data = try LadderData(Matrix([1, 2, 3, 4, 5, 7], rows: 3, columns: 2), name: "m.npy")
    let error = #expect(throws: PipelineError.self) {
      try figure(name).content(.init(data: data, options: options(steps: 1)))
    }
    #expect(error?.kind == .usage)
  }

  // MARK: What they say

  @Test(arguments: [UInt64(0), 1, 2])
  func eachStepOfTheGaussianIsLikelierThanTheOneBefore(_ seed: UInt64) throws {
    let steps = curve(try values("gaussian", seed: seed), "step")
    #expect(steps.count == 6 && rises(steps))
  }

  @Test(arguments: [UInt64(0), 1, 2, 3, 4])
  func noRoundOfTheMixtureLowersTheLikelihood(_ seed: UInt64) throws {
    let rounds = curve(try values("mixture", seed: seed), "round")
    #expect(rounds.count == 21 && rises(rounds) && rounds[20] > rounds[0] + 0.1)
  }

  /// Points of one's own, of more columns than a plane has.
  @Test func ownRowsAreShownInTheirPlane() throws {
    var random = Philox(seed: 3, stream: 1)
    let x = Matrix((0..<80 * 4).map { Double($0 / 160) * 5 + random.normal() }, rows: 80, columns: 4)
    let data = try LadderData(x, name: "x.npy")
    for name in ["mixture", "em-bound", "complete-data"] {
      #expect(try !values(name, data: data).isEmpty)
    }
    let narrow = try LadderData(x.columns(0..<1), name: "x.npy")
    let error = #expect(throws: PipelineError.self) { try values("mixture", data: narrow) }
    #expect(error?.kind == .badData)
  }

  @Test func theTrueComponentGetsMostOfThePosteriorButNotAll() throws {
    let share = try #require(try values("complete-data")["mean_responsibility_of_true_component"])
    #expect(share > 0.5 && share < 0.99)
  }

  @Test(arguments: [UInt64(0), 1, 2])
  func closedFormAndEMAgree(_ seed: UInt64) throws {
    let values = try values("ppca", seed: seed)
    let (closed, em) = try (
      #require(values["closed_form_log_likelihood"]), #require(values["em_log_likelihood"])
    )
    #expect(abs(closed - em) < 1e-8)
    #expect(try #require(values["relative_difference_of_covariances"]) < 1e-6)
    #expect(rises(curve(values, "round")))
  }

  @Test(arguments: ["em-bound", "variational-em"], [UInt64(0), 1, 2])
  func boundAndDivergenceAddUpToTheLikelihoodInEachHalfStep(_ name: String, _ seed: UInt64) throws {
    let values = try values(name, seed: seed)
    let (likelihood, bound, kl) = (curve(values, "log_likelihood"), curve(values, "bound"), curve(values, "kl"))
    #expect(likelihood.count > 10 && bound.count == likelihood.count && kl.count == likelihood.count)
    for i in likelihood.indices {
      #expect(abs(likelihood[i] - bound[i] - kl[i]) < 1e-8)
      #expect(kl[i] > -1e-12)
    }
    #expect(rises(bound))
    if name == "em-bound" {
      #expect(rises(likelihood))
      // E steps are at odd places: they close the gap.
      #expect(kl.indices.allSatisfy { $0 % 2 == 0 || abs(kl[$0]) < 1e-9 } && kl[0] > 0.01)
    } else {
      // The family does not hold the posterior, and nothing is likelier than the maximum.
      #expect(kl[1] > 0.02 && bound[bound.count - 1] > bound[1])
      #expect(try #require(values["exact_log_likelihood"]) >= likelihood[likelihood.count - 1] - 1e-3)
    }
  }

  /// The bound's terms, of a mixture and a q that can be worked out by hand.
  @Test func boundTermsAreThoseOfTheirFormulas() throws {
    let unit = PlanePoints.covariance(1, 0, 1)
    let mixture = try GaussianMixture(
      weights: [0.25, 0.75], means: Matrix([0, 0, 0, 0], rows: 2, columns: 2), covariances: [unit, unit])
    // Both bells are the same, so that the posterior is π whatever x.
    let terms = try BoundTerms(mixture, Matrix([0, 0], rows: 1, columns: 2), Matrix([0.5, 0.5], rows: 1, columns: 2))
    let kl = 0.5 * (log(0.5 / 0.25) + log(0.5 / 0.75))
    #expect(abs(terms.logLikelihood + log(2 * Double.pi)) < 1e-12)
    #expect(abs(terms.divergence - kl) < 1e-12)
    #expect(abs(terms.bound + log(2 * Double.pi) + kl) < 1e-12)
  }

  @Test func aPixelCNNThatIsToldTheClassDrawsIt() throws {
    let content = try figure("pixelcnn-classes").content(.init(data: pictures(), options: options(steps: 150)))
    #expect(try #require(content.values["share_nearest_to_own_class"]) > 0.75)
  }

  @Test func classesNeedCaptionsThatSeveralPicturesHave() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    for i in 0..<10 {
      try Picture(width: 8, height: 8, color: .black).write(to: folder.path("\(i).png"))
      try folder.write("number \(i)", to: "\(i).txt")
    }
    let data = try LadderData(PictureDataSet(contentsOf: folder.url, pictureSize: 8))
    let error = #expect(throws: PipelineError.self) {
      try figure("pixelcnn-classes").content(.init(data: data, options: options(steps: 1)))
    }
    #expect(error?.kind == .badData)
  }

  @Test func moreTokensBringMoreBack() throws {
    let content = try figure("vqvae-reconstructions").content(.init(data: pictures(), options: options(steps: 80)))
    #expect(try #require(content.values["psnr_in_decibels"]) > 15)
  }

  @Test func theLastFigureNeedsACheckpoint() throws {
    let error = #expect(throws: PipelineError.self) { try figure("dalle").content(.init(options: options())) }
    #expect(error?.kind == .usage)
  }
}
