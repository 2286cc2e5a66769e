import Basics
import LatentModels
import LinearAlgebra

/// What the rungs share that are learnt by gradients.
package enum GradientRung {
  /// Trains `model` in place.
  package static func train<Model: GradientTrainedModel>(
    _ model: Model, _ x: Matrix, _ options: LadderOptions, arePictures: Bool, what: String
  ) throws(PipelineError) -> [(seconds: Double, loss: Double)] {
    var fit = GradientFit(options.chosenBound)
    // In minutes, many small and bold steps over a few thousand pictures bring more than few large ones.
    let batchSize = options.batchSize ?? (arePictures ? 16 : 64)
    (fit.batchSize, fit.seed, fit.threads, fit.precision) = (
      batchSize, options.seed, options.threads, options.precision
    )
    if arePictures { fit.learningRate = 3e-3 }
    (fit.dequantizes, fit.points) = (arePictures, 50)
    var reported = 0
    let curve = try fit(model, rows: x) { _ in
      reported += 1
      options.progress("fitting \(what)", Double(reported) / 50)
    }
    return curve.map { ($0.seconds, $0.loss) }
  }
}

/// The networks and the code of a model that has one code for a row.
struct CodeShape {
  let network: RowNetworkKind
  let width = 128
  let latentDimensions: Int
  /// Pixels a side of the patches that make a picture a grid: at most 4, and a part of it. Nil for a matrix.
  let patchSize: Int?

  init(_ x: Matrix, _ options: LadderOptions, arePictures: Bool) {
    network = arePictures ? .picture : .dense
    latentDimensions = options.latentDimensions ?? (arePictures ? 64 : max(1, min(8, x.columns / 2)))
    let side = Int((Double(x.columns) / 3).squareRoot().rounded())
    patchSize = arePictures ? [4, 3, 2].first { side % $0 == 0 } ?? 1 : nil
  }
}
