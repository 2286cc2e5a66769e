// What a client may name with `import DALLE` alone.
@_exported import Basics
@_exported import Checkpoints
@_exported import Datasets
@_exported import EmojiData
@_exported import Evaluation
@_exported import Generation
@_exported import ImageTokenizers
@_exported import Imaging
@_exported import Ladder
@_exported import LadderReport
@_exported import LatentModels
@_exported import LinearAlgebra
@_exported import Priors
@_exported import Rankers
@_exported import TensorCore
@_exported import TextTokenizer
@_exported import Training
