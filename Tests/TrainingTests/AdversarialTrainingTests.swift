import ArrayFiles
import Foundation
import ImageTokenizers
import NN
import PipelineTestSupport
import TensorCore
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Training

/// A tokenizer that is trained beside a discriminator.
@Suite struct AdversarialTrainingTests {
  private static func settings(steps: Int, share: Float) -> TrainingSettings {
    var settings = Tiny.settings(steps: steps)
    settings.adversarial = share
    return settings
  }

  private static func folder() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeData()
    return folder
  }

  @Test(arguments: [ElementType.float32, .bfloat16])
  func aRunIsResumedBitForBit(_ precision: ElementType) throws {
    /// The discriminator takes part from the fifth step on.
    func trained(stoppingAfter stop: Int?) throws -> Data {
      let folder = try Self.folder()
      let recorder = Recorder(stopAfter: stop)
      try Tiny.trainTokenizer(
        folder, Self.settings(steps: 8, share: 0.5), threads: 3, precision: precision, observer: recorder.observer)
      if stop != nil { try Tiny.trainTokenizer(folder, .init(), resume: true, threads: 3, precision: precision) }
      return try folder.contents(folder.checkpoint.imageTokenizerFile)
    }
    let unbroken = try trained(stoppingAfter: nil)
    for stop in [nil, 2, 4, 7] { #expect(try trained(stoppingAfter: stop) == unbroken, "stopped after \(stop ?? 8)") }
  }

  @Test func itsPartBeginsWhereItIsSaid() throws {
    let (plain, sharp) = (try Self.folder(), try Self.folder())
    let recorder = Recorder(stopAfter: 4)
    try Tiny.trainTokenizer(plain, Self.settings(steps: 8, share: 0), observer: recorder.observer)
    let other = Recorder(stopAfter: 4)
    try Tiny.trainTokenizer(sharp, Self.settings(steps: 8, share: 0.5), observer: other.observer)
    #expect(
      try plain.contents(plain.checkpoint.imageTokenizerFile) == sharp.contents(sharp.checkpoint.imageTokenizerFile))
    for folder in [plain, sharp] { try Tiny.trainTokenizer(folder, .init(), resume: true) }
    #expect(
      try plain.contents(plain.checkpoint.imageTokenizerFile) != sharp.contents(sharp.checkpoint.imageTokenizerFile))

    let lines = String(
      decoding: try sharp.contents(sharp.checkpoint.logFolder.appendingPathComponent("metrics.jsonl")), as: UTF8.self
    ).split(separator: "\n").filter { $0.contains("\"loss\"") }
    #expect(lines.count == 8)
    for (step, line) in lines.enumerated() {
      for name in ["discriminator_loss", "discriminator_real", "discriminator_made", "adversarial_weight"] {
        #expect(line.contains("\"\(name)\"") == (step >= 4), "\(line)")
      }
    }
    // It is kept to go on with, and no part of the model.
    let state = try SafeTensors(contentsOf: sharp.checkpoint.trainingStateFile)
    #expect(state.shape(of: "discriminator.weights.output.weight") != nil)
    #expect(state.shape(of: "discriminator.buffers.averages") == [3])
    #expect(try SafeTensors(contentsOf: sharp.checkpoint.imageTokenizerFile).names.allSatisfy { !$0.contains("discr") })
    #expect(try sharp.checkpoint.readConfiguration().tokenizerTraining?.settings.adversarial == 0.5)
  }

  @Test(arguments: ImageTokenizerKind.trainable)
  func everyKindLearnsBesideIt(_ kind: ImageTokenizerKind) throws {
    let folder = try Self.folder()
    let shape = try #require(try kind.small(pictureSize: 16)?.trainable())
    let recorder = Recorder()
    try Tiny.trainTokenizer(
      folder, Self.settings(steps: 4, share: 1), observer: recorder.observer, architecture: shape)
    #expect(recorder.losses.count == 4 && recorder.losses.allSatisfy(\.isFinite))
  }

  @Test func aDiscriminatorThatTeachesNothingIsNamedOnce() {
    for (hinge, words) in [(0.01, "has won"), (1.0, "has lost"), (0.6, nil)] as [(Double, String?)] {
      var diagnosis = AdversarialTraining.Diagnosis()
      let said = (0..<3000).compactMap { _ in diagnosis.add(hinge: hinge) }
      #expect(said.count == (words == nil ? 0 : 1), "\(said)")
      if let words { #expect(said.first?.contains(words) ?? false) }
    }
  }
}
