import Foundation
import NN
import Optimization
import PipelineTestSupport
import Priors
import TensorCore
import Testing

@testable import Basics
@testable import Checkpoints

@Suite struct CheckpointConfigurationTests {
  private func expectBadData(_ json: String, _ words: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let error = #expect(throws: PipelineError.self, sourceLocation: sourceLocation) {
      try CheckpointConfiguration(json: Data(json.utf8), of: "config.json")
    }
    #expect(error?.kind == .badData, sourceLocation: sourceLocation)
    #expect(error?.message.contains(words) ?? false, "\(error?.message ?? "")", sourceLocation: sourceLocation)
  }

  @Test func configurationsRoundTrip() throws {
    var configuration = CheckpointConfiguration()
    configuration.imageTokenizer = AnyConfiguration(Tiny.imageTokenizer)
    configuration.prior = AnyConfiguration(Tiny.prior)
    configuration.captionWords = "a ü"
    for bound in [TrainingBound.steps(3), .epochs(2.5), .minutes(9)] {
      var settings = TrainingSettings()
      settings.bound = bound
      configuration.priorTraining = .init(
        steps: 1, epochs: 2, minutes: 3, threads: 4, precision: .bfloat16, engine: "x", settings: settings)
      let read = try CheckpointConfiguration(json: configuration.json(), of: "config.json")
      #expect(read.imageTokenizer == configuration.imageTokenizer && read.prior == configuration.prior)
      #expect(read.captionWords == "a ü" && read.priorTraining == configuration.priorTraining)
    }
  }

  @Test func masksOfLayersRoundTrip() throws {
    var configuration = CheckpointConfiguration()
    configuration.prior = AnyConfiguration(Tiny.prior)
    // What older checkpoints have.
    let json = try configuration.json()
    #expect(!String(decoding: json, as: UTF8.self).contains("attention"))
    #expect(try CheckpointConfiguration(json: json, of: "config.json").prior == AnyConfiguration(Tiny.prior))
    var c = try #require(Tiny.prior as? TransformerPrior.Configuration)
    c.attention = [.full, .row, .column, .convolution]
    configuration.prior = AnyConfiguration(c)
    let other = try configuration.json()
    #expect(try CheckpointConfiguration(json: other, of: "config.json").prior == AnyConfiguration(c))
    expectBadData(String(decoding: other, as: UTF8.self).replacing("conv", with: "diagonal"), "diagonal")
    expectBadData(
      #"{"format_version": 1, "prior": {"kind": "transformer", "attention": "row"}}"#, "is missing")
    #expect(c.attention?.list == "full,row,column,conv")
    #expect(try [AttentionKind](list: "full,row,column,conv", setting: "--attention") == c.attention)
  }

  /// How a model came about is never a reason not to load it.
  @Test func provenanceIsReadLeniently() throws {
    var configuration = CheckpointConfiguration()
    configuration.prior = AnyConfiguration(Tiny.prior)
    var settings = TrainingSettings()
    (settings.seed, settings.imageCorruption) = (7, 0.5)
    configuration.priorTraining = .init(
      steps: 1, epochs: 2, minutes: 3, threads: 4, precision: .bfloat16, engine: "x", settings: settings)
    let json = String(decoding: try configuration.json(), as: UTF8.self)
    func read(_ json: String) throws -> CheckpointConfiguration {
      let read = try CheckpointConfiguration(json: Data(json.utf8), of: "config.json")
      #expect(read.prior == configuration.prior)
      return read
    }
    // A setting that this version does not know, and one that the version that wrote the file did not.
    let more = json.replacing(#""seed" : 7"#, with: #""seed" : 7, "unheard_of" : [1]"#)
    #expect(more != json)
    #expect(try read(more).priorTraining == configuration.priorTraining)
    let fewer = json.replacing(#""image_corruption" : 0.5,"#, with: "")
    #expect(fewer != json)
    settings.imageCorruption = TrainingSettings().imageCorruption
    #expect(try read(fewer).priorTraining?.settings == settings)
    // What cannot be understood is left out.
    for wrong in [
      json.replacing(#""steps" : 1"#, with: #""steps" : "many""#), json.replacing(#""engine" : "x","#, with: ""),
    ] {
      #expect(wrong != json)
      #expect(try read(wrong).priorTraining == nil)
    }
  }

  @Test func configurationsThatAreNone() {
    expectBadData("", "config.json is not a checkpoint's configuration")
    expectBadData("{}", "formatVersion")
    expectBadData(#"{"format_version": 2, "prior": 7}"#, "version 2")
    expectBadData(#"{"format_version": 1, "prior": 7}"#, "prior")
    expectBadData(#"{"format_version": 1, "image_tokenizer": {"kind": "rqvae"}}"#, "of kind rqvae")
    expectBadData(#"{"format_version": 1, "image_tokenizer": {"kind": "vqvae"}}"#, "is missing")
    expectBadData(#"{"format_version": 1, "prior": {"kind": "rnn"}}"#, "of kind rnn")
    expectBadData(#"{"format_version": 1, "prior": {"kind": "pixelcnn"}}"#, "is missing")
  }

  @Test func halfOfTheCaptionsAreReachedOnce() {
    let early = CheckpointConfiguration.RetrievalProgress(at1: 0.2).adding(at1: 0.49, seconds: 240)
    #expect(early == .init(at1: 0.49))
    let reached = early.adding(at1: 0.5, seconds: 483)
    #expect(reached == .init(at1: 0.5, minutesToHalf: 8.1))
    #expect(reached.adding(at1: 0.8, seconds: 720) == .init(at1: 0.8, minutesToHalf: 8.1))
  }
}
