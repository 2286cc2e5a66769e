import Foundation
import LinearAlgebra

/// What a row of ``VoiceDataSet`` says of an utterance, from its sound alone: three spectra over time, of any length.
///
/// - The mean of the log-mel spectrum over loud frames, 40 bands from 100 to 8000 Hz: the vowels average out, and what stays is
///   the throat that all of them went through.
/// - The same of 16 wider bands from 20 to 220 Hz, where the fundamental of a low voice lies. Its hump is wider than the
///   step between bands, so that the logarithms rise and fall nearly in proportion to where it is.
/// - Of 20 pairs of mel bands, the logarithm of the mean square of the change from a frame to the next, 12 ms later: the faster the
///   speech, the more of it.
struct UtteranceFeatures: Sendable {
  private static let lowBands = 16
  private static let melBands = 40
  /// A frame counts as loud, or as part of the utterance, down to so much below the loudest one, in nats of power.
  private static let (loudness, silence) = (6.0, 9.0)

  let spectrogram: BandSpectrogram

  init(sampleRate: Int) {
    spectrogram = BandSpectrogram(
      [
        .init(range: 20...220, count: Self.lowBands, width: 3), .init(range: 100...8000, count: Self.melBands),
      ], sampleRate: sampleRate)
  }

  /// The frequency that each number is of, in hertz.
  var frequencies: [Double] {
    let (low, mel) = (spectrogram.frequencies.prefix(Self.lowBands), spectrogram.frequencies.dropFirst(Self.lowBands))
    let pairs = stride(from: mel.startIndex, to: mel.endIndex, by: 2).map { (mel[$0] + mel[$0 + 1]) / 2 }
    return mel + low + pairs
  }

  /// Nil where the sound is too short or silent.
  func callAsFunction(_ samples: [Double]) -> [Double]? {
    let s = spectrogram(samples)
    let (low, bands) = (Self.lowBands, s.columns)
    let levels = (0..<s.rows).map { t in s.row(t).dropFirst(low).reduce(0, +) / Double(Self.melBands) }
    guard let loudest = levels.max(), let first = levels.firstIndex(where: { $0 > loudest - Self.silence }),
      let last = levels.lastIndex(where: { $0 > loudest - Self.silence }), last > first,
      loudest > log(1e-3)
    else { return nil }
    let loud = (first...last).filter { levels[$0] > loudest - Self.loudness }
    var means = [Double](repeating: 0, count: bands)
    for t in loud { for b in 0..<bands { means[b] += s[t, b] / Double(loud.count) } }
    let changes = stride(from: low, to: bands, by: 2).map { b in
      var sum = 0.0
      for t in first..<last {
        for band in [b, b + 1] {
          let change = s[t + 1, band] - s[t, band]
          sum += change * change
        }
      }
      return log(sum / Double(2 * (last - first)) + 1e-6)
    }
    return means[low...] + means[..<low] + changes
  }
}
