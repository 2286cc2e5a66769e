import ArrayFiles
import Basics
@testable import Ladder
import Foundation
import Imaging
import LinearAlgebra
import TestSupport
import Testing

@Suite struct BaselinesCommandTests {
  /// Two clouds in three dimensions, the second dimension following the first.
  private func writeMatrix(_ folder: TemporaryFolder, _ name: String = "x.npy", rows: Int = 200, columns: Int = 3)
    throws
  {
    var random = Philox(seed: 5, stream: 5)
    func normal() -> Double {
      (-2 * Foundation.log(1 - Double(random.uniform()))).squareRoot() * cos(2 * .pi * Double(random.uniform()))
    }
    var matrix = Matrix(repeating: 0, rows: rows, columns: columns)
    for row in 0..<rows {
      let cloud = row % 2 == 0 ? -4.0 : 4.0
      for column in 0..<columns { matrix[row, column] = cloud + normal() * 0.5 + (column == 1 ? matrix[row, 0] : 0) }
    }
    try NumPyWriter.write(matrix, to: folder.path(name))
  }

  private func number(_ outcome: Outcome, _ key: String) throws -> Double {
    try #require(try outcome.json()[key] as? Double, "\(key): \(outcome)")
  }

  // MARK: Round trips

  @Test(arguments: [
    ("gaussian", []), ("gaussian", ["--covariance", "diagonal"]), ("gaussian-mixture", ["--components", "2"]),
    ("gaussian-mixture", ["--components", "2", "--covariance", "diagonal"]),
    ("gaussian-mixture", ["--components", "2", "--covariance", "spherical"]),
    ("gaussian-mixture", ["--components", "2", "--covariance", "tied"]),
    ("ppca", ["--latent-dimensions", "1"]),
  ])
  func aClassicalModelIsFittedSavedScoredAndSampled(_ model: String, _ options: [String]) throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    let fit = try Program.run(
      ["baselines", "fit", model, "x.npy", "--output", "m.safetensors", "--json"] + options, in: folder)
    fit.expectSuccess()
    #expect(try number(fit, "rows") == 200 && number(fit, "dimensions") == 3)
    #expect(try fit.json()["model"] as? String == model && fit.json()["likelihood"] as? String == "exact")
    #expect(try fit.json()["bits_per_dimension"] == nil)
    // The file gives what the model gave.
    let score = try Program.run(["baselines", "score", "m.safetensors", "x.npy", "--json"], in: folder)
    score.expectSuccess()
    #expect(try number(score, "rows") == 200)
    #expect(try abs(number(score, "mean_log_likelihood") - number(fit, "mean_log_likelihood")) < 1e-9)
    // Draws are scored about as well as the data; a matrix of other numbers is not.
    let sample = try Program.run(
      ["baselines", "sample", "m.safetensors", "--count", "2000", "--output", "s.npy", "--json"], in: folder)
    sample.expectSuccess()
    #expect(try number(sample, "count") == 2000)
    let drawn = try Program.run(["baselines", "score", "m.safetensors", "s.npy", "--json"], in: folder)
    #expect(try abs(number(drawn, "mean_log_likelihood") - number(fit, "mean_log_likelihood")) < 0.3)
    // Row i of a seed is the same whatever the count.
    try Program.run(["baselines", "sample", "m.safetensors", "--count", "3", "--output", "t.npy"], in: folder)
      .expectSuccess()
    let (all, first) = (try folder.read("s.npy"), try folder.read("t.npy"))
    #expect(all.suffix(2000 * 24).prefix(72) == first.suffix(72))
  }

  @Test func nothingThatIsThereIsReplacedUnasked() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    let before = try folder.read("x.npy")
    for name in ["gaussian.safetensors", "gaussian-2.safetensors"] {
      let fit = try Program.run(["baselines", "fit", "gaussian", "x.npy"], in: folder)
      #expect(fit.outputLines.last == name)
    }
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("link").path, withDestinationPath: folder.url.path)
    for output in ["x.npy", "./x.npy", "link/x.npy"] {
      try Program.run(["baselines", "fit", "gaussian", "x.npy", "--output", output], in: folder)
        .expectFailure(64, "would replace what it is made of")
    }
    #expect(try folder.read("x.npy") == before)
    // A link stays one, and a pipe is no file.
    try folder.write("old", to: "real.safetensors")
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("l.safetensors").path, withDestinationPath: "real.safetensors")
    try Program.run(["baselines", "fit", "gaussian", "x.npy", "--output", "l.safetensors"], in: folder).expectSuccess()
    #expect(try folder.read("real.safetensors") == folder.read("gaussian.safetensors"))
    #expect(mkfifo(folder.path("pipe").path, 0o600) == 0)
    try Program.run(["baselines", "fit", "gaussian", "x.npy", "--output", "pipe"], in: folder)
      .expectFailure(73, "a pipe or a device")
    try Program.run(["baselines", "fit", "gaussian", "x.npy", "--output", "new/"], in: folder)
      .expectFailure(73, "it is a folder")
  }

  @Test func whatNoChosenModelTakesIsRefused() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    try Program.run(
      ["baselines", "compare", "x.npy", "--models", "gaussian,ppca", "--components", "3"], in: folder
    ).expectFailure(64, "--components can be chosen for gaussian-mixture", "alone, not for gaussian, ppca")
    let outcome = try Program.run(
      ["baselines", "compare", "x.npy", "--models", "gaussian-mixture", "--components", "5000"], in: folder)
    #expect(outcome.status == 65 && outcome.errors.contains("no model could be fitted: ladder.html says why"))
    #expect(folder.exists("ladder.html"))
  }

  @Test func latentVariablesAreWritten() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    func encode(_ model: [String], _ more: String...) throws -> Outcome {
      try Program.run(["baselines", "fit"] + model + ["--output", "m.safetensors"], in: folder).expectSuccess()
      return try Program.run(["baselines", "encode", "m.safetensors"] + more + ["--json"], in: folder)
    }
    #expect(try number(encode(["gaussian-mixture", "x.npy", "--components", "2"], "x.npy"), "rows") == 200)
    let components = try NumPyFile.matrix(contentsOf: folder.path("codes.npz"), array: "component").elements.map {
      Int($0)
    }
    // The clouds take turns.
    #expect(components.enumerated().allSatisfy { $1 == components[$0 % 2] } && components[0] != components[1])
    let shares = try NumPyFile.matrix(contentsOf: folder.path("codes.npz"), array: "responsibilities")
    #expect((0..<200).allSatisfy { abs(shares.row($0).reduce(0, +) - 1) < 1e-9 && shares[$0, components[$0]] > 0.99 })
    let vae = try encode(
      ["gaussian-mixture-vae", "x.npy", "--steps", "4", "--components", "3", "--latent-dimensions", "2"], "x.npy",
      "--split", "test", "--output", "v.npz")
    let arrays = try #require(vae.json()["arrays"] as? [String: Int])
    #expect(arrays == ["mean": 2, "variance": 2, "responsibilities": 3, "component": 1])
    #expect(try number(vae, "rows") == 20)
    try encode(["gaussian", "x.npy"], "x.npy").expectFailure(64, "gaussian", "no latent variable")
    try encode(["ppca", "x.npy", "--latent-dimensions", "1"], "x.npy", "--output", "x.npy").expectFailure(64, ".npz")
    try encode(["ppca", "x.npy", "--latent-dimensions", "1"], "nothing.npy").expectFailure(66, "nothing.npy")
    try folder.writeSquares()
    let tokens = try encode(["vqvae2", "data", "--size", "16", "--steps", "2"], "data", "--output", "t.npz")
    #expect(try #require(tokens.json()["arrays"] as? [String: Int]).values.sorted() == [4, 16, 64])
  }

  @Test func principalComponentsAreFittedAtOnceOrByEM() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    func fit(_ arguments: String...) throws -> Outcome {
      try Program.run(
        ["baselines", "fit", "ppca", "x.npy", "--latent-dimensions", "1", "--json"] + arguments, in: folder)
    }
    let closed = try number(fit(), "mean_log_likelihood")
    #expect(try number(fit("--method", "closed-form"), "mean_log_likelihood") == closed)
    let whole = try fit("--method", "em", "--epochs", "10000")
    #expect(
      try abs(number(whole, "mean_log_likelihood") - closed) < 1e-6 && whole.errors.contains("EM converged after"))
    let ended = try fit("--method", "em", "--epochs", "1")
    #expect(try number(ended, "mean_log_likelihood") < closed && ended.errors.contains("EM was ended after 1 rounds"))
    try Program.run(["baselines", "fit", "gaussian", "x.npy", "--method", "em"], in: folder)
      .expectFailure(64, "--method", "ppca alone")
    try Program.run(["baselines", "fit", "gaussian", "x.npy", "--minutes", "5"], in: folder)
      .expectFailure(64, "--steps, --epochs or --minutes can be chosen for ppca, generative-auto-encoder")
  }

  /// A bound is measured on some of many rows, and score on all.
  @Test func fitSaysOfHowManyRowsItsFigureIs() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder, rows: 600)
    let bound = try Program.run(["baselines", "fit", "vae", "x.npy", "--steps", "2"], in: folder)
    #expect(bound.errors.contains("600 rows of 3") && bound.errors.contains("log-likelihood of 512 of them"))
    let exact = try Program.run(["baselines", "fit", "ppca", "x.npy", "--latent-dimensions", "1"], in: folder)
    #expect(exact.errors.contains("600 rows of 3") && !exact.errors.contains("of them"))
  }

  @Test func aBoundIsGivenByManyDrawsToo() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    let weighed = ["--kl-weight", "2", "--output", "m.safetensors"]
    try Program.run(["baselines", "fit", "vae", "x.npy", "--steps", "20"] + weighed, in: folder).expectSuccess()
    let score = ["baselines", "score", "m.safetensors", "x.npy"]
    let figures = try #require(
      try Program.run(score + ["--json"], in: folder).json()["importance_weighted"] as? [[String: Any]])
    let last = try #require(figures.last?["mean_log_likelihood"] as? Double)
    let text = try Program.run(score + ["--threads", "1"], in: folder)
    #expect(
      text.output.contains(String(format: "  by K = 100            %.6f nats a row, of 200 rows", last)), "\(text)")
    try Program.run(["baselines", "fit", "ppca", "x.npy"] + weighed, in: folder)
      .expectFailure(64, "--kl-weight", "vae alone")
  }

  @Test func greyPicturesInAMatrixAreDrawn() throws {
    let folder = try TemporaryFolder()
    let rows = Matrix((0..<60 * 64).map { Double($0 * 37 % 256) / 255 }, rows: 60, columns: 64)
    try NumPyWriter.write(rows, to: folder.path("grey.npy"))
    try Program.run(["baselines", "fit", "ppca", "grey.npy", "--latent-dimensions", "2"], in: folder).expectSuccess()
    try Program.run(["baselines", "sample", "ppca.safetensors", "--count", "1", "--output", "s.png"], in: folder)
      .expectSuccess()
    #expect(try Picture(contentsOf: folder.path("s.png")).height == 16)
  }

  @Test func aHierarchyIsDrawnFromAtATemperature() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    for model in ["vae", "hierarchical-vae"] {
      try Program.run(["baselines", "fit", model, "data", "--size", "8", "--steps", "2"], in: folder).expectSuccess()
    }
    func draw(_ temperature: String, from model: String = "hierarchical-vae") throws -> Outcome {
      try Program.run(
        [
          "baselines", "sample", "\(model).safetensors", "--temperature", temperature, "--count", "4", "--output",
          "s.npy",
        ],
        in: folder)
    }
    func spread(_ temperature: String) throws -> Double {
      try draw(temperature).expectSuccess()
      let x = try NumPyFile.matrix(contentsOf: folder.path("s.npy"))
      return (0..<x.columns).reduce(0) { $0 + abs(x[0, $1] - x[1, $1]) }
    }
    #expect(try spread("0") == 0 && spread("0.5") > 0)
    try draw("0.5", from: "vae").expectFailure(64, "--temperature is for a hierarchical VAE")
    try draw("-1").expectFailure(64, "0 or above")
  }

  @Test func aMixtureBeatsOneGaussianOnTwoClouds() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    func likelihood(_ arguments: String...) throws -> Double {
      try number(
        Program.run(["baselines", "fit"] + arguments + ["--output", "m.safetensors", "--json"], in: folder),
        "mean_log_likelihood")
    }
    let one = try likelihood("gaussian", "x.npy")
    #expect(try likelihood("gaussian-mixture", "x.npy", "--components", "2") > one + 0.5)
  }

  @Test func picturesAreFittedScoredAndDrawn() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    let fit = try Program.run(
      ["baselines", "fit", "ppca", "data", "--size", "8", "--latent-dimensions", "2", "--json"], in: folder)
    fit.expectSuccess()
    #expect(try number(fit, "dimensions") == 192 && fit.json()["bits_per_dimension"] is Double)
    let score = try Program.run(
      ["baselines", "score", "ppca.safetensors", "data", "--split", "train", "--json"], in: folder)
    score.expectSuccess()
    #expect(try abs(number(score, "bits_per_dimension") - number(fit, "bits_per_dimension")) < 1e-9)
    try Program.run(
      [
        "baselines", "sample", "ppca.safetensors", "--count", "6", "--columns", "3", "--scale", "1", "--output",
        "s.png",
      ],
      in: folder
    ).expectSuccess()
    let picture = try Picture(contentsOf: folder.path("s.png"))
    #expect(picture.width == 3 * 8 + 2 * 2 && picture.height == 2 * 8 + 2)
  }

  @Test(arguments: [["gaussian-mixture"], ["gaussian-mixture-vae", "--steps", "60", "--latent-dimensions", "2"]])
  func componentsAreDrawnFromAndComparedWithLabels(_ model: [String]) throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    try Program.run(
      ["baselines", "fit"] + model + ["x.npy", "--components", "2", "--output", "m.safetensors"], in: folder
    ).expectSuccess()
    // The clouds take turns.
    let labels = Matrix((0..<200).map { Double($0 % 2) }, rows: 200, columns: 1)
    try NumPyWriter.write(labels, to: folder.path("labels.npy"))
    let score = ["baselines", "score", "m.safetensors", "x.npy", "--json", "--labels"]
    #expect(try number(Program.run(score + ["labels.npy"], in: folder), "clustering_accuracy") > 0.98)
    for component in ["0", "1"] {
      try Program.run(
        ["baselines", "sample", "m.safetensors", "--component", component, "--output", "s\(component).npy"], in: folder
      ).expectSuccess()
    }
    #expect(try folder.read("s0.npy") != folder.read("s1.npy"))
    try Program.run(["baselines", "sample", "m.safetensors", "--component", "2"], in: folder)
      .expectFailure(64, "there is no component 2")
    try NumPyWriter.write(Matrix([1, 2], rows: 2, columns: 1), to: folder.path("two.npy"))
    try Program.run(score + ["two.npy"], in: folder).expectFailure(65, "two.npy has 2 labels for the 200 rows")
    try Program.run(score + ["x.npy"], in: folder).expectFailure(65, "not one whole number for each row")
    try Program.run(["baselines", "fit", "ppca", "x.npy"], in: folder).expectSuccess()
    try Program.run(["baselines", "sample", "ppca.safetensors", "--component", "0"], in: folder)
      .expectFailure(64, "has no components")
  }

  @Test(
    arguments: [AutoEncoderRung.self, VQVAERung.self, VQVAE2Rung.self, DiscreteVAERung.self].map(Rung.init) as [Rung])
  func rungsOfCodesAreFittedDrawnFromAndScored(_ rung: Rung) throws {
    let folder = try TemporaryFolder()
    try folder.writeData(count: 24)
    try Program.run(
      ["baselines", "fit", rung.rawValue, "data", "--size", "16", "--steps", "2", "--output", "m.safetensors"],
      in: folder
    ).expectSuccess()
    try Program.run(["baselines", "sample", "m.safetensors", "--count", "3", "--output", "m.png"], in: folder)
      .expectSuccess()
    #expect(try Picture(contentsOf: folder.path("m.png")).height == 32)
    let score = try Program.run(["baselines", "score", "m.safetensors", "data", "--json"], in: folder)
    let report = try score.json()
    // An auto-encoder has no likelihood, but what comes back of a picture can be measured of all.
    #expect((report["mean_log_likelihood"] as? Double)?.isFinite == (rung == Rung(AutoEncoderRung.self) ? nil : true))
    let error = try number(score, "reconstruction_error")
    #expect(error > 0 && error < 1)
    let terms = (report["loss_terms"] as? [[String: Any]])?.compactMap { $0["mean"] as? Double }
    if [Rung(VQVAERung.self), Rung(VQVAE2Rung.self)].contains(rung) {
      // The codebook's term and the commitment, which is a sixteenth of β = 0.25 of it.
      let terms = try #require(terms)
      #expect(terms.count == 3 && terms[0] == error && terms[1] > 0 && abs(terms[2] - 0.25 / 16 * terms[1]) < 1e-9)
    } else {
      #expect(terms == nil)
    }
    try folder.write(folder.read("m.safetensors").dropLast(8), to: "cut.safetensors")
    try Program.run(["baselines", "sample", "cut.safetensors"], in: folder).expectFailure(65, "cut.safetensors")
    // A matrix has no pictures to cut into tokens.
    try Program.run(["baselines", "fit", rung.rawValue, "none.npy"], in: folder).expectFailure(66, "none.npy")
  }

  // MARK: The comparison

  @Test func theComparisonShowsEveryRung() throws {
    let folder = try TemporaryFolder()
    try folder.writeData(count: 40)
    let outcome = try Program.run(
      [
        "baselines", "compare", "data", "--size", "16", "--steps", "2", "--batch-size", "8", "--draws", "16",
        "--components", "2", "--output", "page.html", "--no-dalle", "--json",
      ], in: folder)
    outcome.expectSuccess()
    let report = try outcome.json()
    let models = try #require(report["models"] as? [[String: Any]])
    let html = String(decoding: try folder.read("page.html"), as: UTF8.self)
    #expect(models.count == Rung.allCases.count && report["output"] as? String == "page.html")
    var bounded: [Int] = []
    for model in models {
      let name = try #require(model["model"] as? String)
      #expect(html.contains("id=\"\(name)\""))
      // An auto-encoder's draws lie on a surface: there is no density to measure.
      let isDensity = name != AutoEncoderRung.name
      #expect((model["mean_log_likelihood"] is Double) == isDensity, "\(name): \(model)")
      #expect((model["bits_per_dimension"] is Double) == isDensity, "\(name): \(model)")
      // A bound is its reconstruction less the divergences.
      if let terms = model["bound_terms"] as? [[String: Any]] {
        let means = terms.compactMap { $0["mean"] as? Double }
        let total = try #require(model["mean_log_likelihood"] as? Double)
        #expect(
          abs(2 * means[0] - means.reduce(0, +) - total) < 1e-9 * abs(total) && means.dropFirst().allSatisfy { $0 > 0 })
        bounded.append(terms.count)
      }
      for key in ["precision_and_recall", "training_precision_and_recall"] {
        let figures = try #require(model[key] as? [String: Double], "\(name)")
        #expect(figures.count == 2 && figures.values.allSatisfy { (0...1).contains($0) })
      }
      #expect(model["frechet_distance"] is Double && (model["parameters"] as? Int ?? 0) > 0, "\(name): \(model)")
    }
    // The VAE, that with kinds, and the code and two grids.
    #expect(bounded == [2, 3, 4] && html.contains("less KL(q(z | x) ‖ p(z))"))
    #expect(!html.contains("It could not be fitted"))
    #expect(models.count { $0["importance_weighted"] != nil } == 3 && html.contains("<th>by K = 100</th>"))
    #expect(html.contains("<th>Precision</th><th>Recall</th>") && html.contains("Loss: codebook ‖sg(z) − e‖²"))
    #expect(!html.replacing("xmlns=\"http://www.w3.org/2000/svg\"", with: "").contains("http"))
    #expect(html.contains("data:image/png;base64,") && html.contains("<ellipse"))
  }

  @Test func aMatrixIsComparedToo() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    let outcome = try Program.run(
      [
        "baselines", "compare", "x.npy", "--models", "gaussian,gaussian-mixture, ppca", "--components", "2",
        "--latent-dimensions", "1", "--draws", "64", "--json",
      ], in: folder)
    outcome.expectSuccess()
    let models = try #require(try outcome.json()["models"] as? [[String: Any]])
    #expect(models.map { $0["model"] as? String } == ["gaussian", "gaussian-mixture", "ppca"])
    let likelihoods = models.compactMap { $0["mean_log_likelihood"] as? Double }
    #expect(likelihoods.count == 3 && likelihoods[1] > likelihoods[0])
    #expect(folder.exists("ladder.html"))
  }

  @Test func theComparisonEndsWithACheckpoint() throws {
    let folder = try Trained.copy()
    try FileManager.default.removeItem(at: folder.path("data"))
    try folder.writeData(count: 24)
    let outcome = try Program.run(
      [
        "baselines", "compare", "data", "--size", "8", "--models", "gaussian", "--draws", "12", "--checkpoint", "local",
        "--json",
      ], in: folder)
    outcome.expectSuccess()
    let dalle = try #require(try outcome.json()["dalle"] as? [String: Any])
    #expect(dalle["frechet_distance"] is Double && (dalle["training_seconds"] as? Double ?? -1) >= 0)
    let html = String(decoding: try folder.read("ladder.html"), as: UTF8.self)
    #expect(html.contains("id=\"dalle\"") && html.contains("a red bar"))

    // One that is damaged costs no fits where it was asked for, and no page where it was not.
    try FileManager.default.removeItem(at: folder.path("ladder.html"))
    try folder.write(Data(count: 10), to: "checkpoints/local/prior.safetensors")
    let arguments = ["baselines", "compare", "data", "--size", "8", "--models", "gaussian", "--draws", "12"]
    let named = try Program.run(arguments + ["--checkpoint", "local"], in: folder)
    #expect(named.status != 0 && !named.errors.contains("gaussian:") && !folder.exists("ladder.html"))
    let unnamed = try Program.run(arguments, in: folder)
    unnamed.expectSuccess()
    #expect(unnamed.errors.contains("note: the page ends without DALL·E") && folder.exists("ladder.html"))
  }

  // MARK: Bad input

  @Test func dataThatAreNone() throws {
    let folder = try TemporaryFolder()
    let fit = ["baselines", "fit", "gaussian"]
    try Program.run(fit + ["none.npy"], in: folder).expectFailure(66, "none.npy")
    try folder.write("text", to: "x.txt")
    try Program.run(fit + ["x.txt"], in: folder).expectFailure(65, "neither a folder of pictures")
    try folder.write("text", to: "x.npy")
    try Program.run(fit + ["x.npy"], in: folder).expectFailure(65, "x.npy")
    try folder.write(Data(), to: "x.npz")
    try Program.run(fit + ["x.npz"], in: folder).expectFailure(65, "x.npz")
    try FileManager.default.createDirectory(at: folder.path("empty"), withIntermediateDirectories: false)
    try Program.run(fit + ["empty"], in: folder).expectFailure(65, "is empty")
    for (rows, columns) in [(0, 3), (3, 0)] {
      try NumPyWriter.write(Matrix(repeating: 0, rows: rows, columns: columns), to: folder.path("x.npy"))
      try Program.run(fit + ["x.npy"], in: folder).expectFailure(65, "x.npy")
    }
    for bad in [Double.nan, .infinity] {
      try NumPyWriter.write(Matrix([1, 2, bad, 4], rows: 2, columns: 2), to: folder.path("x.npy"))
      try Program.run(fit + ["x.npy"], in: folder).expectFailure(65, "x.npy")
    }
    #expect(!folder.exists("gaussian.safetensors"))
  }

  @Test func optionsThatMakeNoSense() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder, rows: 5)
    for (arguments, code, words) in [
      (["fit", "perceptron", "x.npy"], 64, "gaussian-mixture"),
      (["fit", "gaussian-mixture", "x.npy", "--components", "6"], 65, "6"),
      (["fit", "gaussian-mixture", "x.npy", "--components", "0"], 64, "--components must be"),
      (["fit", "gaussian-mixture", "x.npy", "--covariance", "round"], 64, "spherical"),
      (["fit", "ppca", "x.npy", "--latent-dimensions", "0"], 64, "--latent-dimensions must be"),
      (["fit", "ppca", "x.npy", "--latent-dimensions", "3"], 64, "latent dimensions must be 1 to 2"),
      (["fit", "gaussian", "x.npy", "--minutes", "nan"], 64, "--minutes must be"),
      (["fit", "gaussian", "x.npy", "--minutes", "1", "--steps", "1"], 64, "exclude one another"),
      (["fit", "hierarchical-vae", "x.npy"], 64, "works on pictures"),
      (["fit", "gaussian", "x.npy", "--output", "no/m.safetensors"], 73, "no/m.safetensors"),
      (["compare", "x.npy", "--models", "gaussian,other"], 64, "there is no model \"other\""),
      (["compare", "x.npy", "--models", ","], 64, "names no model"),
      (["compare", "x.npy", "--draws", "1"], 64, "--draws must be"),
    ] as [([String], Int32, String)] {
      try Program.run(["baselines"] + arguments, in: folder).expectFailure(code, words)
    }
  }

  @Test func modelFilesThatAreNone() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    try writeMatrix(folder, "wide.npy", columns: 4)
    try Program.run(["baselines", "fit", "gaussian", "x.npy"], in: folder).expectSuccess()
    try Program.run(["baselines", "score", "gaussian.safetensors", "wide.npy"], in: folder)
      .expectFailure(65, "the matrix has 4 columns")
    try Program.run(["baselines", "sample", "none.safetensors"], in: folder).expectFailure(66, "none.safetensors")
    try Program.run(["baselines", "sample", "x.npy"], in: folder).expectFailure(65, "x.npy")
    try Program.run(["baselines", "score", "x.npy", "x.npy"], in: folder).expectFailure(65, "x.npy")
    try Program.run(["baselines", "sample", "gaussian.safetensors", "--output", "s.png"], in: folder)
      .expectFailure(65, "no pictures")
    try Program.run(["baselines", "sample", "gaussian.safetensors", "--output", "s.txt"], in: folder)
      .expectFailure(64, ".npy")
    try Program.run(["baselines", "sample", "gaussian.safetensors", "--count", "0"], in: folder)
      .expectFailure(64, "--count must be")
    // A checkpoint's weights are no model of the ladder.
    let trained = try Trained.folder.get()
    try Program.run(
      ["baselines", "sample", trained.path("checkpoints/local/image-tokenizer.safetensors").path], in: folder
    ).expectFailure(65, "image-tokenizer.safetensors")
    // Cut short.
    let whole = try folder.read("gaussian.safetensors")
    try folder.write(whole.dropLast(8), to: "cut.safetensors")
    try Program.run(["baselines", "sample", "cut.safetensors"], in: folder).expectFailure(65, "cut.safetensors")
  }

  @Test func figuresAreListedDrawnAndRefused() throws {
    let folder = try TemporaryFolder()
    try writeMatrix(folder)
    func figure(_ arguments: String...) throws -> Outcome {
      try Program.run(["baselines", "figure"] + arguments, in: folder)
    }
    #expect(try figure().outputLines.contains { $0.hasPrefix("mixture ") })
    #expect(try figure("mixture", "x.npy", "--json").json()["output"] as? String == "mixture.svg")
    try figure("mixtur").expectFailure(64, "did you mean mixture?")
    try figure("ppca", "--output", "m.png").expectFailure(64, ".svg")
    try figure("vae-manifold", "x.npy").expectFailure(64, "is a matrix")
    let dalle = try Program.run(["baselines", "figure", "dalle", "--output", "d.png"], in: Trained.folder.get())
    #expect(dalle.outputLines == ["d.png"])
  }

  @Test func theHelpNamesAllModels() throws {
    let outcome = try Program.run(["baselines", "fit", "--help"], in: TemporaryFolder())
    #expect(outcome.status == 0)
    for name in Rung.allCases.map(\.rawValue) {
      #expect(outcome.output.contains(name))
    }
  }
}
