import Foundation
import Imaging
import TestSupport
import Testing

@Suite struct VoiceCommandTests {
  @Test func voicesArePreparedFittedAndCompared() throws {
    let folder = try TemporaryFolder()
    let made = try Program.run(["prepare", "voices", "--utterances", "24", "--json"], in: folder)
    #expect(try made.json()["train"] as? Int == 108 && made.json()["dimensions"] as? Int == 96, "\(made)")
    let fit = try Program.run(
      [
        "baselines", "fit", "gaussian-mixture-vae", "voices.npz", "--array", "rows", "--components", "6", "--steps",
        "60",
        "--latent-dimensions", "3", "--output", "m.safetensors", "--json",
      ], in: folder)
    // Of the training rows alone.
    #expect(try fit.json()["rows"] as? Int == 108, "\(fit)")
    let score = ["baselines", "score", "m.safetensors", "voices.npz", "--array", "rows", "--attributes"]
    let scored = try Program.run(score + ["pitch,rate", "--labels", "voice", "--json"], in: folder)
    let found = try #require(try scored.json()["correlations"] as? [String: [Double]], "\(scored)")
    #expect(found["pitch"]?.count == 3 && found["rate"]?.count == 3)
    #expect(try scored.json()["rows"] as? Int == 36 && scored.json()["clustering_accuracy"] is Double, "\(scored)")
    let text = try Program.run(score + ["rate"], in: folder)
    #expect(text.output.contains("correlation of rate"), "\(text)")
    for (model, words) in [("ppca", nil), ("gaussian-mixture", "has no code of a row")] as [(String, String?)] {
      let options = model == "ppca" ? ["--latent-dimensions", "3"] : ["--components", "2"]
      try Program.run(
        ["baselines", "fit", model, "voices.npz", "--array", "rows", "--output", "other.safetensors"] + options,
        in: folder
      ).expectSuccess()
      let other = try Program.run(
        [
          "baselines", "score", "other.safetensors", "voices.npz", "--array", "rows", "--attributes", "pitch", "--json",
        ],
        in: folder)
      if let words {
        other.expectFailure(64, words)
      } else {
        #expect(try (other.json()["correlations"] as? [String: [Double]])?["pitch"]?.count == 3, "\(other)")
      }
    }
    try Program.run(score + ["loudness"], in: folder).expectFailure(64, "has no array loudness")
    try Program.run(score + ["sentence"], in: folder).expectFailure(65, "not one number for each row")
    try Program.run(
      ["baselines", "vary", "m.safetensors", "--latents", "0,2", "--steps", "3", "--scale", "1"], in: folder
    )
    .expectSuccess()
    let picture = try Picture(contentsOf: folder.path("varied.png"))
    #expect(picture.width == 2 * 96 + 2 && picture.height == 6 * 3 + 5 * 2)
    try Program.run(["baselines", "vary", "m.safetensors", "--latents", "0,x"], in: folder).expectFailure(
      64, "--latents")
  }

  @Test func whatSpeechWantsIsNamed() throws {
    let folder = try TemporaryFolder()
    try Program.run(["prepare", "voices"], in: folder, prologue: "PATH=/nowhere")
      .expectFailure(66, "install Debian's package espeak-ng")
    try Program.run(["prepare", "voices", "--output", "voices.npy"], in: folder).expectFailure(64, "must end in .npz")
    try Program.run(["prepare", "voices", "--utterances", "3"], in: folder).expectFailure(64, "--utterances")
  }
}
