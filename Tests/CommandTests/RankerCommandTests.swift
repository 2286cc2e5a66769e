import Foundation
import Imaging
import Testing

/// Choosing among drawn pictures, through the commands.
@Suite struct RankerCommandTests {
  @Test func theBestCandidatesAreKept() throws {
    let folder = try Trained.copy()
    try Program.run(TrainingCommand.ranker.arguments("--steps", "3"), in: folder).expectSuccess()
    func draw(_ arguments: String...) throws -> (json: [String: Any], errors: String) {
      let outcome = try Program.run(
        ["generate", "a red square", "a blue square", "--seed", "5", "--separate", "--json"] + arguments, in: folder)
      outcome.expectSuccess()
      return (try outcome.json(), outcome.errors)
    }
    let plain = try draw("--count", "6", "--output", "plain")
    #expect(plain.json["scores"] == nil && plain.json["candidates"] == nil)
    let all = try draw("--count", "6", "--candidates", "6", "--output", "all")
    let two = try draw("--count", "2", "--candidates", "6", "--output", "two")
    let scores = try #require(two.json["scores"] as? [[Double]])
    let numbers = try #require(two.json["numbers"] as? [[Int]])
    #expect(two.json["candidates"] as? Int == 6 && scores.map(\.count) == [2, 2])
    #expect(scores.allSatisfy { $0 == $0.sorted(by: >) })
    #expect(numbers == (all.json["numbers"] as? [[Int]])?.map { Array($0.prefix(2)) })
    #expect(two.errors.contains("note: best of 6 for \"a red square\": "))
    // Named by their numbers, best first, each the picture that the seed gives.
    let files = try #require(two.json["files"] as? [String])
    for (file, number) in zip(files, numbers.flatMap(\.self)) {
      #expect(file.hasSuffix("-5-\(number).png"))
      let same = try folder.read(file.replacing("two/", with: "plain/"))
      #expect(try folder.read(file) == same)
    }
    // One grid, as without a ranker.
    try Program.run(
      ["generate", "a red square", "--count", "2", "--candidates", "3", "--scale", "1", "--output", "grid.png"],
      in: folder
    ).expectSuccess()
    #expect(try Picture(contentsOf: folder.path("grid.png")).width == 2 * 64 + 2)

    let evaluated = try Program.run(
      ["evaluate", "data", "--captions", "2", "--candidates", "3", "--split", "train", "--card", "--json"], in: folder)
    evaluated.expectSuccess()
    let split = try #require((try evaluated.json()["splits"] as? [[String: Any]])?.first)
    #expect(split["candidates"] as? Int == 3)
    #expect((split["ranked_retrieval"] as? [String: Any])?["captions"] as? Int == 2)
    let card = try String(contentsOf: folder.path("checkpoints/local/README.md"), encoding: .utf8)
    for words in ["| ranker | contrastive |", "dalle-cli train-ranker --preset tiny", "retrieval@1, best of 3"] {
      #expect(card.contains(words), "\(card)")
    }
    let lines = try Program.run(["evaluate", "data", "--captions", "2", "--candidates", "2"], in: folder)
    lines.expectSuccess()
    #expect(lines.output.contains("best of 2, @1"))

    let inspected = try Program.run(["inspect", "checkpoints/local", "--json"], in: folder).json()
    #expect((inspected["ranker_parameters"] as? Int ?? 0) > 1000)
    #expect((inspected["ranker_training"] as? String)?.hasPrefix("3 steps") ?? false)
    try Program.run(["train-vocabulary", "data"], in: folder).expectFailure(73, "was trained with its vocabulary")

    try folder.write(
      folder.read("checkpoints/local/ranker.safetensors").dropLast(), to: "checkpoints/local/ranker.safetensors")
    try Program.run(["generate", "red", "--candidates", "9"], in: folder).expectFailure(65, "ranker.safetensors")
    try Program.run(["generate", "red", "--count", "1"], in: folder).expectSuccess()
  }

  @Test func withoutARanker() throws {
    let folder = try Trained.folder.get()
    for command in [
      ["generate", "red", "--candidates", "9", "--output", "no.png"], ["evaluate", "data", "--candidates", "2"],
    ] {
      try Program.run(command, in: folder).expectFailure(66, "has no ranker yet", "dalle-cli train-ranker")
    }
    #expect(!folder.exists("no.png"))
  }

  @Test(arguments: ["3", "0", "-1", "10001", "many"])
  func candidatesThatMakeNoSense(_ candidates: String) throws {
    let folder = try Trained.folder.get()
    try Program.run(["generate", "red", "--count", "4", "--candidates", candidates], in: folder)
      .expectFailure(64, "--candidates")
    if candidates != "3" {
      try Program.run(["evaluate", "data", "--candidates", candidates], in: folder).expectFailure(64, "--candidates")
    }
  }

  @Test(arguments: [(["--text-length", "1"], "--text-length"), (["--dropout", "1"], "--dropout")])
  func optionsThatMakeNoSense(_ options: [String], _ words: String) throws {
    try Program.run(["train-ranker", "data"] + options, in: Trained.folder.get()).expectFailure(64, words)
  }
}
