import Basics
import Checkpoints
import Datasets
import Foundation
import NN
import Optimization
import PipelineTestSupport
import TensorCore
import TestSupport
import Testing

@testable import Training

struct StageRunTests {
  private struct Net: ConfiguredModule {
    let weight = Parameter(.zeros([3]))
    let configuration = 0

    init(_ configuration: Int, _ initializer: Initializer) {}
  }

  /// Steps that do nothing but what a test asks for.
  private final class Task: StageTask {
    let net: Net
    var result: (StageRun.Place) -> DescentLoop.Result
    var places: [StageRun.Place] = []
    var validated = 0
    var saved = 0
    var saveMicroseconds: UInt32 = 0
    var failsToValidate = false
    private unowned let run: StageRun

    init(_ net: Net, _ run: StageRun, result: @escaping (StageRun.Place) -> DescentLoop.Result) {
      (self.net, self.run, self.result) = (net, run, result)
    }

    func step(_ batch: Batch, _ place: StageRun.Place) -> DescentLoop.Result {
      places.append(place)
      return result(place)
    }

    func validate(_ progress: TrainingProgress) throws(PipelineError) -> [(name: String, value: Double)] {
      if failsToValidate { throw PipelineError(.cannotCreate, "there is no place for samples") }
      validated = progress.step
      return [("validation_image_loss", 2)]
    }

    func describe(_ run: StageRun, in configuration: inout CheckpointConfiguration) { saved = run.state.step }

    let file: KeyPath<Checkpoint, URL> = \.priorFile
    let replacedName = "nothing"

    func tensors() -> [NamedTensor] {
      usleep(saveMicroseconds)
      return net.namedTensors()
    }
  }

  /// Runs with eight pictures in batches of two: four steps an epoch.
  private func run(
    bound: TrainingBound, saveEvery: Int?, recorder: Recorder = Recorder(), saveMicroseconds: UInt32 = 0,
    failsToValidate: Bool = false,
    result: @escaping (StageRun.Place) -> DescentLoop.Result = { _ in .init(loss: 1, gradientNorm: 1) }
  ) throws -> (task: Task, failure: PipelineError?) {
    let folder = try TemporaryFolder()
    try folder.writeData()
    let dataSet = try folder.dataSet()
    let resources = TrainingResources(
      checkpoint: folder.checkpoint, dataSet: dataSet, threads: 1, precision: .float32, observer: recorder.observer)
    var settings = TrainingSettings()
    (settings.bound, settings.saveEvery, settings.batchSize, settings.learningRate) = (bound, saveEvery, 2, 1)
    let state = TrainingState(
      stage: .prior, configuration: CheckpointConfiguration(), settings: settings, threads: 1, precision: .float32)
    let plan = settings.fill((2, 1), learningRate: 1, augmentation: .none)
    let loader = try BatchLoader(
      dataSet: dataSet, indices: Array(dataSet.indices(of: .train).prefix(8)), batchSize: 2, seed: 1)
    let net = Net(0, seed: 1)
    let run = try StageRun(resources, state, from: nil, net, .init(), plan, loader)
    let task = Task(net, run, result: result)
    (task.saveMicroseconds, task.failsToValidate) = (saveMicroseconds, failsToValidate)
    do throws(PipelineError) { try run.run(task) } catch { return (task, error) }
    return (task, nil)
  }

  /// The time runs out during a save: the run must still end measured and saved.
  @Test func aBoundInMinutesEndsMeasuredAndSaved() throws {
    let (task, failure) = try run(bound: .minutes(0.15 / 60), saveEvery: 1, saveMicroseconds: 20_000)
    let steps = task.places.count
    #expect(failure == nil && steps > 0 && task.validated == steps && task.saved == steps)
  }

  /// What was learnt is worth more than a picture of it.
  @Test func aRunThatCannotBeMeasuredIsSaved() throws {
    let recorder = Recorder()
    let (task, failure) = try run(bound: .steps(3), saveEvery: nil, recorder: recorder, failsToValidate: true)
    #expect(failure == nil && task.saved == 3 && task.validated == 0)
    #expect(recorder.notes == ["there is no place for samples"])
  }

  @Test func epochsAreCountedInPictures() throws {
    let recorder = Recorder()
    let (task, failure) = try run(bound: .epochs(2.5), saveEvery: 4, recorder: recorder)
    #expect(failure == nil && recorder.step == 10)
    #expect(recorder.saves == [4, 8, 10])
    #expect(task.places.map(\.step) == Array(0..<10))
    #expect(task.places.map(\.progress) == (0..<10).map { Double($0) / 10 })
    // Annealed over the whole run, after a warm-up that is longer than it.
    let rates = task.places.map(\.learningRate)
    #expect(rates.allSatisfy { $0 > 0 && $0 < 1 } && rates[9] < rates[5])
  }

  @Test func divergenceEndsTheRunAndAFewBadStepsDoNot() throws {
    func run(_ isBad: @escaping (Int) -> Bool) throws -> (steps: Int, failure: PipelineError?) {
      let (task, failure) = try self.run(bound: .steps(60), saveEvery: nil) { place in
        isBad(place.step) ? .init(loss: .nan, gradientNorm: .nan) : .init(loss: 1, gradientNorm: 1)
      }
      return (task.places.count, failure)
    }
    let survived = try run { $0 % 20 != 0 }
    #expect(survived.steps == 60 && survived.failure == nil)
    let diverged = try run { $0 >= 10 }
    #expect(diverged.steps == 30 && diverged.failure?.kind == .usage)
  }
}
