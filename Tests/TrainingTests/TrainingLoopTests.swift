import Foundation
import Optimization
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Training

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
}
