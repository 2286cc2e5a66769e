import ArrayFiles
import Datasets
import Foundation
import NN
import Optimization
import TensorCore
import TestSupport
import Testing
import TextTokenizer

@testable import Basics
@testable import Checkpoints
@testable import Evaluation
@testable import Generation
@testable import Training

@Suite struct TrainingTests {
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
      for file in [\Checkpoint.imageTokenizerFile, \.priorFile, \.rankerFile, \.vocabularyFile] {
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

  @Test func aWarmStartTakesTheWeightsThatAreThere() throws {
    let folder = try Tiny.trained(steps: 4)
    let before = try SafeTensors(contentsOf: folder.checkpoint.priorFile)
    var settings = Tiny.settings(steps: 1)
    (settings.isWarmStart, settings.learningRate, settings.imageCorruption) = (true, 1e-6, 0.3)
    try Tiny.trainPrior(folder, settings)
    let after = try SafeTensors(contentsOf: folder.checkpoint.priorFile)
    for name in before.names {
      let (a, b) = (try before.tensor(name).scalars, try after.tensor(name).scalars)
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-2 * max(abs($0), 1e-3) }, "\(name)")
    }
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.earlierPriorTraining?.map(\.steps) == [4] && configuration.priorTraining?.steps == 1)
    #expect(try folder.contents(folder.checkpoint.previousFolder.appendingPathComponent("prior.safetensors")).count > 0)

    try FileManager.default.removeItem(at: folder.checkpoint.priorFile)
    #expect(throws: PipelineError.self) { try Tiny.trainPrior(folder, settings) }
  }

  /// The vocabulary and what speaks it change together, at the first save.
  @Test func aWarmStartCanChangeTheVocabulary() throws {
    let folder = try Tiny.trained(steps: 4)
    try Tiny.trainRanker(folder, Tiny.settings(steps: 1))
    let checkpoint = folder.checkpoint
    let old = try checkpoint.readVocabulary()
    let before = try SafeTensors(contentsOf: checkpoint.priorFile)
    let other = try BytePairEncoding.train(
      on: folder.dataSet().trainingTexts(), vocabularySize: 300, addsPrefixSpace: !old.addsPrefixSpace)
    var settings = Tiny.settings(steps: 2)
    (settings.isWarmStart, settings.learningRate) = (true, 1e-6)
    try Tiny.trainPrior(folder, settings, vocabulary: other)

    #expect(try checkpoint.readVocabulary() == other && other != old)
    let configuration = try checkpoint.readConfiguration()
    #expect(configuration.prior?.textVocabulary == other.vocabularySize)
    #expect(configuration.ranker == nil && !checkpoint.hasRanker)
    let previous = Checkpoint(checkpoint.previousFolder)
    #expect(try previous.readVocabulary() == old && previous.hasPrior && previous.hasRanker)
    let after = try SafeTensors(contentsOf: checkpoint.priorFile)
    let (a, b) = (try before.tensor("imageHead.weight").scalars, try after.tensor("imageHead.weight").scalars)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-2 * max(abs($0), 1e-3) })
    _ = try TextToImageModel(contentsOf: checkpoint.url).generate("a red square")

    // A resumed run keeps it.
    try Tiny.trainPrior(folder, Tiny.settings(steps: 3), resume: true)
    #expect(try checkpoint.readVocabulary() == other)
    #expect(throws: PipelineError.self) {
      try Tiny.trainPrior(folder, Tiny.settings(steps: 4), resume: true, vocabulary: old)
    }
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

  @Test func fewPicturesTakeLessTime() {
    #expect(Preset.base.priorDefaults(pictures: 100).minutes == 20)
    #expect(Preset.base.priorDefaults(pictures: 750).minutes == 40)
    #expect(Preset.base.priorDefaults(pictures: 100_000).minutes == 80)
    #expect(Preset.small.priorDefaults(pictures: 3467).minutes == 30)
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

  @Test func halfOfTheCaptionsAreReachedOnce() {
    let early = CheckpointConfiguration.RetrievalProgress(at1: 0.2).adding(at1: 0.49, seconds: 240)
    #expect(early == .init(at1: 0.49))
    let reached = early.adding(at1: 0.5, seconds: 483)
    #expect(reached == .init(at1: 0.5, minutesToHalf: 8.1))
    #expect(reached.adding(at1: 0.8, seconds: 720) == .init(at1: 0.8, minutesToHalf: 8.1))
  }

  /// Runs that went on with each other's weights count from the first one's beginning.
  @Test func theCardTellsWhenHalfWereReached() throws {
    let folder = try Tiny.trained(steps: 4)
    var configuration = try folder.checkpoint.readConfiguration()
    var last = try #require(configuration.priorTraining)
    (last.minutes, last.retrieval) = (30, .init(at1: 0.7, minutesToHalf: 8.1))
    var earlier = last
    (earlier.minutes, earlier.retrieval) = (20, .init(at1: 0.3))
    configuration.priorTraining = last
    configuration.tokenizerTraining?.minutes = 5
    func card() -> String { ModelCard(folder.checkpoint, configuration).markdown }
    #expect(card().contains("after at most 8.1 minutes of `train-prior`, with a tokenizer of 5.0 minutes"))
    configuration.earlierPriorTraining = [earlier]
    #expect(card().contains("after at most 28.1 minutes"))
    configuration.earlierPriorTraining?[0].retrieval = nil
    #expect(!card().contains("nearest neighbour was"), "it may have been reached before")
    configuration.earlierPriorTraining = nil
    configuration.priorTraining?.retrieval = .init(at1: 0.4)
    #expect(!card().contains("nearest neighbour was"))
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
      #expect(error?.message.contains("lower --learning-rate") ?? false)
      #expect(try files.map(folder.contents) == before)
    }
    #expect(!FileManager.default.fileExists(atPath: folder.checkpoint.previousFolder.path))
  }

  @Test func captionsOfAllKindsAreTrainedOn() throws {
    let folder = try TemporaryFolder()
    try folder.writeData(count: 4)
    let captions = ["nul \\u0000 inside", "line\\nbreak \\u2028", "👩🏽‍🚀🖤", String(repeating: "long ", count: 20_000)]
    let lines = captions.enumerated().map {
      "{\"file_name\": \"\(100 + $0).png\", \"text\": \"\($1)\", \"split\": \"\($0 == 2 ? "validation" : "train")\"}\n"
    }
    try Data(lines.joined().utf8).write(to: folder.data.appendingPathComponent("metadata.jsonl"))
    let recorder = Recorder()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2), observer: recorder.observer)
    #expect(recorder.notes.contains { $0.contains("1 of 3 captions have more than 64 tokens and are cut") })
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(try model.generate("nul \0 inside").count == 1)
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

  @Test(arguments: [[1, 2, 3], [9], Array(repeating: 3, count: 999) + [60], Array(repeating: 70, count: 10), []])
  func textLengthHasRoomForNearlyAllCaptions(_ lengths: [Int]) {
    let length = PriorTrainer.suitableTextLength(lengths)
    #expect(length % 8 == 0 && (8...64).contains(length))
    let cut = lengths.count { $0 > length }
    #expect(length == 64 || Double(cut) <= 0.005 * Double(lengths.count))
    #expect(length == 8 || lengths.contains { $0 > length - 8 })
  }

  @Test func settingsThatMakeNoSense() {
    func expectUsage(_ change: (inout TrainingSettings) -> Void, sourceLocation: SourceLocation = #_sourceLocation) {
      var settings = TrainingSettings()
      change(&settings)
      let error = #expect(throws: PipelineError.self, sourceLocation: sourceLocation) { try settings.validate() }
      #expect(error?.kind == .usage, sourceLocation: sourceLocation)
    }
    #expect(throws: Never.self) { try TrainingSettings().validate() }
    expectUsage { $0.bound = .steps(0) }
    expectUsage { $0.bound = .epochs(.nan) }
    expectUsage { $0.bound = .minutes(-.infinity) }
    expectUsage { $0.batchSize = 0 }
    expectUsage { $0.learningRate = .infinity }
    expectUsage { $0.saveEvery = 0 }
    expectUsage { $0.textLength = 1 }
    expectUsage { $0.dropout = 1 }
    expectUsage { $0.captionDropout = -0.1 }
    expectUsage { $0.mergeDropout = .nan }
    expectUsage { $0.averageDecay = 1 }
    expectUsage { $0.vocabularySize = 255 }
    expectUsage { $0.augmentation = Augmentation(maximumShift: 1) }
  }
}

