import Foundation
import Generation
import Imaging
import PipelineTestSupport
import TestSupport
import Testing

@testable import ImageServer

struct GenerationTests {
  @Test func picturesAreThoseOfGenerate() async throws {
    let server = try await Shared.server.value
    let begun = Date.now.timeIntervalSince1970
    let answer = try await server.generate(
      #"{"prompt": "a red square", "n": 3, "seed": 7, "temperature": 1.5, "top_k": 0, "top_p": 0.9, "guidance": 1, "literal": true}"#
    )
    #expect(answer.status == 200 && answer.headers["content-type"] == "application/json")
    #expect(answer.headers["x-request-id"]?.isEmpty == false)
    let options = GenerationOptions(seed: 7, sampling: .init(temperature: 1.5, topK: 0, topP: 0.9, guidance: 1))
    let expected = try Shared.model().generate("a red square", count: 3, options: options)
    let pngs = try answer.pictures()
    #expect(try pngs.map { try Picture(decoding: $0, name: "x") } == expected)

    let json = try answer.json()
    #expect(json["model"] as? String == "checkpoint" && json["size"] as? String == "16x16")
    #expect(json["background"] as? String == "opaque" && json["output_format"] as? String == "png")
    #expect(json["quality"] as? String == "auto" && (json["notes"] as? [String])?.isEmpty == true)
    let data = try #require(json["data"] as? [[String: Any]])
    #expect(data.map { $0["number"] as? Int } == [0, 1, 2] && data.allSatisfy { $0["seed"] as? Int == 7 })
    let usage = try #require(json["usage"] as? [String: Any])
    let text = try Shared.model().tokens(of: "a red square").used
    #expect(usage["output_tokens"] as? Int == 3 * 16 && usage["total_tokens"] as? Int == 3 * 16 + text)
    #expect(usage["input_tokens_details"] as? [String: Int] == ["text_tokens": text, "image_tokens": 0])
    let created = try #require(json["created"] as? Double)
    #expect((begun - 1...Date.now.timeIntervalSince1970).contains(created))
  }

