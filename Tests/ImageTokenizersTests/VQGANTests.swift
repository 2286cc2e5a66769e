import ArrayFiles
import Foundation
import ModelTestSupport
import NN
import TestSupport
import Testing

@testable import Basics
@testable import ImageTokenizers
@testable import TensorCore

/// A whole small VQGAN of three levels against the one of the transformers library.
struct VQGANTests {
  private let fixture: Fixture
  /// What a published checkpoint would hold, below the prefix.
  private let published: [NamedTensor]

  init() throws {
    fixture = try Fixture("vqgan")
    let prefix = "model.vqmodel."
    let names = try SafeTensors(contentsOf: Fixtures.url("models/vqgan.safetensors")).names.filter {
      $0.hasPrefix(prefix)
    }
    var tensors: [NamedTensor] = []
    for (stream, name) in names.enumerated() {
      let numbers = try fixture.tensor(name).scalars
      let shape = numbers.dropFirst(2).map { Int($0) }
      let scalars = Tensor.uniform(shape, seed: 1, stream: UInt64(stream)).scalars.map {
        ($0 * 2 - 1) * numbers[0] + numbers[1]
      }
      tensors.append((String(name.dropFirst(prefix.count)), Tensor(scalars, shape: shape)))
    }
    published = tensors
  }

  private var configuration: VQGAN.Configuration {
    var c = VQGAN.Configuration()
    (c.pictureSize, c.baseChannels, c.channelMultipliers, c.blocks) = (24, 32, [1, 2, 2], 1)
    (c.latentChannels, c.codes, c.codeDimensions) = (8, 24, 4)
    return c
  }

  /// The weights under the names of this program.
  private func weights() throws -> [NamedTensor] {
    try published.map { name, tensor in
      let s = tensor.shape
      let name = try #require(VQGAN.name(published: name))
      guard s.count == 4 else { return (name, tensor) }
      let source = tensor.scalars
      var scalars: [Float] = []
      for o in 0..<s[0] {
        for place in 0..<s[2] * s[3] {
          for c in 0..<s[1] { scalars.append(source[(o * s[1] + c) * s[2] * s[3] + place]) }
        }
      }
      return (name, Tensor(scalars, shape: [s[0], s[2], s[3], s[1]]))
    }
  }

  private func model(_ precision: ElementType = .float32, weights: [NamedTensor]? = nil) throws -> VQGAN {
    let folder = try TemporaryFolder()
    let file = folder.url.appendingPathComponent("image-tokenizer.safetensors")
    try SafeTensors.write(weights ?? self.weights(), to: file)
    return try VQGAN(configuration, reading: SafeTensors(contentsOf: file), precision: precision)
  }

  @Test func agreesWithTheReference() throws {
    let model = try model()
    #expect(model.gridSides == [6] && model.tokenCount == 36 && model.codeCount == 24)
    #expect(model.parameterCount == published.reduce(0) { $0 + $1.tensor.count })
    let decoded = model.decode(try fixture.integers("tokens"))
    #expect(relativeError(decoded, try fixture.tensor("decoded")) < 1e-5)
    #expect(model.encode(try fixture.tensor("pictures")) == (try fixture.integers("encoded")))
  }

  @Test func bfloat16IsAsCloseAsItsRounding() throws {
    let (exact, rounded) = (try model(), try model(.bfloat16))
    let tokens = try fixture.integers("tokens")
    let error = meanSquaredError(rounded.decode(tokens), exact.decode(tokens)).item
    #expect(error > 0 && error < 1e-4, "\(error)")
    // Of the pictures' tokens hardly one lies so near to another code that it changes.
    let (pictures, encoded) = (try fixture.tensor("pictures"), try fixture.integers("encoded"))
    let same = zip(rounded.encode(pictures), encoded).count { $0 == $1 }
    #expect(same >= encoded.count - 4, "\(same) of \(encoded.count)")
  }

  @Test(arguments: [ElementType.float32, .bfloat16]) func anyNumberOfThreadsGivesTheSameBits(_ type: ElementType) throws
  {
    let model = try model(type)
    let (tokens, pictures) = (try fixture.integers("tokens"), try fixture.tensor("pictures"))
    let (decoded, encoded) = (model.decode(tokens).scalars, model.encode(pictures))
    #expect(model.sharesOutPictures)
    for threads in 1...3 {
      let team = try ThreadTeam(count: threads)
      #expect(model.decode(tokens, on: team).scalars == decoded, "\(threads) threads")
      #expect(model.encode(pictures, on: team) == encoded, "\(threads) threads")
    }
    // Alone as in company, and one after the other with all threads each.
    let team = try ThreadTeam(count: 2)
    let alone = try model.throwingMap(2, on: team) { (i, threads) throws(PipelineError) -> [Float] in
      #expect(threads === team)
      return model.decode(Array(tokens[i * 36..<(i + 1) * 36]), on: threads).scalars
    }
    #expect(alone.flatMap(\.self) == decoded && model.map(2, on: team) { i, _ in i } == [0, 1])
  }

