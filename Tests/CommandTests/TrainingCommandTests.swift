import ArrayFiles
import Foundation
import Imaging
import Lexicon
import TestSupport
import Testing

/// The training commands, and what each makes.
enum TrainingCommand: String, CaseIterable, Sendable {
  case tokenizer = "train-tokenizer"
  case upsampler = "train-upsampler"
  case prior = "train-prior"
  case ranker = "train-ranker"

  var weights: String {
    switch self {
    case .tokenizer: "checkpoints/local/image-tokenizer.safetensors"
    case .upsampler: "checkpoints/local/upsampler.safetensors"
    case .prior: "checkpoints/local/prior.safetensors"
    case .ranker: "checkpoints/local/ranker.safetensors"
    }
  }

  /// Its name in states and logs.
  var stage: String {
    switch self {
    case .tokenizer: "image-tokenizer"
    case .upsampler: "upsampler"
    case .prior: "prior"
    case .ranker: "ranker"
    }
  }

  /// A folder in which this stage can begin.
  func folder() throws -> TemporaryFolder {
    let folder = try Trained.copy()
    let removed =
      switch self {
      case .tokenizer: ["checkpoints"]
      case .prior: ["checkpoints/local/prior.safetensors", stateFile]
      case .upsampler, .ranker: [stateFile]
      }
    for name in removed { try FileManager.default.removeItem(at: folder.path(name)) }
    return folder
  }

  /// Arguments of a small run.
  func arguments(_ more: String...) -> [String] {
    [rawValue, "data", "--preset", "tiny", "--batch-size", "4", "--threads", "2"] + more
  }
}

let stateFile = "checkpoints/local/training-state.safetensors"

/// The step of the state in a folder; nil where there is none of this stage.
private func savedStep(_ folder: TemporaryFolder, _ stage: String) -> Int? {
  guard folder.exists(stateFile), let file = try? SafeTensors(contentsOf: folder.path(stateFile)),
    file.metadata["stage"] == stage
  else { return nil }
  return file.metadata["step"].flatMap(Int.init)
}

@Suite struct TrainingCommandTests {
  @Test(arguments: TrainingCommand.allCases)
  func sameSeedGivesTheSameWeights(_ command: TrainingCommand) throws {
    func weights(seed: String) throws -> Data {
      let folder = try command.folder()
      try Program.run(command.arguments("--steps", "6", "--seed", seed), in: folder).expectSuccess()
      return try folder.read(command.weights)
    }
    let first = try weights(seed: "3")
    #expect(try weights(seed: "3") == first)
    #expect(try weights(seed: "4") != first)
  }

  @Test(arguments: TrainingCommand.allCases)
  func aKilledRunResumesToTheWeightsOfTheUnbrokenOne(_ command: TrainingCommand) throws {
    let unbroken = try command.folder()
    try Program.run(command.arguments("--steps", "40"), in: unbroken).expectSuccess()

    var (broken, status) = (try command.folder(), Int32(0))
    // Whoever watches may be too late.
    for _ in 0..<20 {
      let run = try Program.start(command.arguments("--steps", "40", "--save-every", "3"), in: broken)
      try run.wait { (savedStep(broken, command.stage) ?? 0) >= 6 }
      run.send(SIGKILL)
      status = try run.outcome().status
      if status != 0 { break }
      broken = try command.folder()
    }
    #expect(status == -SIGKILL)
    let step = try #require(savedStep(broken, command.stage))
    #expect(step < 40)

    let resumed = try Program.run([command.rawValue, "data", "--resume", "--threads", "2"], in: broken)
    resumed.expectSuccess()
    #expect(resumed.errors.contains("note: resuming after step \(step)"))
    #expect(resumed.errors.contains("--preset tiny --batch-size 4"))
    #expect(savedStep(broken, command.stage) == 40)
    #expect(try broken.read(command.weights) == unbroken.read(command.weights))
    #expect(try SafeTensorsContent(broken.path(stateFile)) == SafeTensorsContent(unbroken.path(stateFile)))
  }

