import Basics
import Captions
import Datasets
import Foundation
import ImageTokenizers
import NN
import Priors
import Optimization
import TensorCore

/// How one stage is trained. What is left at nil is chosen by the stage.
public struct TrainingSettings: Codable, Sendable, Equatable {
  /// `base` for stage 1, and as stage 1 was trained for what follows, where nil.
  public var preset: Preset?
  /// Of a tokenizer's run; the first in the list where nil.
  public var imageTokenizerKind: ImageTokenizerKind?
  /// Of a prior's run; the first in the list where nil.
  public var priorKind: PriorKind?
  public var bound: TrainingBound?
  public var batchSize: Int?
  public var learningRate: Float?
  public var seed: UInt64 = 0
  /// Steps between two saves; nil saves every ninety seconds.
  public var saveEvery: Int?
  public var augmentation: Augmentation?
  /// Pixels a side of a tokenizer's pictures, a multiple of 32, and the preset's where nil; of an upsampler's, a multiple of the
  /// tokenizer's, and twice as many where nil.
  public var pictureSize: Int?
  /// Of a tokenizer's or an upsampler's run: the share, at its end, in which a discriminator makes reconstructions sharp.
  public var adversarial: Float = 0
  /// Of captions: the probability of training without one, which guidance needs.
  public var captionDropout: Float = 0.1
  /// In what forms captions are read. A new run of a prior or a ranker takes all for nil; with none, captions are read as
  /// they stand.
  public var captionForms: [CaptionForms.Kind]?
  /// Of a prior's or a ranker's pictures: the share of compositions, those of the data set, and where it has none, some of its
  /// things that are made while a prior trains. With nil, none are made, and those of the data set are shown as often as its other
  /// pictures.
  public var compositions: Float?
  /// Of merges when a caption is encoded (Provilkov et al. 2020).
  public var mergeDropout: Float = 0
  /// Of the places before: the probability that random tokens stand in the place of theirs.
  public var imageCorruption: Float = 0.15
  /// Of the further codes of a place, where those before them are right: the probability that they are random. A new
  /// run where places have several codes takes ``standardRefinementCorruption`` for nil.
  public var refinementCorruption: Float?
  public static let standardRefinementCorruption: Float = 0.3
  /// Whether a prior's run begins with the weights that the checkpoint holds.
  public var isWarmStart = false
  /// What the vocabulary is called that a run was given in place of the checkpoint's.
  public var vocabulary: String?
  /// Of the text vocabulary.
  public var vocabularySize = 8192
  /// Text tokens of the prior.
  public var textLength: Int?
  public var dropout: Float?
  /// Of the prior; the preset's where nil, and of a warm start the checkpoint's. More than the checkpoint's begin as copies
  /// that pass their input on.
  public var layers: Int?
  /// What the image tokens of a transformer's layers see of each other, repeated to the number of layers; the preset's
  /// where nil.
  public var attention: [AttentionKind]?
  /// Of the moving average of the prior's weights, which is what is saved; 0 keeps none.
  public var averageDecay: Float = 0

  public init() {}

