import ArrayFiles
import Basics
import Foundation
import ImageTokenizers
import LatentModels
import LinearAlgebra

/// An image tokenizer and the priors of its grids; see `TwoStageModel`.
package protocol TokenRung: LadderRung {
  static var tokenizer: any ImageTokenizerConfiguration.Type { get }
}

extension TokenRung {
  package static var name: String { tokenizer.kind }
  package static var takesMatrices: Bool { false }
  package static var choices: Set<LadderChoice> { [.bound, .batchSize] }

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try TwoStageModel(file, path: path)
  }

  /// Each stage is learnt in its part of the time, or for as many steps or epochs.
  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    let start = ContinuousClock.now
    var tokenizerSeconds = 0.0
    let model = try TwoStageModel(
      fitting: x, kind: ImageTokenizerKind(tokenizer), bound: options.chosenBound, batchSize: options.batchSize,
      threads: options.threads,
      seed: options.seed,
      precision: options.precision
    ) { what, share, _ in
      if what == ImageTokenizerKind(tokenizer).title { tokenizerSeconds = start.duration(to: .now).inSeconds }
      options.progress("fitting \(name): \(what)", share)
    }
    let priors = model.configuration.priors
    let grids = priors.map { "\($0.gridSide)×\($0.gridSide)" }.joined(separator: ", ")
    return FittedRung(
      model: model, tokenizerSeconds: tokenizerSeconds,
      notes: [
        "\(grids) tokens of \(priors[0].imageVocabulary) codes, each grid with a PixelCNN; the tokens took "
          + String(format: "%.1f of %.1f seconds.", tokenizerSeconds, start.duration(to: .now).inSeconds)
      ])
  }
}

/// Tokens of one grid, learnt by vector quantisation; see `VQVAE`.
package enum VQVAERung: TokenRung {
  package static let tokenizer: any ImageTokenizerConfiguration.Type = VQVAE.Configuration.self
  package static let text =
    RungText(
      title: "VQ-VAE with a PixelCNN", idea: "pictures as tokens, and a model that predicts token after token",
      answers: """
        Codes of real numbers have to be paid for in precision and are blurred to stay cheap. Much of what pictures are \
        made of comes in kinds: an edge, an eye, a patch of red. A code may simply name one of them.
        """,
      how: """
        The encoder's answer at each place of a small grid is replaced by the nearest entry of a learnt codebook, so that a \
        picture becomes a grid of numbers like words of a sentence. The prior is not fixed beforehand but learnt \
        afterwards: a PixelCNN predicts each token from the ones above it and to its left.
        """,
      weakness: """
        One grid has to carry the outline of the whole picture and the finest detail alike: either there are too few \
        tokens for the detail or too many for the outline to hang together.
        """,
      equation: "k = argmin<sub>j</sub> ‖f(x) − e<sub>j</sub>‖, &emsp; L = ‖x − g(e<sub>k</sub>)‖² + "
        + "‖sg(f(x)) − e<sub>k</sub>‖² + β‖f(x) − sg(e<sub>k</sub>)‖², &emsp; p(k) = Π<sub>i</sub> p(k<sub>i</sub> | k<sub>&lt;i</sub>)",
      source: "van den Oord, Vinyals and Kavukcuoglu 2017, Neural Discrete Representation Learning; van den Oord et "
        + "al. 2016, Conditional Image Generation with PixelCNN Decoders")
}

/// Tokens of several grids; see `VQVAE2`.
package enum VQVAE2Rung: TokenRung {
  package static let tokenizer: any ImageTokenizerConfiguration.Type = VQVAE2.Configuration.self
  package static let text =
    RungText(
      title: "VQ-VAE-2", idea: "tokens on several grids, coarse to fine",
      answers: """
        With one grid the prior has to get outline and detail right at once. Here they are parted, as in the hierarchical \
        VAE: a coarse grid for the outline, a fine one for the detail.
        """,
      how: """
        Each finer grid is encoded knowing the coarser ones, so that it need not repeat them. Each grid has a prior of its \
        own, and that of a fine grid is told the coarse tokens. Drawing goes from coarse to fine.
        """,
      weakness: """
        The nearest codebook entry is a hard choice through which no gradient flows; codes that nobody chooses stay \
        unused unless something is done about it.
        """,
      equation: "p(k) = p(k<sub>1</sub>) p(k<sub>2</sub> | k<sub>1</sub>) "
        + "p(k<sub>3</sub> | k<sub>1</sub>, k<sub>2</sub>)",
      source: "Razavi, van den Oord and Vinyals 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2")
}

/// Tokens learnt through a relaxation; see `DiscreteVAE`.
package enum DiscreteVAERung: TokenRung {
  package static let tokenizer: any ImageTokenizerConfiguration.Type = DiscreteVAE.Configuration.self
  package static let text =
    RungText(
      title: "Discrete VAE with a PixelCNN", idea: "tokens drawn from a distribution, as in DALL·E",
      answers: """
        The hard choice of a VQ-VAE is replaced by a soft one that gradients can pass: the encoder gives a probability to \
        every code, which makes it a proper VAE again, with a bound of the likelihood and a uniform prior.
        """,
      how: """
        While learning, a code is drawn with Gumbel noise and kept soft by a temperature that sinks until the draw is \
        nearly hard. The price for departing from the uniform prior rises slowly. Pixels have a logit-Laplace distribution, \
        which stays inside their range. This is stage 1 of DALL·E.
        """,
      weakness: """
        The prior still knows nothing of what the picture shows: it draws some picture, not the one that was asked for. \
        DALL·E gives it the caption to read first.
        """,
      equation: "y = softmax((log q(k | x) + g) ⁄ τ), &emsp; L = −log p(x | y) + β KL(q(k | x) ‖ uniform)",
      source: "Ramesh et al. 2021, Zero-Shot Text-to-Image Generation, section 2.1")
}
