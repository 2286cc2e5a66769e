import ArrayFiles
import Foundation
import TensorCore
import TestSupport
import Testing

@Suite struct BadInputTests {
  // MARK: Commands

  @Test(arguments: [
    (["trian-prior"], "no command \"trian-prior\"; did you mean train-prior?"),
    (["help", "generat"], "did you mean generate?"), (["baselines", "comapre"], "did you mean compare?"),
    (["help", "nope"], "no command \"nope\": dalle-cli help lists them all"),
    (["help", "baselines", "nope"], "no command \"nope\""), (["a tapir made of accordion"], "no command"),
  ])
  func commandsThatThereAreNot(_ arguments: [String], _ words: String) throws {
    try Program.run(arguments, in: TemporaryFolder()).expectFailure(64, words)
  }

  @Test(arguments: [
    ["help"], ["help", "train-prior"], ["baselines", "fit", "--help"], ["help", "baselines", "fit"], ["--help"],
  ])
  func helpIsNoFailure(_ arguments: [String]) throws {
    let outcome = try Program.run(arguments, in: TemporaryFolder())
    outcome.expectSuccess()
    #expect(outcome.output.contains("USAGE: dalle-cli"))
  }

  // MARK: Options of training

  @Test(
    arguments: TrainingCommand.allCases,
    [
      (["--batch-size", "0"], "--batch-size must be"), (["--minutes", "-3"], "--minutes must be above 0"),
      (["--minutes", "nan"], "--minutes must be"), (["--epochs", "inf"], "--epochs must be"),
      (["--steps", "0"], "--steps must be"), (["--steps", "3", "--minutes", "1"], "exclude one another"),
      (["--preset", "huge"], "tiny"), (["--threads", "0"], "--threads must be"),
      (["--learning-rate", "nan"], "--learning-rate must be"),
      (["--learning-rate", "-inf"], "--learning-rate must be"),
      (["--save-every", "0"], "--save-every must be"), (["--precision", "float8"], "float32"),
      (["--maximum-shift", "1.5"], "--maximum-shift must be"),
      (["--maximum-scaling", "nan"], "--maximum-scaling must be"),
      (["--fit", "stretch"], "pad"),
    ] as [([String], String)])
  func trainingOptionsThatMakeNoSense(_ command: TrainingCommand, _ bad: ([String], String)) throws {
    let folder = try Trained.folder.get()
    let before = try FileManager.default.attributesOfItem(atPath: folder.path(stateFile).path)[.modificationDate]
    try Program.run([command.rawValue, "data"] + bad.0, in: folder).expectFailure(64, bad.1)
    let after = try FileManager.default.attributesOfItem(atPath: folder.path(stateFile).path)[.modificationDate]
    #expect(before as? Date == after as? Date)
  }

  @Test(arguments: [
    (["--text-length", "1"], "--text-length"), (["--dropout", "1"], "--dropout"),
    (["--caption-dropout", "1.5"], "--caption-dropout"), (["--merge-dropout", "nan"], "--merge-dropout"),
    (["--average-decay", "1"], "--average-decay"), (["--vocabulary-size", "255"], "--vocabulary-size"),
    (["--refinement-corruption", "-0.1"], "--refinement-corruption must be"),
    (["--refinement-corruption", "0.2"], "several codes a place"),
    (["--warm-start", "--text-length", "40"], "leave --text-length out"),
    (["--caption-forms", "plural"], "articles, phrases, punctuation, number, order, keywords, asides"),
    (["--caption-forms", ""], "--caption-forms must be"),
    (["--caption-forms", "all,number"], "--caption-forms must be"),
    (["--layers", "0"], "--layers must be 1 to 256"), (["--layers", "257"], "--layers must be 1 to 256"),
    (["--attention", "rows"], "full, row, column, conv"), (["--attention", ""], "--attention must be"),
    (["--attention", "row,,conv"], "--attention must be"), (["--attention", "row, column"], "--attention must be"),
    (["--attention", "row", "--kind", "pixelcnn"], "--attention is for the transformer"),
  ])
  func priorOptionsThatMakeNoSense(_ options: [String], _ words: String) throws {
    try Program.run(["train-prior", "data"] + options, in: Trained.folder.get()).expectFailure(64, words)
  }

