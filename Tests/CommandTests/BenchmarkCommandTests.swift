import Foundation
import Testing

@Suite struct BenchmarkCommandTests {
  private static let shape = [
    "--dim", "64", "--layers", "2", "--heads", "2", "--text", "8", "--image", "16", "--text-vocab", "100",
    "--image-vocab", "50", "--size", "16", "--channels", "16", "--codes", "20", "--code-dim", "8", "--batch", "3",
    "--steps", "3", "--points", "300", "--dimensions", "7", "--components", "3", "--latent", "2",
  ]

  @Test(arguments: [
    ("prior-training", ["milliseconds_per_step", "tokens_per_second", "gflops", "share_of_gemm_peak"]),
    ("tokenizer-training", ["milliseconds_per_step", "images_per_second"]),
    ("attention", ["milliseconds_per_step", "tokens_per_second", "gflops", "share_of_gemm_peak"]),
    ("prior-generation", ["seconds", "seconds_per_image", "tokens_per_second"]),
    ("mixture", ["seconds", "gflops"]), ("ppca", ["seconds", "gflops"]), ("startup", ["seconds"]),
  ])
  func measures(_ workload: String, _ keys: [String]) throws {
    let folder = try Trained.folder.get()
    let outcome = try Program.run(["benchmark", workload, "--json", "--threads", "2"] + Self.shape, in: folder)
    outcome.expectSuccess()
    let json = try outcome.json()
    for key in keys + ["peak_resident_bytes"] {
      #expect(try #require(json[key] as? Double, "\(key)") > 0, "\(key)")
    }
    #expect(json["threads"] as? Int == 2)
  }

  @Test(arguments: ["prior-training", "prior-generation", "attention"])
  func measuresSparseAttention(_ workload: String) throws {
    let folder = try Trained.folder.get()
    let outcome = try Program.run(
      ["benchmark", workload, "--json", "--threads", "2", "--attention", "row,conv"] + Self.shape, in: folder)
    outcome.expectSuccess()
    #expect(try #require(try outcome.json()["tokens_per_second"] as? Double) > 0)
  }

  @Test(arguments: [
    (["--attention", "row;conv"], "--attention must be"), (["--image", "15"], "--image must be a square number"),
    (["--heads", "5"], "--dim must be a multiple"),
    (["--steps", "0"], "--steps must be"), (["--down", "5", "--size", "48"], "--size must be a multiple"),
  ])
  func refusesShapesThatMakeNoSense(_ arguments: [String], _ message: String) throws {
    let folder = try Trained.folder.get()
    let outcome = try Program.run(["benchmark", "prior-training"] + arguments, in: folder)
    outcome.expectFailure(64, message)
  }
}
