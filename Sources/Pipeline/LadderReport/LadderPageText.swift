/// The page's other long texts.
enum LadderPageText {
  static let introduction = """
    This page fits a family of models to the same data, one after the other. Each can invent new examples, and each exists \
    because of what the one before it could not do. At the end stands DALL·E, which draws what a sentence says. The models \
    were fitted on the training part of the data; unless it says otherwise, every figure was measured on the held-out \
    part, which none of them has seen.
    """

  static let bitsPerDimension = """
    <b>Bits a dimension</b> say how surprised a model is by the held-out pictures: the number of bits that it would need to \
    store each of a picture's numbers, on average, if it were used to compress them. Uncompressed it is 8. Less is better. \
    “Exact” means that the model's probability could be computed; “bound” that only a limit could, and the truth is that \
    value or less. (A pixel of 256 steps is spread over its step by uniform noise first, so that models of continuous \
    numbers compare with each other.)
    """

  static let natsPerRow = """
    <b>Log-likelihood</b> says how probable a model holds the held-out rows: the mean of log p(x) in nats. More is better. \
    “Exact” means that it could be computed; “bound” that only a lower limit could.
    """

  static func frechet(components: Int, samples: Int) -> String {
    """
    <b>Fréchet distance</b> compares what a model draws with real data, without asking it for probabilities: both are seen \
    through the \(components) leading principal components of the training data, a Gaussian is fitted to each cloud, and the \
    distance of the two Gaussians is taken. Less is better. \(samples) draws were taken from every model, because fewer draws \
    alone make the distance larger. It is given to the held-out data and to the training data.
    """
  }

  static let yardstick = "Real data do not score 0 either: training data, as many as there are draws, are "

  static let shifted = """
    . The split holds out particular combinations, so the training data as a whole are differently distributed from the \
    held-out ones, and a model that draws perfectly what it was fitted to cannot come nearer to these than that. A \
    model that is told by captions what to draw can.
    """

  static let dalle = """
    DALL·E joins the two ideas at which the ladder arrives: pictures as tokens, and a model that predicts token after token. \
    Stage 1 is a tokenizer such as the VQ-VAE or the discrete VAE above. Stage 2 is a transformer that reads a caption first \
    and then continues with the picture's tokens, so that what is drawn is what the caption says. The captions below are \
    held out: the model has never seen these combinations.
    """

  static let dalleLikelihood = """
    DALL·E gives a probability to a picture's tokens given its caption, not to the pixels: between the two stands the \
    tokenizer, which loses detail, and many pictures share the same tokens. A number of bits a dimension that could stand in \
    the same column as those of the other rungs does therefore not exist. What can be said is how many nats it needs to name \
    a held-out picture's tokens.
    """
}