  /// What is not there is as in a new run's settings: an older version did not know it.
  public init(from decoder: any Decoder) throws {
    self.init()
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys, else standard: Value) throws -> Value {
      fields.contains(key) ? try fields.decode(Value.self, forKey: key) : standard
    }
    preset = try value(.preset, else: preset)
    imageTokenizerKind = try value(.imageTokenizerKind, else: imageTokenizerKind)
    priorKind = try value(.priorKind, else: priorKind)
    bound = try value(.bound, else: bound)
    batchSize = try value(.batchSize, else: batchSize)
    learningRate = try value(.learningRate, else: learningRate)
    seed = try value(.seed, else: seed)
    saveEvery = try value(.saveEvery, else: saveEvery)
    augmentation = try value(.augmentation, else: augmentation)
    pictureSize = try value(.pictureSize, else: pictureSize)
    adversarial = try value(.adversarial, else: adversarial)
    captionDropout = try value(.captionDropout, else: captionDropout)
    captionForms = try value(.captionForms, else: captionForms)
    compositions = try value(.compositions, else: compositions)
    mergeDropout = try value(.mergeDropout, else: mergeDropout)
    imageCorruption = try value(.imageCorruption, else: imageCorruption)
    refinementCorruption = try value(.refinementCorruption, else: refinementCorruption)
    isWarmStart = try value(.isWarmStart, else: isWarmStart)
    vocabulary = try value(.vocabulary, else: vocabulary)
    vocabularySize = try value(.vocabularySize, else: vocabularySize)
    textLength = try value(.textLength, else: textLength)
    dropout = try value(.dropout, else: dropout)
    layers = try value(.layers, else: layers)
    attention = try value(.attention, else: attention)
    averageDecay = try value(.averageDecay, else: averageDecay)
  }

  /// What is done to training pictures where a run's settings say nothing else.
  public static func standardAugmentation(of stage: Stage) -> Augmentation {
    switch stage {
    // Whole pixels only: a tokenizer that has seen interpolated pictures makes soft ones.
    case .imageTokenizer, .upsampler: Augmentation(maximumShift: 0.06)
    case .prior: .none
    case .ranker: Augmentation(maximumShift: 0.06, maximumScaling: 0.06)
    }
  }

  /// The shape of the image tokenizer that a run with these settings trains.
  /// - Throws: `PipelineError` of kind `.usage` where models of the kind are not trained here.
  public func imageTokenizer() throws(PipelineError) -> any TrainableImageTokenizerConfiguration {
    try (imageTokenizerKind ?? .standard).preset(
      chosenPreset, pictureSize: pictureSize ?? chosenPreset.pictureSize)
  }

  /// The preset of a run that has begun, and of one that does not say.
  public var chosenPreset: Preset { preset ?? .base }

  /// What a run's settings come to where all is chosen.
  package struct Plan {
    package var batchSize: Int
    package var bound: TrainingBound
    package var learningRate: Float
    package var augmentation: Augmentation
  }

  /// Chooses what was left open, and tells what holds.
  package mutating func fill(
    _ defaults: (batchSize: Int, minutes: Double), learningRate defaultRate: Float,
    augmentation defaultAugmentation: Augmentation
  ) -> Plan {
    let plan = Plan(
      batchSize: batchSize ?? defaults.batchSize, bound: bound ?? .minutes(defaults.minutes),
      learningRate: learningRate ?? defaultRate, augmentation: augmentation ?? defaultAugmentation)
    (batchSize, bound, learningRate, augmentation) =
      (plan.batchSize, plan.bound, plan.learningRate, plan.augmentation)
    return plan
  }

  /// As a person would give them.
  package var flags: String {
    var flags = ["`preset` \(chosenPreset.rawValue)"]
    if let batchSize { flags.append("`batchSize` \(batchSize)") }
    if let learningRate { flags.append("`learningRate` \(learningRate)") }
    flags.append("`seed` \(seed)")
    if let kind = imageTokenizerKind?.rawValue ?? priorKind?.rawValue { flags.append("`kind` \(kind)") }
    return flags.joined(separator: " ")
  }

  /// The names of the settings that are not as a run's are where nothing is said, nor as those of another run, in the order of the
  /// alphabet. Where that run ends and how often it saves is no matter, nor which synonyms there were to read.
  package func given(unlike run: Self) -> [String] {
    func fields(_ settings: Self) -> [String: NSObject] {
      let json = try? JSONSerialization.jsonObject(with: JSONEncoder().encode(settings))
      return json as? [String: NSObject] ?? [:]
    }
    var own = self
    (own.bound, own.saveEvery) = (nil, nil)
    // What a command gives where nobody says otherwise.
    if own.captionForms == CaptionForms.Kind.allCases { own.captionForms = nil }
    if own.imageTokenizerKind == .standard { own.imageTokenizerKind = nil }
    if own.priorKind == .standard { own.priorKind = nil }
    let (given, standard, kept) = (fields(own), fields(Self()), fields(run))
    return given.keys.filter { given[$0] != standard[$0] && given[$0] != kept[$0] }.sorted()
  }

  /// - Throws: `PipelineError` of kind `.usage` naming the first setting that makes no sense.
  public func validate() throws(PipelineError) {
    func check(_ isValid: Bool, _ message: String) throws(PipelineError) {
      if !isValid { throw PipelineError(.usage, message) }
    }
    if let batchSize {
      try check((1...65536).contains(batchSize), "`batchSize` must be 1 to 65536, not \(batchSize)")
    }
    if let learningRate {
      try check(
        learningRate > 0 && learningRate.isFinite, "`learningRate` must be above 0, not \(learningRate)")
    }
    if let saveEvery { try check(saveEvery > 0, "`saveEvery` must be 1 or more, not \(saveEvery)") }
    if let textLength {
      try check((2...1024).contains(textLength), "`textLength` must be 2 to 1024, not \(textLength)")
    }
    if let dropout { try check((0..<1).contains(dropout), "`dropout` must be 0 up to 1, not \(dropout)") }
    if let layers { try check((1...256).contains(layers), "`layers` must be 1 to 256, not \(layers)") }
    if let attention { try check(!attention.isEmpty, "`attention` names no kind of attention") }
    if let augmentation {
      for (name, value) in [
        ("`maximumShift`", augmentation.maximumShift), ("`maximumScaling`", augmentation.maximumScaling),
      ] {
        try check((0..<1).contains(value), "\(name) must be 0 up to 1, not \(value)")
      }
    }
    if let pictureSize {
      try check(
        (32...512).contains(pictureSize) && pictureSize % 32 == 0,
        "`pictureSize` must be a multiple of 32 from 32 to 512, not \(pictureSize)")
    }
    try check((0...1).contains(adversarial), "`adversarial` must be 0 to 1, not \(adversarial)")
    try check((0...1).contains(captionDropout), "`captionDropout` must be 0 to 1, not \(captionDropout)")
    if let compositions {
      try check((0..<1).contains(compositions), "`compositions` must be 0 up to 1, not \(compositions)")
    }
    try check((0...1).contains(imageCorruption), "`imageCorruption` must be 0 to 1, not \(imageCorruption)")
    if let refinementCorruption {
      try check(
        (0...1).contains(refinementCorruption), "`refinementCorruption` must be 0 to 1, not \(refinementCorruption)")
    }
    try check((0...1).contains(mergeDropout), "`mergeDropout` must be 0 to 1, not \(mergeDropout)")
    try check((0..<1).contains(averageDecay), "`averageDecay` must be 0 up to 1, not \(averageDecay)")
    try check(
      (256...1_000_000).contains(vocabularySize),
      "`vocabularySize` must be 256 to 1000000, not \(vocabularySize)")
    try bound?.validate()
  }
}

extension Preset {
  /// Of stage 1, where nothing else is said.
  package var tokenizerDefaults: (batchSize: Int, minutes: Double) { self == .base ? (16, 25) : (32, 15) }
  /// Of stage 2. Small steps at a high rate: what one caption alone can teach is learnt in fewer passes than with larger
  /// batches. Few pictures are passed over as often in less time.
  package func priorDefaults(pictures: Int) -> (batchSize: Int, minutes: Double) {
    let share = min(1, max(0.25, Double(pictures) / 1500))
    return (16, (share * (self == .base ? 80 : 30)).rounded())
  }

  /// Of the ranker: large batches, in which each caption has many wrong pictures to be told apart from.
  package var rankerDefaults: (batchSize: Int, minutes: Double) { (128, 10) }
}