  @Test func namesAreThePublishedOnes() throws {
    #expect(VQGAN.name(published: "decoder.up.0.block.1.conv1.weight") == "decoder.up.0.block.1.conv1.weight")
    #expect(VQGAN.name(published: "encoder.mid.block_1.norm1.bias") == "encoder.mid.block1.norm1.bias")
    #expect(VQGAN.name(published: "decoder.up.0.attn.2.proj_out.bias") == "decoder.up.0.attn.2.projOut.bias")
    #expect(VQGAN.name(published: "quantize.codebook_used") == nil && VQGAN.name(published: "loss.weight") == nil)
    let own = VQGAN(configuration, .unread).namedTensors().map(\.name)
    #expect(Set(own) == Set(published.compactMap { VQGAN.name(published: $0.name) }))
    #expect(own.count == published.count && own.count > 100)
  }

  @Test func aFileWithOtherTensorsIsRefused() throws {
    let whole = try weights()
    func expectRefusal(_ words: String, _ weights: [NamedTensor]) {
      let error = #expect(throws: PipelineError.self) { try model(weights: weights) }
      #expect(error?.kind == .badData && error?.message.contains(words) ?? false, "\(error?.message ?? "")")
    }
    expectRefusal("decoder.normOut.weight", whole.filter { $0.name != "decoder.normOut.weight" })
    expectRefusal("decoder.extra", whole + [("decoder.extra", .zeros([1]))])
    expectRefusal(
      "quantConv.weight", whole.map { $0.name == "quantConv.weight" ? ($0.name, .zeros([4, 1, 1, 9])) : $0 })
  }

  @Test func shapesAreCheckedAndKept() throws {
    let standard = VQGAN.Configuration()
    try standard.validate()
    #expect(try uncheckedFields(of: standard).isEmpty)
    let any = AnyImageTokenizerConfiguration(standard)
    #expect(try afterJSON(any) == any)
    #expect(standard.layout == TokenLayout(pictureSize: 384, gridSides: [24], codeCount: 16384))
    #expect(standard.summary.contains("384×384 pixels in 24×24 tokens of 16384 codes"))
    let json = String(decoding: try JSONEncoder.snakeCase.encode(any), as: UTF8.self)
    #expect(json.contains("\"channel_multipliers\":[1,1,2,2,4]") && json.contains("\"kind\":\"vqgan\""))
    // Janus has so many weights in its tokenizer.
    #expect(standard.leastParameterCount <= 71_883_403 && standard.leastParameterCount > 71_000_000)
    let count = VQGAN(configuration, .unread).parameterCount
    #expect(
      configuration.leastParameterCount <= count && Double(configuration.leastParameterCount) > 0.95 * Double(count))
    let error = #expect(throws: PipelineError.self) { try any.kind.preset(.base) }
    #expect(error?.kind == .usage && error?.message.contains("only draws") ?? false)

    func expectRefusal(_ words: String, _ change: (inout VQGAN.Configuration) -> Void) {
      var c = standard
      change(&c)
      let error = #expect(throws: PipelineError.self) { try c.validate() }
      #expect(error?.kind == .badData && error?.message.contains(words) ?? false, "\(error?.message ?? "")")
    }
    expectRefusal("base_channels 48") { $0.baseChannels = 48 }
    expectRefusal("channel_multipliers") { $0.channelMultipliers = [] }
    expectRefusal("channel_multipliers") { $0.channelMultipliers = Array(repeating: 1, count: 64) }
    for multiplier in [-1, 0, .max] { expectRefusal("channel_multipliers") { $0.channelMultipliers[1] = multiplier } }
    expectRefusal("picture_size 376 cannot be halved") { $0.pictureSize = 376 }
    expectRefusal("256 places") { ($0.pictureSize, $0.channelMultipliers) = (1024, [1]) }
    expectRefusal("blocks") { $0.blocks = 0 }
  }
}

extension JSONEncoder {
  fileprivate static var snakeCase: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return encoder
  }
}
