import Foundation
import Imaging
import TestSupport
import Testing

@testable import dalle_cli

/// Folders and files as people bring them, from the command line.
@Suite struct FolderCommandTests {
  @Test func captionsOfAnotherColumnAreTrainedOn() throws {
    let folder = try TemporaryFolder()
    var table = "file_name,title\n"
    for (i, word) in ["red", "green", "blue", "grey"].enumerated() {
      try folder.write(Picture(width: 8, height: 8, color: .black).pngData(), to: "data/\(i).png")
      table += "\(i).png,\"a \(word) square, or none\"\n"
    }
    try folder.write(table, to: "data/metadata.csv")
    for command in [
      ["train-tokenizer", "data", "--preset", "tiny", "--steps", "1", "--batch-size", "2"],
      ["train-vocabulary", "data", "--vocabulary-size", "300", "--output", "v.json"],
      ["inspect", "data"], ["baselines", "fit", "gaussian", "data", "--size", "4", "--output", "g.safetensors"],
    ] {
      try Program.run(command, in: folder).expectFailure(65, "no picture with a caption in")
      try Program.run(command + ["--caption-column", "nothing"], in: folder)
        .expectFailure(64, "--caption-column is \"nothing\"", "there are file_name, title")
      try Program.run(command + ["--caption-column", "title"], in: folder).expectSuccess()
    }
    let found = try Program.run(["inspect", "data", "--caption-column", "title", "--json"], in: folder).json()
    #expect(found["captions"] as? Int == 4)
  }

  @Test func foldersThatNameSplitsAreSaid() throws {
    let folder = try TemporaryFolder()
    for (name, count) in [("train", 5), ("val", 2), ("test", 3)] {
      for i in 0..<count {
        try folder.write(Picture(width: 8, height: 8, color: .black).pngData(), to: "data/\(name)/\(i).png")
        try folder.write("a square", to: "data/\(name)/\(i).txt")
      }
    }
    let outcome = try Program.run(["inspect", "data", "--json"], in: folder)
    outcome.expectSuccess()
    #expect(
      outcome.errorLines == [
        "note: pictures belong to the splits that their folders name (test, train, val): 5 train, 2 validation, 3 test"
      ])
    let json = try outcome.json()
    #expect(["train", "validation", "test"].map { json[$0] as? Int } == [5, 2, 3])
  }

  @Test func partsOfThingsAreToldFromVocabularies() throws {
    let folder = try TemporaryFolder()
    let picture = try Picture(width: 8, height: 6, color: .black).pngData()
    try folder.write(picture, to: "data/a.png")
    try folder.write(picture, to: "data/no-ending")
    for name in [
      "metadata.jsonl", "metadata.csv", "0.tar", "a.txt", "x.npy", "0.tar.gz", "other.csv", "config.json", "x.bin",
    ] { try folder.write("x", to: "data/\(name)") }
    for name in ["a.png", "no-ending"] {
      let found = try Program.run(["inspect", "data/\(name)", "--json"], in: folder).json()
      #expect(found["kind"] as? String == "picture" && found["format"] as? String == "PNG")
      #expect(found["width"] as? Int == 8 && found["height"] as? Int == 6)
    }
    for (name, words) in [
      ("metadata.jsonl", "is the metadata of a data set: inspect its folder, data"),
      ("metadata.csv", "is the metadata of a data set: inspect its folder, data"),
      ("0.tar", "is a shard of a data set: inspect the folder of the shards, data"),
      ("a.txt", "is a text, which may be a picture's captions: inspect the folder of the pictures, data"),
      ("x.npy", "baselines fit"), ("0.tar.gz", "is a compressed archive"), ("other.csv", "metadata.csv"),
      ("config.json", "is the configuration of a checkpoint: inspect its folder, data"), ("x.bin", "x.bin"),
    ] { try Program.run(["inspect", "data/\(name)"], in: folder).expectFailure(65, words) }
    try folder.write("GIF89a", to: "data/x.jpg")
    try Program.run(["inspect", "data/x.jpg"], in: folder).expectFailure(65, "GIF")
  }

  @Test func namesThatTheProgramChoseAreNew() throws {
    let folder = try Trained.copy()
    func draw(_ arguments: String...) throws -> Outcome {
      let outcome = try Program.run(["generate", "--count", "1", "--scale", "1"] + arguments, in: folder)
      outcome.expectSuccess()
      return outcome
    }
    let first = try draw("🎈")
    #expect(first.outputLines == ["picture.png"])
    #expect(first.errorLines.contains("note: \"🎈\" never occurs in the training captions"))
    let before = try folder.read("picture.png")
    #expect(try draw("🦁", "--seed", "7").outputLines == ["picture-2.png"])
    #expect(try draw("🦁", "--seed", "7").outputLines == ["picture-3.png"])
    #expect(try folder.read("picture.png") == before)
    #expect(try draw("🎈", "🦁", "--separate").outputLines == ["picture/picture-0-0.png", "picture/picture-0-0-2.png"])
    #expect(try draw("🎈", "--separate").outputLines == ["picture-2/picture-0-0.png"])
    // A name that a person chose is that person's.
    #expect(try draw("🦁", "--output", "picture.png").outputLines == ["picture.png"])
    #expect(try folder.read("picture.png") != before)
  }

  @Test func signsOfCaptionsAreKnown() throws {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    try folder.write("a red 🟥 square\n→ square", to: "data/red8.txt")
    for stage in ["train-tokenizer", "train-prior"] {
      try Program.run([stage, "data", "--preset", "tiny", "--batch-size", "4", "--steps", "1"], in: folder)
        .expectSuccess()
    }
    let outcome = try Program.run(["generate", "🟥 → ❤️ + square, 🟥!", "--count", "1", "--json"], in: folder)
    outcome.expectSuccess()
    #expect(try outcome.json()["unseen_words"] as? [String] == ["❤", "+"])
    #expect(outcome.errorLines.contains("note: \"❤\" never occurs in the training captions"))
  }
}
