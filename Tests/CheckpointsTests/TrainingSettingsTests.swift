import Datasets
import Foundation
import NN
import Testing

@testable import Basics
@testable import Checkpoints

@Suite struct TrainingSettingsTests {
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

  /// Runs from before there were forms had none, and their configurations say nothing of them.
  @Test func settingsWithoutFormsAreRead() throws {
    var settings = TrainingSettings()
    settings.captionForms = nil
    let json = try JSONEncoder().encode(settings)
    #expect(!String(decoding: json, as: UTF8.self).contains("aptionForms"))
    #expect(try JSONDecoder().decode(TrainingSettings.self, from: json) == settings)
  }

  @Test func fewPicturesTakeLessTime() {
    #expect(Preset.base.priorDefaults(pictures: 100).minutes == 20)
    #expect(Preset.base.priorDefaults(pictures: 750).minutes == 40)
    #expect(Preset.base.priorDefaults(pictures: 100_000).minutes == 80)
    #expect(Preset.small.priorDefaults(pictures: 3467).minutes == 30)
  }
}