@Suite struct TrainingLoopTests {
  private func loop(
    _ folder: TemporaryFolder, bound: TrainingBound, saveEvery: Int?, recorder: Recorder = Recorder()
  ) -> TrainingLoop {
    TrainingLoop(
      schedule: .init(peak: 1, warmUpSteps: 1), bound: bound, batchSize: 1, stepsPerEpoch: 4, saveEvery: saveEvery,
      observer: recorder.observer, log: TrainingLog(folder: folder.url, stage: .prior, resumingAt: nil))
  }

  /// The time runs out during a save: the run must still end measured and saved.
  @Test func aBoundInMinutesEndsMeasuredAndSaved() throws {
    let folder = try TemporaryFolder()
    let recorder = Recorder()
    var (steps, validated, saved) = (0, 0, 0)
    try loop(folder, bound: .minutes(0.15 / 60), saveEvery: 1, recorder: recorder).run(
      from: (0, 0),
      step: { (step, _, _) throws(PipelineError) in
        steps = step + 1
        return .init(loss: 1, gradientNorm: 1)
      },
      validate: { (progress) throws(PipelineError) in
        validated = progress.step
        return []
      },
      save: { (step, _) throws(PipelineError) in
        usleep(20_000)
        saved = step
      })
    #expect(steps > 0 && validated == steps && saved == steps)
  }

