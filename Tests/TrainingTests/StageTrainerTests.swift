import Datasets
import Foundation
import NN
import PipelineTestSupport
import Priors
import TensorCore
import TestSupport
import TextTokenizer
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Training

/// What all stages do.
@Suite struct StageTrainerTests {
  @Test(arguments: [ElementType.float32, .bfloat16])
  func allStagesRepeatAndResumeBitForBit(_ precision: ElementType) throws {
    func trained(stoppingAfter stop: Int?) throws -> TemporaryFolder {
      let folder = try TemporaryFolder()
      try folder.writeData()
      var settings = Tiny.settings(steps: 7)
      settings.averageDecay = 0.5
      for train in Tiny.stages {
        let recorder = Recorder(stopAfter: stop)
        try train(folder, settings, false, 2, precision, recorder.observer)
        if stop != nil {
          #expect(recorder.step == stop)
          #expect(recorder.saves == [3])
          // Whoever stops a run does not wait for its measurement.
          #expect(recorder.validations.isEmpty)
          try train(folder, TrainingSettings(), true, 2, precision, .init())
        }
      }
      return folder
    }
    let unbroken = try trained(stoppingAfter: nil)
    for other in [try trained(stoppingAfter: nil), try trained(stoppingAfter: 3)] {
      for file in [\Checkpoint.imageTokenizerFile, \.upsamplerFile, \.priorFile, \.rankerFile, \.vocabularyFile] {
        #expect(
          try other.contents(other.checkpoint[keyPath: file]) == unbroken.contents(unbroken.checkpoint[keyPath: file]))
      }
    }
  }

  @Test func trainingLearns() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    for train in Tiny.stages {
      let recorder = Recorder()
      var settings = Tiny.settings(steps: 120, batchSize: 8)
      settings.learningRate = 3e-3
      settings.augmentation = Augmentation.none
      try train(folder, settings, false, 2, .float32, recorder.observer)
      let first = recorder.losses.prefix(5).reduce(0, +) / 5
      let last = recorder.losses.suffix(5).reduce(0, +) / 5
      #expect(last < 0.7 * first, "\(first) to \(last)")
    }
  }

  @Test func aLongerBoundGoesOn() throws {
    let folder = try Tiny.trained(steps: 3)
    let recorder = Recorder()
    try Tiny.trainPrior(folder, Tiny.settings(steps: 5), resume: true, observer: recorder.observer)
    #expect(recorder.losses.count == 2)
    let done = Recorder()
    let before = try folder.contents(folder.checkpoint.priorFile)
    try Tiny.trainPrior(folder, Tiny.settings(steps: 5), resume: true, observer: done.observer)
    #expect(done.losses.isEmpty && done.saves.isEmpty)
    #expect(done.notes.contains { $0.contains("complete already") })
    #expect(try folder.contents(folder.checkpoint.priorFile) == before)
  }

  /// Files of the right shape, whose ids mean other things.
  @Test func aRunGoesOnOnlyWithWhatItIsBuiltOn() throws {
    let (folder, other) = (try Tiny.trained(), try TemporaryFolder())
    try other.writeData()
    try Tiny.trainTokenizer(other, Tiny.settings(steps: 4, seed: 2))
    let captions = try folder.dataSet().trainingTexts()
    try BytePairEncoding.train(on: captions.map { String($0.reversed()) }, vocabularySize: 280)
      .write(to: other.checkpoint.vocabularyFile)
    let files: [(URL, KeyPath<Checkpoint, URL>)] = [
      (folder.checkpoint.imageTokenizerFile, \.imageTokenizerFile),
      (folder.checkpoint.vocabularyFile, \.vocabularyFile),
    ]
    for (stage, readsText) in zip(Tiny.stages.dropFirst(), [false, true, true]) {
      try stage(folder, Tiny.settings(steps: 2), false, 2, .float32, .init())
      for (file, name) in files {
        let own = try folder.contents(file)
        try other.contents(other.checkpoint[keyPath: name]).write(to: file)
        let goOn = { try stage(folder, Tiny.settings(steps: 3), true, 2, .float32, .init()) }
        if name == \.vocabularyFile && !readsText {
          try goOn()
        } else {
          let error = #expect(throws: PipelineError.self) { try goOn() }
          #expect(error?.message.contains("is not the one that the run began with") ?? false)
        }
        try own.write(to: file)
      }
      try stage(folder, Tiny.settings(steps: 4), true, 2, .float32, .init())
    }
  }

  /// A command that is ended as soon as it is seen to be the wrong one.
  @Test func aRunThatIsEndedAtOnceTakesNothingsPlace() throws {
    let folder = try Tiny.trained()
    let files = [
      folder.checkpoint.imageTokenizerFile, folder.checkpoint.priorFile, folder.checkpoint.trainingStateFile,
    ]
    let before = try files.map(folder.contents)
    for train in [Tiny.stages[0], Tiny.stages[2]] {
      let recorder = Recorder(stopAfter: 1)
      try train(folder, Tiny.settings(steps: 100), false, 2, .float32, recorder.observer)
      #expect(
        recorder.saves.isEmpty && recorder.notes.contains { $0.hasPrefix("stopped before the first save: nothing") })
      #expect(try files.map(folder.contents) == before)
      #expect(!FileManager.default.fileExists(atPath: folder.checkpoint.previousFolder.path))
    }
    // Where it is told to save at that step, it does.
    var settings = Tiny.settings(steps: 100)
    settings.saveEvery = 1
    let recorder = Recorder(stopAfter: 1)
    try Tiny.trainPrior(folder, settings, observer: recorder.observer)
    #expect(recorder.saves == [1] && FileManager.default.fileExists(atPath: folder.checkpoint.previousFolder.path))
  }

  @Test func configurationTellsWhatTheRunWas() throws {
    let folder = try Tiny.trained(steps: 4)
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.imageTokenizer == AnyConfiguration(Tiny.imageTokenizer))
    let prior = try #require(configuration.prior)
    #expect(prior.kind == .standard && prior.summary == "32 wide, 2 layers, 2 heads")
    #expect(prior.gridSide == 4 && prior.imageVocabulary == 32 && prior.textLength == 8)
    let training = try #require(configuration.priorTraining)
    #expect(training.steps == 4 && training.threads == 2 && training.precision == .float32)
    // 4 steps of 4 pictures over 9.
    #expect(training.epochs == 1.78)
    #expect(training.settings.learningRate == 1e-3)
    #expect(training.validation ?? 0 > 0)
    let retrieval = try #require(training.retrieval)
    // Of 3 captions.
    #expect([0, 1, 2, 3].contains { abs(Double($0) / 3 - retrieval.at1) < 1e-9 })
    #expect((retrieval.minutesToHalf != nil) == (retrieval.at1 >= 0.5))
    #expect(configuration.tokenizerTraining?.validation != nil)
    #expect(configuration.data?.trainPictures == 9 && configuration.data?.validationPictures == 3)
    #expect(configuration.captionWords?.contains("square") ?? false)
    #expect(configuration.captionWords?.contains("3") == false, "it is a validation picture's")
  }

  /// Unless asked otherwise.
  @Test func stagesFollowThePresetOfTheFirst() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 1))
    #expect(try folder.checkpoint.readConfiguration().tokenizerTraining?.settings.preset == .base)
    var configuration = try folder.checkpoint.readConfiguration()
    configuration.tokenizerTraining?.settings.preset = .tiny
    try folder.checkpoint.write(configuration)
    try Tiny.trainPrior(folder, Tiny.settings(steps: 1))
    #expect(try folder.checkpoint.readConfiguration().priorTraining?.settings.preset == .tiny)
  }

  @Test func aFailedRunLeavesTheCheckpointAsItWas() throws {
    let folder = try Tiny.trained()
    let files = folder.checkpoint.files.filter { FileManager.default.fileExists(atPath: $0.path) }
    let before = try files.map(folder.contents)
    var diverging = Tiny.settings(steps: 1000)
    diverging.learningRate = 1e30
    for train in Tiny.stages {
      let error = #expect(throws: PipelineError.self) { try train(folder, diverging, false, 2, .float32, .init()) }
      #expect(error?.kind == .usage)
      #expect(error?.message.contains("lower `learningRate`") ?? false)
      #expect(try files.map(folder.contents) == before)
    }
    #expect(!FileManager.default.fileExists(atPath: folder.checkpoint.previousFolder.path))
  }

  /// Pictures that another prior has drawn go where that one goes, and the ranker's run leaves them.
  @Test func aGalleryBelongsToItsPrior() throws {
    let folder = try Tiny.trained()
    let checkpoint = folder.checkpoint
    let gallery = Data("pictures".utf8)
    try gallery.write(to: checkpoint.galleryFile)
    func card() throws -> String { String(decoding: try folder.contents(checkpoint.modelCardFile), as: UTF8.self) }
    try Tiny.trainRanker(folder, Tiny.settings(steps: 1))
    #expect(try checkpoint.exists(checkpoint.galleryFile) && card().contains("gallery.png"))
    try Tiny.trainPrior(folder, Tiny.settings(steps: 1))
    #expect(try folder.contents(Checkpoint(checkpoint.previousFolder).galleryFile) == gallery)
    #expect(try !checkpoint.exists(checkpoint.galleryFile) && !card().contains("gallery.png"))
  }

  /// The stage that builds on a stopped one keeps what that needs to go on.
  @Test func aStoppedRunCanBeResumedAfterTheNextStageHasBegun() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 5), observer: Recorder(stopAfter: 2).observer)
    let state = try folder.contents(folder.checkpoint.trainingStateFile)
    let recorder = Recorder()
    try Tiny.trainPrior(folder, Tiny.settings(steps: 1), observer: recorder.observer)
    #expect(recorder.notes.contains { $0.hasPrefix("what was here, the state of a run that can be resumed among it") })
    let previous = Checkpoint(folder.checkpoint.previousFolder)
    #expect(try folder.contents(previous.trainingStateFile) == state)
    // One that has come to its end is not kept for that.
    let complete = try TemporaryFolder()
    try complete.writeData()
    try Tiny.trainTokenizer(complete, Tiny.settings(steps: 1))
    try Tiny.trainPrior(complete, Tiny.settings(steps: 1))
    #expect(!FileManager.default.fileExists(atPath: complete.checkpoint.previousFolder.path))
  }

  /// Replicas are what the weights depend on, and a batch of four has no more than four.
  @Test func threadsThatTrainNothingAreNotCounted() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 1), threads: 8)
    let recorder = Recorder()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2), resume: true, threads: 4, observer: recorder.observer)
    #expect(try folder.checkpoint.readConfiguration().tokenizerTraining?.threads == 4)
    #expect(!recorder.notes.contains { $0.contains("`threads`") })
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 3), resume: true, threads: 3, observer: recorder.observer)
    #expect(recorder.notes.contains { $0.contains("began with `threads` 4 and goes on with 3") })
  }

  @Test func smallDataAndManyThreads() throws {
    let folder = try TemporaryFolder()
    try folder.writeData(count: 1, splits: [.train])
    for train in Tiny.stages {
      let recorder = Recorder()
      try train(folder, Tiny.settings(steps: 2, batchSize: 3), false, 7, .float32, recorder.observer)
      #expect(recorder.validations.count { $0.contains("no validation pictures") } == 1)
    }
    #expect(throws: PipelineError.self) { try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2), threads: 0) }
  }

  @Test func picturesOfAnotherSizeAreRefused() throws {
    let folder = try Tiny.trained()
    let error = #expect(throws: PipelineError.self) {
      try PriorTrainer(
        TrainingResources(
          checkpoint: folder.checkpoint, dataSet: folder.dataSet(pictureSize: 32), threads: 1, precision: .float32)
      ).train(settings: Tiny.settings(steps: 1), resume: false)
    }
    #expect(error?.kind == .badData)
  }
}
