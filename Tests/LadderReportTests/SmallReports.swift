import Imaging
import Ladder
import LatentModels

@testable import LadderReport

func row(_ rung: Rung, _ bits: Double, training: Double? = nil, _ kind: LikelihoodKind = .exact) -> RungReport {
  var row = RungReport(rung)
  (row.likelihood, row.bitsPerDimension, row.trainingBitsPerDimension) = (kind, bits, training ?? bits)
  (row.meanLogLikelihood, row.frechetDistance, row.parameters, row.seconds) = (-bits, 1.5, 1234, 2)
  row.samples = [Picture(width: 8, height: 8, color: .black)]
  row.reconstructions = row.samples
  return row
}

func report(_ rows: [RungReport], name: String = "squares") -> LadderReport {
  var report = LadderReport(
    data: name, trainingRows: 10, heldOutRows: 3, dimensions: 192, pictureSize: 8, frechetComponents: 9,
    frechetSamples: 16, frechetDistanceOfTrainingRows: 0.5,
    trainingFrechetDistanceOfTrainingRows: 0.1, models: rows)
  report.originals = [Picture(width: 8, height: 8, color: .white)]
  return report
}