  @Test func epochsAreCountedInPictures() throws {
    let (folder, recorder) = (try TemporaryFolder(), Recorder())
    var rates: [Float] = []
    var shares: [Double] = []
    try loop(folder, bound: .epochs(2.5), saveEvery: 4, recorder: recorder).run(
      from: (0, 0),
      step: { (_, learningRate, progress) throws(PipelineError) in
        shares.append(progress)
        rates.append(learningRate)
        return .init(loss: 1, gradientNorm: 1)
      },
      validate: { (_) throws(PipelineError) in [("validation_image_loss", 2)] },
      save: { (_, _) throws(PipelineError) in })
    #expect(recorder.step == 10)
    #expect(recorder.saves == [4, 8, 10])
    #expect(shares == (0..<10).map { Double($0) / 10 })
    // Annealed over the whole run.
    #expect(rates.first == 1 && rates == rates.sorted(by: >) && rates[9] < 0.05)
  }

  @Test func divergenceEndsTheRunAndAFewBadStepsDoNot() throws {
    var steps = 0
    func run(_ isBad: @escaping (Int) -> Bool) throws(PipelineError) {
      steps = 0
      let folder: TemporaryFolder
      do { folder = try TemporaryFolder() } catch { throw PipelineError(.inputOutput, "no folder") }
      try loop(folder, bound: .steps(60), saveEvery: nil).run(
        from: (0, 0),
        step: { (step, _, _) throws(PipelineError) in
          steps = step + 1
          return .init(loss: isBad(step) ? .nan : 1, gradientNorm: isBad(step) ? .nan : 1)
        }, validate: { (_) throws(PipelineError) in [] }, save: { (_, _) throws(PipelineError) in })
      withExtendedLifetime(folder) {}
    }
    try run { $0 % 20 != 0 }
    #expect(steps == 60)
    #expect(throws: PipelineError.self) { try run { $0 >= 10 } }
    #expect(steps == 30)
  }

  @Test func theLogGoesOnWhereTheStateDoes() throws {
    let folder = try TemporaryFolder()
    let tokenizer = TrainingLog(folder: folder.url, stage: .imageTokenizer, resumingAt: nil)
    try tokenizer.append(step: 1, seconds: 1, [("psnr", 20), ("loss", .nan)])
    try tokenizer.write()
    let prior = TrainingLog(folder: folder.url, stage: .prior, resumingAt: nil)
    for step in 1...5 { try prior.append(step: step, seconds: Double(step), [("image_loss", Double(step))]) }
    try prior.write()
    let resumed = TrainingLog(folder: folder.url, stage: .prior, resumingAt: 3)
    try resumed.append(step: 4, seconds: 9, [("image_loss", 40)])
    try resumed.write()
    let lines = String(decoding: try folder.contents(folder.url.appendingPathComponent("metrics.jsonl")), as: UTF8.self)
      .split(separator: "\n")
    #expect(
      lines == [
        #"{"stage":"image-tokenizer","step":1,"seconds":1.0,"psnr":20.0}"#,
        #"{"stage":"prior","step":1,"seconds":1.0,"image_loss":1.0}"#,
        #"{"stage":"prior","step":2,"seconds":2.0,"image_loss":2.0}"#,
        #"{"stage":"prior","step":3,"seconds":3.0,"image_loss":3.0}"#,
        #"{"stage":"prior","step":4,"seconds":9.0,"image_loss":40.0}"#,
      ])
  }

  /// Each save adds to the file, so that it can be followed while it grows; a line that a kill has cut is left out.
  @Test func theLogGrows() throws {
    let folder = try TemporaryFolder()
    let file = folder.path("metrics.jsonl")
    let log = TrainingLog(folder: folder.url, stage: .prior, resumingAt: nil)
    try log.append(step: 1, seconds: 1, [("image_loss", 3)])
    try log.write()
    let handle = try FileHandle(forReadingFrom: file)
    let first = try #require(try handle.readToEnd())
    try log.append(step: 2, seconds: 2, [("image_loss", 2)])
    try log.write()
    #expect(
      try handle.readToEnd() == Data(#"{"stage":"prior","step":2,"seconds":2.0,"image_loss":2.0}"#.utf8) + Data([10]))
    try (first + Data(#"{"stage":"prior","st"#.utf8)).write(to: file)
    let resumed = TrainingLog(folder: folder.url, stage: .prior, resumingAt: 2)
    try resumed.write()
    #expect(try Data(contentsOf: file) == first)
  }

  /// A long run's charts show its whole course by no more points than a short one's.
  @Test func longCurvesAreThinned() throws {
    let folder = try TemporaryFolder()
    let log = TrainingLog(folder: folder.url, stage: .ranker, resumingAt: nil)
    for step in 1...50_000 { try log.append(step: step, seconds: 1, [("loss", step <= 25_000 ? 4 : 1)]) }
    try log.write()
    let chart = String(decoding: try folder.read("ranker-loss.svg"), as: UTF8.self)
    #expect(chart.utf8.count < 200_000 && chart.contains("50000"))
  }
}
