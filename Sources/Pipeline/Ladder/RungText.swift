import Pages

/// What the page says about each rung, for somebody who has not read the code. The equations are markup.
package struct RungText {
  /// What the rung is called in a headline.
  package var title: String
  /// What it does in a few words, for the table.
  package var idea: String
  /// Which weakness of the rung before it answers.
  package var answers: String
  /// How.
  package var how: String
  /// What is still wrong with it, which the next one answers.
  package var weakness: String
  package var equation: HTML
  package var source: String
}

extension Rung {
  package var text: RungText {
    switch self {
    case .gaussian:
      RungText(
        title: "Gaussian", idea: "one bell over all pictures",
        answers: """
          The simplest thing that can be said about a set of pictures: where their average lies, and which pixels rise and \
          fall together. It is the first rung because everything about it can be computed exactly, in one step.
          """,
        how: """
          Every picture is one point with as many coordinates as it has numbers. The Gaussian puts one bell over the cloud \
          of points: its centre is the mean picture, its shape the covariance of the pixels. Both are averages over the \
          training pictures, and no other choice makes these pictures more likely.
          """,
        weakness: """
          A bell has one summit. Between a face and a flag lies its mean, which is neither, and there the Gaussian believes \
          the most probable picture to be.
          """,
        equation: "p(x) = N(x | μ, Σ), &emsp; μ = <sup>1</sup>⁄<sub>N</sub> Σ<sub>n</sub> x<sub>n</sub>, &emsp; "
          + "Σ = <sup>1</sup>⁄<sub>N</sub> Σ<sub>n</sub> (x<sub>n</sub> − μ)(x<sub>n</sub> − μ)ᵀ",
        source: "Bishop, Pattern Recognition and Machine Learning, section 2.3")
    case .gaussianMixture:
      RungText(
        title: "Gaussian mixture", idea: "several bells, one for each kind of picture",
        answers: """
          One bell has to stretch over faces, flags and food alike. A mixture takes several, so that each can sit on one \
          kind of picture and need not cover the emptiness between the kinds.
          """,
        how: """
          A picture is made in two steps: first one of the bells is chosen, then a picture is drawn from it. Which bell a \
          given picture came from is not written on it. It is a latent variable, the first one of this ladder. EM guesses \
          it (how likely is each bell for each picture?), refits the bells with these guesses as weights, and repeats; the \
          likelihood rises with every round.
          """,
        weakness: """
          Each bell still needs the covariance of all pixels, millions of numbers learnt from a few thousand pictures; and a \
          bell that is kept simpler knows less about how pixels go together.
          """,
        equation: "p(x) = Σ<sub>k</sub> π<sub>k</sub> N(x | μ<sub>k</sub>, Σ<sub>k</sub>), &emsp; "
          + "γ<sub>nk</sub> = π<sub>k</sub> N(x<sub>n</sub> | μ<sub>k</sub>, Σ<sub>k</sub>) ⁄ "
          + "Σ<sub>j</sub> π<sub>j</sub> N(x<sub>n</sub> | μ<sub>j</sub>, Σ<sub>j</sub>)",
        source: "Bishop, Pattern Recognition and Machine Learning, section 9.2")
    case .ppca:
      RungText(
        title: "Probabilistic PCA", idea: "a few directions in which pictures vary, and noise",
        answers: """
          A covariance has a number for every pair of pixels, far more than the pictures can teach. But pictures do not \
          vary in every way: a few dozen directions carry most of what differs between them.
          """,
        how: """
          A short code z is drawn from a standard bell, a matrix W turns it into a picture, and noise of the same strength \
          everywhere is added. Everything is linear and Gaussian, so the best W and σ² can be written down (the leading \
          principal components and the mean of the variance that they leave over), the code of a given picture has a closed \
          form, and EM arrives at the same place. From here on, every rung has a code and a decoder.
          """,
        weakness: """
          The decoder is a matrix: every picture is a weighted sum of the same few pictures. Shapes that move or change \
          cannot be expressed so, and what the sum does not reach is left to grey noise, equally strong in the empty corner \
          and in the middle of a face.
          """,
        equation: "z ~ N(0, I), &emsp; x | z ~ N(W z + μ, σ² I), &emsp; p(x) = N(x | μ, W Wᵀ + σ² I)",
        source: "Tipping and Bishop 1999, Probabilistic Principal Component Analysis")
    case .autoEncoder:
      RungText(
        title: "Auto-encoder with a mixture", idea: "a bent surface instead of a flat one, and bells over its codes",
        answers: """
          Probabilistic PCA can only move along straight lines: halfway between two pictures lies their cross-fade. Networks \
          with bends in them can follow a curved surface on which pictures lie.
          """,
        how: """
          An encoder squeezes a picture into a short code and a decoder makes the picture from it again; both are learnt \
          together, by nothing but how well pictures come back. That alone cannot invent anything, for nobody knows which \
          codes are codes of pictures. So a Gaussian mixture is fitted to the codes of all training pictures afterwards, and \
          a draw from it is decoded.
          """,
        weakness: """
          The codes were laid out for coming back, not for being drawn: between them are holes that the decoder has never \
          seen. And all pictures that it can make lie on one thin surface, so that no other picture has a probability at \
          all, which is why this rung has no bits a dimension.
          """,
        equation: "z = f(x), &emsp; x̂ = g(z), &emsp; L = ‖x − x̂‖², &emsp; p(z) = Σ<sub>k</sub> π<sub>k</sub> "
          + "N(z | μ<sub>k</sub>, Σ<sub>k</sub>)",
        source: "Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks")
    case .vae:
      RungText(
        title: "Variational auto-encoder", idea: "codes that are trained to be drawn at random",
        answers: """
          The auto-encoder has the good decoder, probabilistic PCA has the code that can be drawn at random. The variational \
          auto-encoder has both, because it learns them together.
          """,
        how: """
          The encoder answers with a small bell instead of a point, the decoder sees a draw from it, and a price is paid for \
          how far that bell is from the standard one. What is maximised is a lower bound of the likelihood: how well \
          pictures come back, less that price. Since the codes of all pictures together must look like the standard bell, a \
          draw from it is a code that the decoder knows.
          """,
        weakness: """
          All of a picture has to go through one code whose numbers know nothing of each other. Where the code is not sure, \
          the decoder paints the mean of all possibilities, and a mean of pictures is a blur.
          """,
        equation: "log p(x) ≥ E<sub>q(z|x)</sub>[log p(x | z)] − KL(q(z | x) ‖ N(0, I))",
        source: "Kingma and Welling 2014, Auto-Encoding Variational Bayes")
    case .gaussianMixtureVAE:
      RungText(
        title: "Gaussian-mixture VAE", idea: "a VAE whose codes fall into kinds",
        answers: """
          The VAE wants the codes of all pictures to form one round cloud, although faces, flags and food have nothing to \
          round off between them. The mixture, the second rung of this ladder, comes back here: as the prior of the code.
          """,
        how: """
          First a kind is chosen, then a code from that kind's own bell, then the picture. So a picture has a discrete \
          attribute, which kind it is, and a continuous one, which of that kind; and one can ask for draws of one kind. Which \
          kind a picture is nobody says: it follows from its code by Bayes' rule, as in the mixture. A plain VAE is fitted \
          first, a mixture to its codes, and from there on everything is learnt together.
          """,
        weakness: """
          Within its kind, each number of a code still knows nothing of the others, and all of the picture must go through \
          one code: the blur stays.
          """,
        equation: "p(x, z, y) = p(y) N(z | μ<sub>y</sub>, σ<sub>y</sub>²) p(x | z), &emsp; "
          + "log p(x) ≥ E[log p(x | z)] − Σ<sub>y</sub> q(y | x) KL(q(z | x) ‖ p(z | y)) − KL(q(y | x) ‖ p(y))",
        source: "Jiang et al. 2017, Variational Deep Embedding; Hsu et al. 2018, Hierarchical Generative Modeling for "
          + "Controllable Speech Synthesis")
    case .hierarchicalVAE:
      RungText(
        title: "Hierarchical VAE", idea: "codes on several levels, coarse to fine",
        answers: """
          A VAE blurs because its prior treats every number of the code as independent of the others. Here the code is \
          split into levels, and each level is drawn knowing the ones above it.
          """,
        how: """
          The top level is a few numbers for the whole picture; each further level is a finer grid that adds what the ones \
          above have left open, down to the pixels. The same top-down network is used for drawing and for encoding; in \
          encoding it also looks at the picture. It is a VAE many times over, trained as one with the same bound.
          """,
        weakness: """
          The codes are still continuous and every level pays for being precise. With a short training budget the fine \
          levels are the last to learn anything.
          """,
        equation:
          "p(z) = p(z<sub>0</sub>) p(z<sub>1</sub> | z<sub>0</sub>) … p(z<sub>L</sub> | z<sub>&lt;L</sub>), &emsp; "
          + "q(z | x) = q(z<sub>0</sub> | x) q(z<sub>1</sub> | z<sub>0</sub>, x) …",
        source: "Vahdat and Kautz 2020, NVAE; Child 2020, Very Deep VAEs")
    case .vqvae:
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
          + "β‖f(x) − sg(e<sub>k</sub>)‖², &emsp; p(k) = Π<sub>i</sub> p(k<sub>i</sub> | k<sub>&lt;i</sub>)",
        source: "van den Oord, Vinyals and Kavukcuoglu 2017, Neural Discrete Representation Learning; van den Oord et "
          + "al. 2016, Conditional Image Generation with PixelCNN Decoders")
    case .vqvae2:
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
        equation: "p(k) = p(k<sub>top</sub>) p(k<sub>bottom</sub> | k<sub>top</sub>)",
        source: "Razavi, van den Oord and Vinyals 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2")
    case .dvae:
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
  }
}
