import Basics
import Foundation
import Imaging
import TestSupport
import Testing

/// Importing the small Janus in `Tests/Fixtures`, and what the other commands do with it.
@Suite struct ImportCommandTests {
  private static let published = Fixtures.url("janus").path

  /// A folder with `checkpoints/janus`.
  private func imported(as precision: String = "int8") throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try Program.run(["import", Self.published, "--precision", precision], in: folder).expectSuccess()
    return folder
  }

  @Test func itDrawsAsAnyCheckpoint() throws {
    let folder = try imported(as: "bfloat16")
    let outcome = try Program.run(
      ["generate", "a red heart", "clouds", "--checkpoint", "janus", "--seed", "3", "--count", "2", "--json"],
      in: folder)
    outcome.expectSuccess()
    let json = try outcome.json()
    let sampling = try #require(json["sampling"] as? [String: Any])
    #expect(sampling["guidance"] as? Double == 5 && sampling["top_k"] as? Int == 0)
    // Two rows of two pictures of 8 pixels, four times as large, with lines between them.
    let picture = try Picture(contentsOf: folder.path("a-red-heart.png"))
    #expect(picture.width == 2 * 32 + 8 && picture.height == picture.width)
    let again = try Program.run(
      ["generate", "a red heart", "--checkpoint", "janus", "--seed", "3", "--count", "1", "--threads", "1"], in: folder)
    again.expectSuccess()
    let alone = try Picture(contentsOf: folder.path("a-red-heart-2.png"))
    let rows = (0..<32).map { y in Array(picture.pixels[y * picture.width * 3..<y * picture.width * 3 + 32 * 3]) }
    #expect(rows.flatMap(\.self) == alone.pixels)
  }

  @Test func otherCommandsTakeIt() throws {
    let folder = try imported()
    try folder.writeSquares()
    let inspected = try Program.run(["inspect", "janus", "--json"], in: folder)
    inspected.expectSuccess()
    let fields = try inspected.json()
    #expect(fields["image_tokenizer"] as? String == "vqgan" && fields["text_vocabulary"] as? Int == 294)
    #expect((fields["prior"] as? String)?.contains("int8") == true)
    let tokens = try Program.run(["tokenize", "a red heart", "--checkpoint", "janus"], in: folder)
    tokens.expectSuccess()
    #expect(tokens.outputLines.first == "286" && tokens.outputLines.last == "291")
    try Program.run(["reconstruct", "data/red8.png", "--checkpoint", "janus", "--output", "r.png"], in: folder)
      .expectSuccess()
    let kept = try Program.run(
      ["generate", "x", "--checkpoint", "janus", "--image", "data/red8.png", "--keep-rows", "2", "--output", "k.png"],
      in: folder)
    kept.expectSuccess()
    #expect(kept.errors.contains("the first 2 of 4 rows"))
    try Program.run(["encode", "data", "--checkpoint", "janus", "--output", "tokens"], in: folder).expectSuccess()
    #expect(folder.exists("tokens/metadata.jsonl"))
    let timed = try Program.run(["benchmark", "janus", "--checkpoint", "janus", "--text", "4", "--json"], in: folder)
    timed.expectSuccess()
    let report = try timed.json()
    #expect(report["weights"] as? String == "int8" && (report["times_floor"] as? Double ?? 0) > 0)
    try Program.run(["benchmark", "janus", "--size", "2b"], in: folder).expectFailure(64, "1b or 7b")
  }

  @Test func aPriorOfOnesOwnLearnsItsTokens() throws {
    let folder = try imported()
    try folder.writeSquares()
    // 16×16 pixels are 8×8 tokens of this one.
    let arguments = [
      "data", "--image-tokenizer", "janus", "--checkpoint", "mine", "--preset", "tiny", "--steps", "3", "--batch-size",
      "4",
    ]
    try Program.run(["train-prior"] + arguments + ["--picture-size", "16"], in: folder).expectSuccess()
    let inspected = try Program.run(["inspect", "mine", "--json"], in: folder)
    #expect(try inspected.json()["token_grid"] as? String == "8×8")
    try Program.run(["generate", "a red square", "--checkpoint", "mine", "--count", "1", "--scale", "1"], in: folder)
      .expectSuccess()
    #expect(try Picture(contentsOf: folder.path("a-red-square.png")).width == 16)
    // Again, with the one that is there by now, and from tokens that are kept.
    try Program.run(["train-prior"] + arguments + ["--picture-size", "16"], in: folder).expectSuccess()
    try Program.run(
      ["encode", "data", "--checkpoint", "janus", "--picture-size", "16", "--output", "tokens"], in: folder
    ).expectSuccess()
    try Program.run(["train-prior", "tokens", "--checkpoint", "mine", "--preset", "tiny", "--steps", "2"], in: folder)
      .expectSuccess()
    try Program.run(["train-prior"] + arguments + ["--picture-size", "8"], in: folder)
      .expectFailure(73, "has another image tokenizer already")
  }

  @Test func whatItCannotDoIsSaid() throws {
    let folder = try imported()
    try folder.writeSquares()
    for command in ["train-tokenizer", "train-prior", "train-ranker", "train-upsampler", "evaluate"] {
      let before = try FileManager.default.contentsOfDirectory(atPath: folder.path("checkpoints/janus").path).sorted()
      try Program.run([command, "data", "--checkpoint", "janus"], in: folder).expectFailure(
        64, "imported and only draws")
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: folder.path("checkpoints/janus").path).sorted() == before)
    }
    try Program.run(["generate", "x", "--checkpoint", "janus", "--candidates", "4"], in: folder)
      .expectFailure(66, "has no ranker")
    try Program.run(["generate", "x", "--checkpoint", Self.published], in: folder)
      .expectFailure(65, "dalle-cli import")
    try Program.run(["train-prior", "data", "--image-tokenizer", "nothing"], in: folder).expectFailure(66, "nothing")
    try Program.run(["train-prior", "data", "--picture-size", "64"], in: folder)
      .expectFailure(64, "--picture-size goes with --image-tokenizer")
    try Program.run(
      ["train-prior", "data", "--image-tokenizer", "janus", "--picture-size", "9", "--checkpoint", "n"], in: folder
    ).expectFailure(64, "--picture-size cannot be 9")
    #expect(!folder.exists("checkpoints/n"))
  }

  @Test func whatCannotBeImportedIsSaid() throws {
    let folder = try imported()
    try Program.run(["import", Self.published], in: folder).expectFailure(73, "is a checkpoint already")
    try Program.run(["import", "nothing"], in: folder).expectFailure(66, "no config.json")
    try Program.run(["import", Self.published, "--output", Self.published], in: folder)
      .expectFailure(64, "name another folder")
    try Program.run(["import", Self.published, "--precision", "int3"], in: folder).expectFailure(64, "int3")
    try folder.write(#"{"model_type": "qwen2"}"#, to: "other/config.json")
    try Program.run(["import", "other"], in: folder).expectFailure(65, "qwen2", "janus and multi_modality")
  }

  /// Whenever it is killed, the next run goes on, and what is then there is what one run would have written.
  @Test func aKilledImportGoesOn() throws {
    let whole = try imported(as: "float32")
    for delay in [1, 3, 6, 10, 15, 20] {
      let folder = try TemporaryFolder()
      let arguments = ["import", Self.published, "--precision", "float32"]
      let running = try Program.start(arguments, in: folder)
      usleep(UInt32(delay * 1000))
      running.send(SIGKILL)
      let outcome = try running.outcome()
      if outcome.status != 0 { try Program.run(arguments, in: folder).expectSuccess() }
      for name in ["prior.safetensors", "image-tokenizer.safetensors", "config.json", "vocabulary.json"] {
        #expect(try folder.read("checkpoints/janus/\(name)") == whole.read("checkpoints/janus/\(name)"))
      }
      #expect(!folder.exists("checkpoints/janus/prior.safetensors.partial"))
    }
  }
}