  /// The first save of a new run writes three files; a kill after the first of them must lose nothing.
  @Test(arguments: TrainingCommand.allCases)
  func aKillBetweenTheFilesOfASaveLosesNothing(_ command: TrainingCommand) throws {
    let folder = try command.folder()
    try Program.run(command.arguments("--steps", "4"), in: folder).expectSuccess()
    let whole = try folder.read(command.weights)
    try FileManager.default.removeItem(at: folder.path(command.weights))
    let configuration = "checkpoints/local/config.json"
    var json = try #require(JSONSerialization.jsonObject(with: folder.read(configuration)) as? [String: Any])
    try FileManager.default.removeItem(at: folder.path(configuration))
    if command != .tokenizer {
      // As it was before this stage.
      (json[command.stage], json["\(command.stage)_training"]) = (nil, nil)
      try folder.write(JSONSerialization.data(withJSONObject: json), to: configuration)
    }
    try folder.write(Data(count: 10), to: "checkpoints/local/prior.safetensors.1.partial")

    try Program.run([command.rawValue, "data", "--resume", "--steps", "6", "--threads", "2"], in: folder)
      .expectSuccess()
    #expect(try folder.read(command.weights) != whole)
    try Program.run(["inspect", "checkpoints/local"], in: folder).expectSuccess()
    #expect(!folder.exists("checkpoints/local/prior.safetensors.1.partial"))
  }

  @Test(arguments: TrainingCommand.allCases, [SIGINT, SIGTERM])
  func aSignalSavesAndEnds(_ command: TrainingCommand, _ signal: Int32) throws {
    let folder = try command.folder()
    let run = try Program.start(command.arguments("--steps", "1000000", "--save-every", "17"), in: folder)
    try run.wait { savedStep(folder, command.stage) != nil }
    run.send(signal)
    let outcome = try run.outcome()
    // As a shell has it, so that what would follow does not.
    #expect(outcome.status == 128 + signal && !outcome.errors.contains("error:"), "\(outcome)")
    let step = try #require(savedStep(folder, command.stage))
    #expect(outcome.errors.contains("note: stopped after a save at step \(step); --resume goes on from here"))
    #expect(outcome.outputLines == [command.weights])
    // The log ends where the state does.
    let log = String(decoding: try folder.read("checkpoints/local/log/metrics.jsonl"), as: UTF8.self)
    #expect(log.contains("\"stage\":\"\(command.stage)\",\"step\":\(step),"))
    #expect(!log.contains("\"stage\":\"\(command.stage)\",\"step\":\(step + 1),"))
  }

  @Test func anUpsamplerIsInspectedApartFromItsTokenizer() throws {
    let folder = try TrainingCommand.upsampler.folder()
    func found() throws -> [String: Any] {
      try Program.run(["inspect", "checkpoints/local", "--json"], in: folder).json()
    }
    let before = try found()
    try Program.run(TrainingCommand.upsampler.arguments("--steps", "2"), in: folder).expectSuccess()
    let after = try found()
    let key = "image_tokenizer_parameters"
    #expect(try #require(before[key] as? Int) > 0 && before[key] as? Int == after[key] as? Int)
    #expect(try #require(after["upsampler_parameters"] as? Int) > 0 && before["upsampler_parameters"] == nil)
    #expect(try #require(after["picture_size"] as? Int) > #require(before["picture_size"] as? Int))
    #expect((after["upsampler_training"] as? String)?.hasPrefix("2 steps") == true)
  }

  @Test func whatBuildsOnAnUnfinishedStageIsTold() throws {
    let folder = try TrainingCommand.prior.folder()
    let said = "was stopped after"
    let finished = try Program.run(TrainingCommand.prior.arguments("--steps", "2"), in: folder)
    finished.expectSuccess()
    #expect(!finished.errors.contains(said))
    let run = try Program.start(
      TrainingCommand.tokenizer.arguments("--steps", "1000000", "--save-every", "2"), in: folder)
    try run.wait { savedStep(folder, TrainingCommand.tokenizer.stage) != nil }
    run.send(SIGTERM)
    #expect(try run.outcome().status == 143)
    let prior = try Program.run(TrainingCommand.prior.arguments("--steps", "2"), in: folder)
    prior.expectSuccess()
    #expect(prior.errors.contains("note: the image tokenizer was stopped after"))
  }