  @Test func thePictureTellsHowItWasMade() async throws {
    let server = try await TestServer { $0.software = "dalle-server 9" }
    let answer = try await server.generate(#"{"prompt": "ein 빨강 🟥", "seed": 9007199254740992, "size": "48x48"}"#)
    let png = try #require(try answer.pictures().first)
    let picture = try Picture(decoding: png, name: "x")
    #expect(picture.width == 48 && picture.height == 48)
    let text = try withTemporaryFolder { folder in
      let file = folder.appending(path: "x.png")
      try png.write(to: file)
      return Dictionary(uniqueKeysWithValues: try Picture.pngText(of: file))
    }
    #expect(text["Title"] == "ein 빨강 🟥" && text["Software"] == "dalle-server 9" && text["Checkpoint"] == "checkpoint")
    #expect(text["Seed"] == "9007199254740992" && text["Number"] == "0")
    #expect(text["Settings"] == "temperature 0.7, top-k 64, top-p 1.0, guidance 2.0")
    let notes = try #require(try answer.json()["notes"] as? [String])
    #expect(notes.contains("\"ein\" never occurs in the training captions"))
  }

  @Test func withoutASeedOneIsTold() async throws {
    let server = try await Shared.server.value
    var seeds: [Int] = []
    for _ in 0..<2 {
      let answer = try await server.generate(#"{"prompt": "red", "temperature": 2, "top_k": 0}"#)
      let data = try #require(try answer.json()["data"] as? [[String: Any]])
      let seed = try #require(data[0]["seed"] as? Int)
      let again = try await server.generate(#"{"prompt": "red", "temperature": 2, "top_k": 0, "seed": \#(seed)}"#)
      #expect(try again.pictures() == answer.pictures())
      seeds.append(seed)
    }
    #expect(seeds[0] != seeds[1])
  }

  @Test func theBestOfSomeCandidates() async throws {
    let server = try await Shared.server.value
    let answer = try await server.generate(#"{"prompt": "red", "n": 2, "candidates": 9, "seed": 1}"#)
    let expected = try Shared.model().generateRanked(
      captions: ["red"], count: 2, candidates: 9, options: .init(seed: 1))[0]
    let data = try #require(try answer.json()["data"] as? [[String: Any]])
    #expect(data.map { $0["number"] as? Int } == expected.map(\.number))
    #expect(zip(data, expected).allSatisfy { abs(($0["score"] as? Double ?? 9) - Double($1.score)) < 1e-6 })
    #expect(try answer.pictures().map { try Picture(decoding: $0, name: "x") } == expected.map(\.picture))
  }

  /// What OpenAI's clients send where it means what is done anyway.
  @Test func fieldsOfTheInterfaceAreTaken() async throws {
    let server = try await Shared.server.value
    let answer = try await server.generate(
      """
      {"prompt": "red", "model": "checkpoint", "n": 1, "size": "auto", "response_format": "b64_json", "user": "someone",
      "output_format": "png", "quality": "standard", "background": "opaque", "style": "vivid", "moderation": "low",
      "output_compression": 100, "stream": false, "seed": null}
      """)
    #expect(answer.status == 200)
    #expect(try answer.pictures().count == 1)
  }

  @Test(arguments: [
    (#"{}"#, "prompt", "missing"), (#"{"prompt": null}"#, "prompt", "missing"),
    (#"{"prompt": 1}"#, "prompt", "string"), (#"{"prompt": ["a"]}"#, "prompt", "string"),
    (#"{"prompt": ""}"#, "prompt", "nothing"), (#"{"prompt": " \n "}"#, "prompt", "nothing"),
    (#"{"prompt": "a\u0000b"}"#, "prompt", "NUL"),
    (#"{"prompt": "x", "n": 0}"#, "n", "1 ... 16"), (#"{"prompt": "x", "n": 17}"#, "n", "1 ... 16"),
    (#"{"prompt": "x", "n": "2"}"#, "n", "whole number"), (#"{"prompt": "x", "n": 1.5}"#, "n", "whole number"),
    (#"{"prompt": "x", "n": true}"#, "n", "whole number"),
    (#"{"prompt": "x", "size": "17x17"}"#, "size", "16x16"),
    (#"{"prompt": "x", "size": "16x32"}"#, "size", "1024x1024"),
    (#"{"prompt": "x", "size": "1040x1040"}"#, "size", "up to"), (#"{"prompt": "x", "size": "0x0"}"#, "size", "auto"),
    (#"{"prompt": "x", "size": "-16x-16"}"#, "size", "auto"), (#"{"prompt": "x", "size": "16"}"#, "size", "auto"),
    (#"{"prompt": "x", "response_format": "url"}"#, "response_format", "b64_json"),
    (#"{"prompt": "x", "output_format": "webp"}"#, "output_format", "png"),
    (#"{"prompt": "x", "quality": "hd"}"#, "quality", "standard"),
    (#"{"prompt": "x", "background": "transparent"}"#, "background", "opaque"),
    (#"{"prompt": "x", "output_compression": 50}"#, "output_compression", "100"),
    (#"{"prompt": "x", "stream": "yes"}"#, "stream", "true or false"),
    (#"{"prompt": "x", "stream": 1}"#, "stream", "true or false"),
    (#"{"prompt": "x", "partial_images": 2}"#, "partial_images", "stream"),
    (#"{"prompt": "x", "stream": true, "partial_images": -1}"#, "partial_images", "0 ... 1024"),
    (#"{"prompt": "x", "seed": -1}"#, "seed", "0 ..."), (#"{"prompt": "x", "seed": 1e300}"#, "seed", "0 ..."),
    (#"{"prompt": "x", "seed": 9007199254740993}"#, "seed", "0 ..."),
    (#"{"prompt": "x", "temperature": -1}"#, "temperature", "0.0 ... 100.0"),
    (#"{"prompt": "x", "top_p": 0}"#, "top_p", "above 0"), (#"{"prompt": "x", "top_p": 1.1}"#, "top_p", "0.0 ... 1.0"),
    (#"{"prompt": "x", "top_k": -1}"#, "top_k", "0 ..."), (#"{"prompt": "x", "guidance": "2"}"#, "guidance", "number"),
    (#"{"prompt": "x", "candidates": 0}"#, "candidates", "1 ... 64"),
    (#"{"prompt": "x", "n": 4, "candidates": 3}"#, "candidates", "n or more"),
    (#"{"prompt": "x", "temprature": 1}"#, "temprature", "no field"),
    (#"{"prompt": "x", "image": "x"}"#, "image", "no field"),
    (#"{"prompt": "x", "user": {"a": 1}}"#, "user", "string"),
  ])
  func whatMakesNoSenseIsRefused(json: String, parameter: String, words: String) async throws {
    let server = try await Shared.server.value
    try await server.generate(json).expectError(400, parameter, words: words)
  }

  @Test func whatIsNoJSONObjectIsRefused() async throws {
    let server = try await Shared.server.value
    let deep = String(repeating: "[", count: 20_000)
    for body in [
      "", "{", "[]", "1", "\"prompt\"", "null", "{\"prompt\": \"x\"", "{\"prompt\": }", deep, "\u{0}\u{1}",
      "{\"a\": \(deep)",
    ] {
      try await server.generate(body).expectError(400, words: "JSON")
    }
    let bytes = Data([0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x3A, 0x31, 0x7D])
    try await server.send("POST", "/v1/images/generations", ["Content-Type": "application/json"], bytes).expectError(
      400)
    try await server.post("/v1/images/generations", json: "{}", ["Content-Type": "text/plain"])
      .expectError(415, words: "application/json")
    #expect(try await server.generate(#"{"prompt": "x"}"#).status == 200)
  }

  @Test func modelsAreListed() async throws {
    let server = try await Shared.server.value
    let answer = try await server.get("/v1/models").json()
    let models = try #require(answer["data"] as? [[String: Any]])
    #expect(answer["object"] as? String == "list" && models.count == 1)
    let model = models[0]
    #expect(model["id"] as? String == "checkpoint" && model["object"] as? String == "model")
    #expect(
      model["picture_size"] as? Int == 16 && model["grid_side"] as? Int == 4 && model["codes_per_place"] as? Int == 1)
    #expect(model["has_ranker"] as? Bool == true && model["is_default"] as? Bool == true)
    // As a person would write them: the page shows them.
    let sampling = try #require(model["sampling"] as? [String: Double])
    #expect(sampling == ["temperature": 0.7, "guidance": 2, "top_k": 64, "top_p": 1])
    for name in ["gpt-image-1", "../checkpoint", "/etc/passwd", "", "."] {
      try await server.generate(#"{"prompt": "x", "model": "\#(name)"}"#)
        .expectError(404, "model", code: "model_not_found", words: "/v1/models")
    }
    let listed = try JSONSerialization.data(withJSONObject: model, options: .sortedKeys)
    for name in ["checkpoint", "check%70oint"] {
      let asked = try await server.get("/v1/models/\(name)").json()
      #expect(try JSONSerialization.data(withJSONObject: asked, options: .sortedKeys) == listed)
    }
    for name in ["gpt-image-1", "..%2Fcheckpoint", "%2Fetc%2Fpasswd", "."] {
      try await server.get("/v1/models/\(name)").expectError(404, "model", code: "model_not_found", words: "/v1/models")
    }
    for path in ["/v1/models/", "/v1/models/checkpoint/", "/v1//models/checkpoint", "/v1/models/checkpoint/x"] {
      try await server.get(path).expectError(404)
    }
    try await server.post("/v1/models/checkpoint", json: "{}").expectError(405)
  }

  @Test func anUpsampledModelIsAsLargeAsItDraws() async throws {
    let folder = try Tiny.trained(steps: 1)
    try Tiny.trainUpsampler(folder, Tiny.settings(steps: 1))
    let server = try await TestServer(checkpoint: folder.checkpoint.url)
    let models = try #require(try await server.get("/v1/models").json()["data"] as? [[String: Any]])
    #expect(models[0]["picture_size"] as? Int == 32 && models[0]["grid_side"] as? Int == 4)
    let answer = try await server.generate(#"{"prompt": "a red square", "seed": 2}"#)
    let expected = try TextToImageModel(contentsOf: folder.checkpoint.url)
      .generate("a red square", options: .init(seed: 2, replacesUnseenNouns: true))
    #expect(try answer.pictures().map { try Picture(decoding: $0, name: "x") } == expected && expected[0].width == 32)
    try await server.generate(#"{"prompt": "x", "size": "16x16"}"#).expectError(400, "size", words: "32x32")
    folder.remove()
  }

  @Test func aModelWithoutARankerSaysSo() async throws {
    let folder = try Tiny.trained(steps: 1)
    let server = try await TestServer(checkpoint: folder.checkpoint.url)
    try await server.generate(#"{"prompt": "x", "candidates": 3}"#).expectError(400, "candidates", words: "no ranker")
    folder.remove()
  }
}
