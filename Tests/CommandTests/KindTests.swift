import Testing

/// Stages of the kinds that are not the default, through the commands.
@Suite struct KindTests {
  private let small = ["--preset", "tiny", "--batch-size", "4", "--steps", "2"]

  @Test(arguments: [("vqvae", "pixelcnn"), ("dvae", "transformer"), ("dvae", "pixelcnn")])
  func stagesOfEachKindTrainAndDraw(tokenizer: String, prior: String) throws {
    let folder = try TestFolder()
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

  @Test func aHierarchyOfTokensReconstructsAndHasNoPrior() throws {
    let folder = try TestFolder()
    try folder.writeSquares()
    try Program.run(["train-tokenizer", "data", "--kind", "vqvae2"] + small, in: folder).expectSuccess()
    try Program.run(["reconstruct", "data/red8.png", "--output", "back.png"], in: folder).expectSuccess()
    try Program.run(["train-prior", "data"] + small, in: folder).expectFailure(64, "vqvae2")
    let variations = ["generate", "--image", "data/red8.png", "--variations", "--checkpoint", "local"]
    try Program.run(variations, in: folder).expectFailure(66, "has no prior")
  }

  @Test func aKindThatThereIsNot() throws {
    let folder = try TestFolder()
    try Program.run(["train-tokenizer", "data", "--kind", "vae"], in: folder).expectFailure(64, "vae")
    #expect(!folder.exists("checkpoints"))
  }

  @Test func theLargePresetHasSixteenTokensASide() throws {
    let folder = try TestFolder()
    try folder.writeSquares()
    try Program.run(
      ["train-tokenizer", "data", "--preset", "base", "--batch-size", "2", "--steps", "1"], in: folder
    ).expectSuccess()
    let outcome = try Program.run(["inspect", "checkpoints/local"], in: folder)
    outcome.expectSuccess()
    #expect(outcome.output.contains("16×16") && outcome.output.contains("1024"))
  }
}
