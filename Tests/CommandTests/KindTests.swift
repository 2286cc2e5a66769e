import Foundation
import TestSupport
import Testing

/// Stages of the kinds that are not the default, through the commands.
@Suite struct KindTests {
  private let small = ["--preset", "tiny", "--batch-size", "4", "--steps", "2"]

  @Test(arguments: [("vqvae", "pixelcnn"), ("dvae", "transformer"), ("dvae", "pixelcnn")])
  func stagesOfEachKindTrainAndDraw(tokenizer: String, prior: String) throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    try Program.run(["train-tokenizer", "data", "--kind", tokenizer] + small, in: folder).expectSuccess()
    try Program.run(["train-prior", "data", "--kind", prior] + small, in: folder).expectSuccess()
    try Program.run(["generate", "a red square", "--output", "red.png", "--count", "1"], in: folder).expectSuccess()
    #expect(folder.exists("red.png"))
    try Program.run(["generate", "--image", "data/red8.png", "--variations", "--output", "new.png"], in: folder)
      .expectSuccess()
    #expect(folder.exists("new.png"))
    try Program.run(["reconstruct", "data/red8.png", "--output", "back.png"], in: folder).expectSuccess()
    #expect(folder.exists("back.png"))
  }

  @Test func layersWithMasksTrainResumeAndDraw() throws {
    func trained(_ arguments: [String]...) throws -> TemporaryFolder {
      let folder = try Trained.copy()
      for arguments in arguments {
        try Program.run(["train-prior", "data", "--batch-size", "4"] + arguments, in: folder).expectSuccess()
      }
      return folder
    }
    let begin = ["--preset", "tiny", "--attention", "full,row,column,row,conv"]
    let folder = try trained(begin + ["--steps", "3"])
    let config = try #require(
      try JSONSerialization.jsonObject(with: folder.read("checkpoints/local/config.json")) as? [String: Any])
    let prior = try #require(config["prior"] as? [String: Any])
    #expect(prior["attention"] as? [String] == ["full", "row", "column", "row", "conv"])
    let outcome = try Program.run(["inspect", "checkpoints/local"], in: folder)
    #expect(outcome.output.contains("full,row,column,row,conv"))
    try Program.run(["generate", "a red square", "--output", "red.png", "--count", "2"], in: folder).expectSuccess()
    #expect(folder.exists("red.png"))
    // The masks stay where a run goes on, and where a warm start does not change them.
    let resumed = try trained(begin + ["--steps", "2"], ["--resume", "--steps", "3"])
    let again = try Program.run(["inspect", "checkpoints/local"], in: resumed)
    #expect(again.output.contains("full,row,column,row,conv"))
    let warm = ["train-prior", "data", "--warm-start", "--batch-size", "4", "--steps", "1"]
    try Program.run(warm, in: folder).expectSuccess()
    #expect(try Program.run(["inspect", "checkpoints/local"], in: folder).output.contains("full,row,column,row,conv"))
    try Program.run(warm + ["--attention", "column"], in: folder).expectSuccess()
    #expect(try Program.run(["inspect", "checkpoints/local"], in: folder).output.contains("attention column"))
  }

  @Test(arguments: ["transformer", "pixelcnn"])
  func aPriorHasAsManyLayersAsAreAskedFor(kind: String) throws {
    let folder = try Trained.copy()
    let train = ["train-prior", "data", "--kind", kind, "--batch-size", "4"]
    func layers() throws -> Int? {
      let json = try JSONSerialization.jsonObject(with: folder.read("checkpoints/local/config.json"))
      return ((json as? [String: Any])?["prior"] as? [String: Any])?["layers"] as? Int
    }
    try Program.run(train + ["--preset", "tiny", "--layers", "2", "--steps", "1"], in: folder).expectSuccess()
    #expect(try layers() == 2)
    try Program.run(train + ["--warm-start", "--layers", "1", "--steps", "1"], in: folder).expectFailure(64, "--layers")
    let grown = train + ["--warm-start", "--layers", "3", "--steps"]
    guard kind == "transformer" else {
      try Program.run(grown + ["1"], in: folder).expectFailure(64, "only a transformer takes further layers")
      #expect(try layers() == 2)
      return
    }
    try Program.run(grown + ["1"], in: folder).expectSuccess()
    #expect(try layers() == 3)
    try Program.run(["train-prior", "data", "--resume", "--steps", "2"], in: folder).expectSuccess()
    #expect(try layers() == 3)
    try Program.run(["generate", "a red square", "--output", "red.png", "--count", "2"], in: folder).expectSuccess()
    let card = try String(decoding: folder.read("checkpoints/local/README.md"), as: UTF8.self)
    #expect(card.contains("--layers 3"))
  }

  @Test func aHierarchyOfTokensReconstructsAndHasNoPrior() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    try Program.run(["train-tokenizer", "data", "--kind", "vqvae2"] + small, in: folder).expectSuccess()
    try Program.run(["reconstruct", "data/red8.png", "--output", "back.png"], in: folder).expectSuccess()
    try Program.run(["train-prior", "data"] + small, in: folder).expectFailure(
      64, "one grid of tokens, and the image tokenizer has 2")
    let variations = ["generate", "--image", "data/red8.png", "--variations", "--checkpoint", "local"]
    try Program.run(variations, in: folder).expectFailure(66, "has no prior")
  }

  @Test func aKindThatThereIsNot() throws {
    let folder = try TemporaryFolder()
    try Program.run(["train-tokenizer", "data", "--kind", "vae"], in: folder).expectFailure(64, "vae")
    #expect(!folder.exists("checkpoints"))
  }

  /// What a run without a preset makes, through to a picture.
  @Test func theStandardPresetHasResidualCodes() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    let short = ["--batch-size", "2", "--steps", "1"]
    try Program.run(["train-tokenizer", "data"] + short, in: folder).expectSuccess()
    let pixelCNN = ["train-prior", "data", "--kind", "pixelcnn"]
    try Program.run(pixelCNN + short, in: folder).expectFailure(64, "one token a place, and the image tokenizer has 4")
    #expect(!folder.exists("checkpoints/local/vocabulary.json"))
    try Program.run(["train-prior", "data"] + short, in: folder).expectSuccess()
    let inspected = try Program.run(["inspect", "checkpoints/local", "--json"], in: folder)
    inspected.expectSuccess()
    for field in [#""codes_a_place" : 4"#, #""codes" : 4096"#, #""token_grid" : "8×8""#] {
      #expect(inspected.output.contains(field))
    }
    try Program.run(
      ["generate", "red", "--image", "data/red8.png", "--keep-rows", "3", "--output", "red.png"], in: folder
    )
    .expectSuccess()
    #expect(folder.exists("red.png"))
  }
}