  @Test func trainingLeavesPicturesChartsAndNumbers() throws {
    let folder = try Trained.folder.get()
    for name in [
      "reconstructions.png", "samples.png", "samples.html", "tokenizer-psnr.svg", "tokenizer-codebook.svg",
      "prior-loss.svg",
      "prior-retrieval.svg", "metrics.jsonl",
    ] {
      #expect(folder.exists("checkpoints/local/log/\(name)"), "\(name)")
    }
    for line in String(decoding: try folder.read("checkpoints/local/log/metrics.jsonl"), as: UTF8.self)
      .split(separator: "\n")
    {
      #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) }
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path("checkpoints/local").path)
    let hasWordNet = WordNet.isInstalled()
    #expect(
      left.sorted() == [
        ".lock", "README.md", "captions.txt", "config.json", "image-tokenizer.safetensors", "log",
      ] + (hasWordNet ? ["nouns.txt"] : []) + [
        "prior.safetensors", "training-state.safetensors", "vocabulary.json",
      ])
  }

  @Test(arguments: TrainingCommand.allCases)
  func jsonIsOneObject(_ command: TrainingCommand) throws {
    let folder = try command.folder()
    let outcome = try Program.run(command.arguments("--steps", "3", "--json"), in: folder)
    outcome.expectSuccess()
    let json = try outcome.json()
    #expect(json["file"] as? String == command.weights)
    let training = try #require(json["training"] as? [String: Any])
    #expect(training["steps"] as? Int == 3)
    let settings = try #require(training["settings"] as? [String: Any])
    #expect(settings["batch_size"] as? Int == 4)
    #expect((settings["bound"] as? [String: Any])?["steps"] as? Int == 3)
  }

  @Test func aNewRunKeepsTheOldCheckpointAsOneOfItsOwn() throws {
    let folder = try Trained.copy()
    let draw = ["generate", "a red square", "--count", "1", "--checkpoint"]
    try Program.run(draw + ["local", "--output", "before.png"], in: folder).expectSuccess()
    let prior = try Program.run(TrainingCommand.prior.arguments("--steps", "2", "--seed", "9"), in: folder)
    prior.expectSuccess()
    #expect(prior.errors.contains("note: the prior that was here is now in checkpoints/local/previous"))
    #expect(prior.errors.contains("note: using the checkpoint's vocabulary of"))
    try Program.run(draw + ["checkpoints/local/previous", "--output", "set-aside.png"], in: folder).expectSuccess()
    #expect(
      try Picture(contentsOf: folder.path("before.png")) == Picture(contentsOf: folder.path("set-aside.png")))

    let tokenizer = try Program.run(TrainingCommand.tokenizer.arguments("--steps", "2"), in: folder)
    tokenizer.expectSuccess()
    #expect(tokenizer.errors.contains("note: what the checkpoint held before is now in checkpoints/local/previous"))
    try Program.run(draw + ["checkpoints/local/previous", "--output", "x.png"], in: folder).expectSuccess()
    // The new tokenizer has no prior yet.
    try Program.run(draw + ["local"], in: folder).expectFailure(66, "has no prior yet", "dalle-cli train-prior")
  }

  @Test func moreThreadsThanPicturesAndMorePicturesThanTheDataHas() throws {
    for (batchSize, threads) in [("2", "5"), ("40", "2")] {
      let folder = try TemporaryFolder()
      try folder.writeSquares()
      for command in TrainingCommand.allCases {
        let outcome = try Program.run(
          [
            command.rawValue, "data", "--preset", "tiny", "--batch-size", batchSize, "--threads", threads, "--steps",
            "2",
          ], in: folder)
        outcome.expectSuccess()
        #expect(folder.exists(command.weights))
      }
    }
  }

  @Test func aVocabularyHasANameOfItsOwn() throws {
    let folder = try Trained.copy()
    try folder.write("a tapir made of accordion\na blue tapir\n", to: "words.txt")
    let made = try Program.run(["train-vocabulary", "--text", "words.txt", "--name", "zoo"], in: folder)
    made.expectSuccess()
    #expect(made.outputLines == ["vocab/zoo.json"])
    try Program.run(["train-vocabulary", "--text", "words.txt", "--name", "zoo"], in: folder)
      .expectFailure(73, "vocab/zoo.json is there already")
    let pieces = try Program.run(["tokenize", "tapir", "--vocabulary", "zoo"], in: folder)
    #expect(pieces.outputLines.count == 1 && pieces.output.hasSuffix("\t tapir\n"), "\(pieces)")

    let before = try folder.read("checkpoints/local/vocabulary.json")
    let again = TrainingCommand.prior.arguments("--steps", "2", "--vocabulary", "zoo")
    try Program.run(again + ["--warm-start"], in: folder).expectSuccess()
    #expect(try folder.read("checkpoints/local/vocabulary.json") == folder.read("vocab/zoo.json"))
    #expect(try folder.read("checkpoints/local/previous/vocabulary.json") == before)
    #expect(
      String(decoding: try folder.read("checkpoints/local/README.md"), as: UTF8.self).contains("--vocabulary zoo"))
    try Program.run(["generate", "a red square", "--checkpoint", "local", "--output", "x.png"], in: folder)
      .expectSuccess()

    for (arguments, words) in [
      (["--text", "words.txt", "--name", "a/b"], "--name"), (["--text", "words.txt", "data"], "--text"),
      (["--name", "x", "--output", "y.json"], "--output"),
    ] {
      try Program.run(["train-vocabulary"] + arguments, in: folder).expectFailure(64, words)
    }
    try Program.run(["train-vocabulary", "--text", "none.txt", "--output", "v.json"], in: folder).expectFailure(
      66, "none.txt")
    try Program.run(["tokenize", "x", "--vocabulary", "none"], in: folder).expectFailure(66, "none.json")
  }

  @Test func aRankerBringsAVocabularyWhereNoPriorSpeaksAnother() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    try folder.write("a tapir made of accordion\na blue tapir\n", to: "words.txt")
    try Program.run(["train-vocabulary", "--text", "words.txt", "--name", "zoo"], in: folder).expectSuccess()
    try Program.run(["train-vocabulary", "data", "--name", "squares"], in: folder).expectSuccess()
    try Program.run(TrainingCommand.tokenizer.arguments("--steps", "2"), in: folder).expectSuccess()
    let ranker = TrainingCommand.ranker.arguments("--steps", "2", "--vocabulary")
    try Program.run(ranker + ["zoo"], in: folder).expectSuccess()
    #expect(try folder.read("checkpoints/local/vocabulary.json") == folder.read("vocab/zoo.json"))
    try Program.run(
      TrainingCommand.ranker.arguments("--resume", "--steps", "3", "--vocabulary", "squares"), in: folder
    ).expectFailure(64, "another one is named")
    // The prior takes the one that the ranker brought.
    try Program.run(TrainingCommand.prior.arguments("--steps", "2"), in: folder).expectSuccess()
    #expect(try folder.read("checkpoints/local/vocabulary.json") == folder.read("vocab/zoo.json"))
    try Program.run(ranker + ["squares"], in: folder).expectFailure(64, "the prior speaks another vocabulary")
    try Program.run(ranker + ["zoo"], in: folder).expectSuccess()
  }

  @Test func aVocabularyTrainedBeforehandIsUsed() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    let vocabulary = try Program.run(["train-vocabulary", "data", "--vocabulary-size", "260", "--json"], in: folder)
    vocabulary.expectSuccess()
    #expect(try vocabulary.json()["pieces"] as? Int == 260)
    for command in TrainingCommand.allCases {
      try Program.run(command.arguments("--steps", "2"), in: folder).expectSuccess()
    }
    let inspected = try Program.run(["inspect", "checkpoints/local", "--json"], in: folder)
    #expect(try inspected.json()["text_vocabulary"] as? Int == 260)
    try Program.run(["train-vocabulary", "data"], in: folder).expectFailure(73, "was trained with its vocabulary")
  }

  @Test func resumingSaysWhatIsDifferent() throws {
    let folder = try Trained.copy()
    try folder.write("a further square\n", to: "data/red8.txt")
    let outcome = try Program.run(
      [
        "train-prior", "data", "--resume", "--steps", "5", "--threads", "1", "--precision", "float32", "--preset",
        "base", "--batch-size", "2", "--checkpoint", "local",
      ], in: folder)
    outcome.expectSuccess()
    #expect(outcome.errors.contains("settings of the run's beginning: --preset tiny --batch-size 4"))
    #expect(outcome.errors.contains("because the run began otherwise: --batch-size, --preset\n"))
    #expect(outcome.errors.contains("note: the run began with --threads"))
    #expect(outcome.errors.contains("note: the data set is not the one that the run began with"))
    let again = try Program.run(["train-prior", "data", "--resume", "--steps", "5"], in: folder)
    again.expectSuccess()
    #expect(again.errors.contains("note: the run is complete already; a larger --steps"))
    #expect(!again.errors.contains("began otherwise"))
    try Program.run(["train-prior", "data", "--resume", "--fit", "crop"], in: folder)
      .expectFailure(64, "the run began with --fit pad")
  }

  @Test func aMixedFolderTrainsAndNamesWhatIsBroken() throws {
    let folder = try TemporaryFolder()
    let good = [
      "grey.jpg", "color.jpg", "cmyk-adobe.jpg", "ycck.jpg", "grey-alpha.png", "grey1.png", "grey16.png",
      "palette.png", "rgb16.png", "rgba16.png", "rgba8.png", "interlaced.png", "color-key.png", "jpeg-named.png",
    ]
    let bad = ["truncated.png", "truncated.jpg", "not-a-picture.png", "empty.png", "huge.png"]
    for name in good + bad {
      try folder.copyFixture(name, to: "data/\(name)")
      try folder.write("the picture \(name)\n", to: "data/\((name as NSString).deletingPathExtension).txt")
    }
    try folder.write(Picture(width: 300, height: 20, color: .black).pngData(), to: "data/wide.png")
    try folder.write(
      "wide 🖤\u{0} with\tNUL\r\n日本語\n\(String(repeating: "very long ", count: 10_000))", to: "data/wide.txt")
    try folder.write("a caption alone", to: "data/alone.txt")
    for command in TrainingCommand.allCases {
      let outcome = try Program.run(command.arguments("--steps", "4"), in: folder)
      outcome.expectSuccess()
      for name in bad + ["alone.txt"] {
        #expect(outcome.errorLines.count { $0.hasPrefix("note: skipped \(name):") } == 1, "\(name): \(outcome)")
      }
      for name in good { #expect(!outcome.errors.contains("skipped \(name)"), "\(outcome)") }
    }
    let json = try Program.run(["inspect", "data", "--json"], in: folder).json()
    #expect(json["pictures"] as? Int == good.count + 1)

    let strict = try Program.run(TrainingCommand.tokenizer.arguments("--strict", "--steps", "1"), in: folder)
    strict.expectFailure(65)
    #expect(strict.errors.contains("alone.txt") || bad.contains { strict.errors.contains($0) })
  }

  @Test func trainingWithoutValidationPicturesSaysSo() throws {
    let folder = try TemporaryFolder()
    try folder.write(Picture(width: 8, height: 8, color: .black).pngData(), to: "data/a.png")
    try folder.write("black", to: "data/a.txt")
    for command in TrainingCommand.allCases {
      let outcome = try Program.run(command.arguments("--steps", "2"), in: folder)
      outcome.expectSuccess()
      #expect(outcome.errors.contains("no validation pictures"))
    }
    let evaluated = try Program.run(["evaluate", "data", "--captions", "2", "--json"], in: folder)
    evaluated.expectSuccess()
    #expect(evaluated.errors.contains("note: the split validation has no pictures"))
    #expect((try evaluated.json()["splits"] as? [[String: Any]])?.count == 1)
    try Program.run(["evaluate", "data", "--split", "test"], in: folder)
      .expectFailure(65, "nothing to evaluate")
  }
}

/// All tensors of a file, without its metadata, in which the time differs.
struct SafeTensorsContent: Equatable {
  private var tensors: [String: [Float]] = [:]

  init(_ url: URL) throws {
    let file = try SafeTensors(contentsOf: url)
    for name in file.names { tensors[name] = try file.tensor(name).scalars }
    try #require(!tensors.isEmpty)
  }
}