  @Test(arguments: [
    (["--picture-size", "100"], "--picture-size must be a multiple of 32 from 32 to 512, not 100"),
    (["--picture-size", "0"], "--picture-size must be"), (["--picture-size", "544"], "--picture-size must be"),
    (["--adversarial", "1.5"], "--adversarial must be 0 to 1"), (["--adversarial", "nan"], "--adversarial must be"),
  ])
  func tokenizerOptionsThatMakeNoSense(_ options: [String], _ words: String) throws {
    try Program.run(["train-tokenizer", "data"] + options, in: Trained.folder.get()).expectFailure(64, words)
  }

  @Test func nothingIsWrittenForARunThatCannotBegin() throws {
    let folder = try Trained.copy()
    let vocabulary = folder.path("checkpoints/local/vocabulary.json")
    try FileManager.default.removeItem(at: vocabulary)
    try Program.run(["train-prior", "data", "--kind", "pixelcnn", "--attention", "row"], in: folder)
      .expectFailure(64, "--attention is for the transformer")
    #expect(!FileManager.default.fileExists(atPath: vocabulary.path))
  }

  @Test func resumingWhatIsNotThere() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    try Program.run(["train-tokenizer", "data", "--resume"], in: folder).expectFailure(66, "leave --resume out")
    try Program.run(["train-prior", "data", "--resume"], in: folder).expectFailure(66, "there is no checkpoint")
    try Program.run(["train-prior", "data"], in: folder).expectFailure(66, "there is no checkpoint")
    try Program.run(["train-ranker", "data"], in: folder).expectFailure(66, "there is no checkpoint")
    // A state of the other stage.
    try Program.run(TrainingCommand.tokenizer.arguments("--steps", "1"), in: folder).expectSuccess()
    try Program.run(["train-prior", "data", "--resume"], in: folder)
      .expectFailure(64, "the image tokenizer's state, not the prior's")
    try Program.run(["train-tokenizer", "data", "--resume"], in: try Trained.folder.get())
      .expectFailure(64, "the prior's state, not the image tokenizer's")
    try Program.run(["train-ranker", "data", "--resume"], in: try Trained.folder.get())
      .expectFailure(64, "the prior's state, not the ranker's")
    // Stage 1 without a vocabulary is not enough.
    try Program.run(["train-ranker", "data"], in: folder).expectFailure(66, "dalle-cli train-vocabulary")
    try folder.write("nonsense", to: stateFile)
    try Program.run(["train-tokenizer", "data", "--resume"], in: folder)
      .expectFailure(65, "training-state.safetensors")
  }

  // MARK: Data

  /// A folder `data` that `fill` has filled, on which both commands must fail and leave nothing behind.
  private func expectBadData(
    _ code: Int32, _ words: String, sourceLocation: SourceLocation = #_sourceLocation,
    fill: (TemporaryFolder) throws -> Void
  ) throws {
    for command in TrainingCommand.allCases {
      let folder = try Trained.copy()
      try FileManager.default.removeItem(at: folder.path("data"))
      try fill(folder)
      let before = try folder.contents(of: "checkpoints")
      try Program.run(command.arguments("--steps", "1"), in: folder)
        .expectFailure(code, words, sourceLocation: sourceLocation)
      #expect(try folder.contents(of: "checkpoints") == before, sourceLocation: sourceLocation)
    }
  }

  @Test func dataThatAreNone() throws {
    try expectBadData(66, "no such folder") { _ in }
    try expectBadData(66, "is a file") { try $0.write("", to: "data") }
    try expectBadData(65, "is empty") {
      try FileManager.default.createDirectory(at: $0.path("data"), withIntermediateDirectories: false)
    }
    try expectBadData(65, "no captions") { try $0.copyFixture("rgba8.png", to: "data/a.png") }
    try expectBadData(65, "no picture with a caption") { try $0.write("a caption", to: "data/a.txt") }
    try expectBadData(65, "none of the 3 pictures") { folder in
      for (i, name) in ["empty.png", "huge.png", "not-a-picture.png"].enumerated() {
        try folder.copyFixture(name, to: "data/\(i).png")
        try folder.write("caption", to: "data/\(i).txt")
      }
    }
    try expectBadData(65, "no picture with a caption") { try $0.write("[1, 2]\n{\"x\"", to: "data/metadata.jsonl") }
    // No picture is left to train on.
    try expectBadData(65, "no pictures to train on") { folder in
      try folder.copyFixture("rgba8.png", to: "data/a.png")
      try folder.write(#"{"file_name": "a.png", "text": "a", "split": "test"}"#, to: "data/metadata.jsonl")
    }
  }

  @Test func foldersThatAreFiles() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    try folder.write("", to: "file")
    try Program.run(["train-tokenizer", "data", "--steps", "1", "--checkpoint", "file/x"], in: folder)
      .expectFailure(73, "file/x")
    try Program.run(["train-vocabulary", "data", "--output", "no/v.json"], in: folder).expectFailure(73, "no/v.json")
    try Program.run(["prepare", "emoji", "--output", "file/x"], in: folder).expectFailure(73, "/file")
    try Program.run(["prepare", "faces"], in: folder).expectFailure(64, "emoji")
    try Program.run(["inspect", "nothing"], in: folder).expectFailure(66, "nothing")
  }

  // MARK: Saving

  @Test(arguments: TrainingCommand.allCases)
  func aFullDiskWhileSaving(_ command: TrainingCommand) throws {
    let folder = try Trained.copy()
    let before = try folder.contents(of: "checkpoints/local").filter { !$0.key.hasPrefix("log/") }
    // Room for small files but not for the state: 16 or 8 MB of most, by what a shell counts in.
    let blocks =
      switch command {
      case .tokenizer, .prior: 16000
      case .ranker: 2000
      case .upsampler: 200
      }
    let outcome = try Program.run(
      command.arguments("--steps", "2", "--seed", "8"), in: folder,
      prologue: "ulimit -f \(blocks)")
    outcome.expectFailure(74, "training-state.safetensors failed", "nothing was changed")
    // What was there is all there still, and nothing else.
    let after = try folder.contents(of: "checkpoints/local").filter { !$0.key.hasPrefix("log/") }
    #expect(after == before)
  }

  @Test func aFolderThatIsLostBetweenTwoSaves() throws {
    let command = TrainingCommand.prior
    let folder = try command.folder()
    let run = try Program.start(command.arguments("--steps", "1000000", "--save-every", "5"), in: folder)
    try run.wait { folder.exists(command.weights) }
    // It would make the folder anew between the two.
    run.send(SIGSTOP)
    try FileManager.default.moveItem(at: folder.path("checkpoints/local"), to: folder.path("checkpoints/moved"))
    try folder.write("", to: "checkpoints/local")
    run.send(SIGCONT)
    let outcome = try run.outcome()
    outcome.expectFailure(73, "checkpoints/local")
    try Program.run(["inspect", "checkpoints/moved"], in: folder).expectSuccess()
    try Program.run(["generate", "red", "--count", "1", "--checkpoint", "moved"], in: folder).expectSuccess()
  }

  // MARK: Checkpoints

  /// `generate` with a checkpoint that `damage` has damaged.
  private func expectBadCheckpoint(
    _ code: Int32, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation,
    damage: (TemporaryFolder) throws -> Void
  ) throws {
    let folder = try Trained.copy()
    try damage(folder)
    // The limit is on the memory that may be asked for, in KiB: sizes that a file claims must not decide it.
    let outcome = try Program.start(
      ["generate", "red", "--checkpoint", "local", "--output", "x.png"], in: folder, prologue: "ulimit -v 16000000"
    ).outcome(within: .seconds(20))
    outcome.expectFailure(code, sourceLocation: sourceLocation)
    for word in words { #expect(outcome.errors.contains(word), "\(outcome)", sourceLocation: sourceLocation) }
    #expect(!folder.exists("x.png"), sourceLocation: sourceLocation)
  }

  private func replace(_ old: Regex<Substring>, _ new: String, in folder: TemporaryFolder) throws {
    let text = String(decoding: try folder.read("checkpoints/local/config.json"), as: UTF8.self)
    try #require(text.contains(old))
    try folder.write(text.replacing(old, with: new), to: "checkpoints/local/config.json")
  }

  @Test func checkpointsThatAreMissingOrHalf() throws {
    let empty = try TemporaryFolder()
    try Program.run(["generate", "red", "--checkpoint", "nothing"], in: empty).expectFailure(66, "no checkpoint")
    try Program.run(["generate", "red", "--checkpoint", "./nothing"], in: empty).expectFailure(66, "no checkpoint")
    try Program.run(["evaluate", "data", "--checkpoint", "nothing"], in: empty).expectFailure(66, "no checkpoint")
    for (file, words) in [
      ("prior.safetensors", "train-prior"), ("image-tokenizer.safetensors", "train-tokenizer"),
      ("config.json", "no config.json"), ("vocabulary.json", "has no prior yet"),
    ] {
      try expectBadCheckpoint(66, words) {
        try FileManager.default.removeItem(at: $0.path("checkpoints/local/\(file)"))
      }
    }
  }

  @Test func configurationsThatAreDamaged() throws {
    let file = "checkpoints/local/config.json"
    try expectBadCheckpoint(65, "config.json") { try $0.write("", to: file) }
    try expectBadCheckpoint(65, "config.json") { try $0.write("[]", to: file) }
    try expectBadCheckpoint(65, "config.json") { try $0.write($0.read(file).prefix(100), to: file) }
    try expectBadCheckpoint(65, "formatVersion") { try $0.write("{}", to: file) }
    try expectBadCheckpoint(65, "version 7") { try replace(#/"format_version" : 1/#, "\"format_version\" : 7", in: $0) }
    try expectBadCheckpoint(65, "of kind other") { try replace(#/"kind" : "vqvae"/#, "\"kind\" : \"other\"", in: $0) }
    try expectBadCheckpoint(65, "wrong type") { try replace(#/"layers" : 4/#, "\"layers\" : \"four\"", in: $0) }
    try expectBadCheckpoint(65, "missing") { try replace(#/"layers" : 4,/#, "", in: $0) }
  }

  @Test(arguments: [
    ("channels", "4096"), ("channels", "-1"), ("channels", "1e30"), ("blocks", "64"), ("blocks", "9223372036854775807"),
    ("codes", "1048576"), ("code_dimensions", "4096"), ("picture_size", "0"), ("picture_size", "1024"),
    ("patch_size", "0"), ("patch_size", "64"), ("layers", "256"), ("width", "16384"), ("width", "-192"), ("heads", "0"),
    ("heads", "5"), ("text_length", "4096"), ("text_vocabulary", "10000000"), ("image_vocabulary", "1048576"),
    ("grid_side", "256"), ("grid_side", "0"), ("dropout", "7"),
  ])
  func configurationsWithAbsurdSizes(_ key: String, _ value: String) throws {
    try expectBadCheckpoint(65) {
      try replace(try Regex("\"\(key)\" : [0-9.]+"), "\"\(key)\" : \(value)", in: $0)
    }
  }

  @Test(arguments: ["image-tokenizer.safetensors", "prior.safetensors"])
  func weightsThatAreDamaged(_ name: String) throws {
    let file = "checkpoints/local/\(name)"
    try expectBadCheckpoint(65, name) { try $0.write(Data(), to: file) }
    try expectBadCheckpoint(65, name) { try $0.write($0.read(file).prefix(7), to: file) }
    try expectBadCheckpoint(65, name) { try $0.write($0.read(file).prefix(500), to: file) }
    try expectBadCheckpoint(65, name) { try $0.write($0.read(file).dropLast(), to: file) }
    // A header that claims all but all of the address space.
    try expectBadCheckpoint(65, name) {
      try $0.write(Data(repeating: 0xFF, count: 8) + $0.read(file).dropFirst(8), to: file)
    }
    try expectBadCheckpoint(65, name) {
      try $0.write($0.read(file).prefix(8) + Data(repeating: 0x7B, count: 1 << 22), to: file)
    }
    func rewrite(_ folder: TemporaryFolder, _ change: (inout [(name: String, tensor: Tensor)]) throws -> Void) throws {
      let old = try SafeTensors(contentsOf: folder.path(file))
      var tensors: [(name: String, tensor: Tensor)] = []
      for name in old.names { tensors.append((name, try old.tensor(name))) }
      try change(&tensors)
      try SafeTensors.write(tensors, to: folder.path(file))
    }
    try expectBadCheckpoint(65, name, "extra.weight") {
      try rewrite($0) { $0.append(("extra.weight", .zeros([3]))) }
    }
    try expectBadCheckpoint(65, name, "has no tensor") { try rewrite($0) { $0.removeLast() } }
    try expectBadCheckpoint(65, name, "shape") {
      try rewrite($0) { tensors in
        let index = try #require(tensors.firstIndex { $0.tensor.shape.count > 1 })
        tensors[index].tensor = tensors[index].tensor.reshaped(tensors[index].tensor.shape.reversed())
        tensors[index].tensor = tensors[index].tensor.reshaped([tensors[index].tensor.count])
      }
    }
  }

  @Test func vocabulariesThatAreNone() throws {
    let file = "checkpoints/local/vocabulary.json"
    try expectBadCheckpoint(65, "vocabulary.json") { try $0.write("{\"a\": 1}", to: file) }
    try expectBadCheckpoint(65, "vocabulary.json") { try $0.write($0.read(file).prefix(300), to: file) }
    try expectBadCheckpoint(65, "do not belong together") { folder in
      try Program.run(["train-vocabulary", "data", "--vocabulary-size", "258", "--output", file], in: folder)
        .expectSuccess()
    }
    let folder = try Trained.folder.get()
    try Program.run(["tokenize", "x", "--vocabulary", "data/red8.png"], in: folder).expectFailure(65, "red8.png")
    try Program.run(["tokenize", "x", "--vocabulary", "none.json"], in: folder).expectFailure(66, "none.json")
  }

  @Test func aStateWithAbsurdSizesIsNotResumed() throws {
    let folder = try TrainingCommand.tokenizer.folder()
    try Program.run(TrainingCommand.tokenizer.arguments("--steps", "1"), in: folder).expectSuccess()
    let old = try SafeTensors(contentsOf: folder.path(stateFile))
    var tensors: [(name: String, tensor: Tensor)] = []
    for name in old.names { tensors.append((name, try old.tensor(name))) }
    var metadata = old.metadata
    metadata["configuration"] = metadata["configuration"]?.replacing("\"channels\" : 128", with: "\"channels\" : 4096")
    try #require(metadata["configuration"] != old.metadata["configuration"])
    try SafeTensors.write(tensors, metadata: metadata, to: folder.path(stateFile))
    try Program.run(["train-tokenizer", "data", "--resume", "--steps", "2"], in: folder)
      .expectFailure(65, "parameters")
  }
}
