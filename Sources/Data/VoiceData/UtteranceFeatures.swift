import Foundation
import LinearAlgebra

/// What a row of ``VoiceDataSet`` says of an utterance, from its sound alone: three spectra over time, of any length.
///
/// - The mean of the log-mel spectrum over loud frames, 40 bands from 100 to 8000 Hz: the vowels average out, and what stays is
///   the throat that all of them went through.
/// - The same of 16 wider bands from 20 to 220 Hz, where the fundamental of a low voice lies. Its hump is wider than the
///   step between bands, so that the logarithms rise and fall nearly in proportion to where it is.
/// - Of each mel band by how much more the logarithm changes over 186 ms, longer than a sound of speech lasts, than over 23 ms,
///   log(D₂/D₁₆) with D_k = E_t[(s_{t+k} - s_t)²]: the faster the speech, the smaller the difference. How loud and how
///   lively a voice is multiplies both alike, and stays out.
struct UtteranceFeatures: Sendable {
  private static let lowBands = 16
  private static let melBands = 40
  /// The frames that changes are taken over.
  private static let (shortStep, longStep) = (2, 16)
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
    return Array(mel + low + mel)
  }

  /// Nil where the sound is too short or silent.
  func callAsFunction(_ samples: [Double]) -> [Double]? {
    let s = spectrogram(samples)
    let (low, bands) = (Self.lowBands, s.columns)
    let levels = (0..<s.rows).map { t in s.row(t).dropFirst(low).reduce(0, +) / Double(Self.melBands) }
    guard let loudest = levels.max(), let first = levels.firstIndex(where: { $0 > loudest - Self.silence }),
      let last = levels.lastIndex(where: { $0 > loudest - Self.silence }), last - first > Self.longStep,
      loudest > log(1e-3)
    else { return nil }
    let loud = (first...last).filter { levels[$0] > loudest - Self.loudness }
    var means = [Double](repeating: 0, count: bands)
    for t in loud { for b in 0..<bands { means[b] += s[t, b] / Double(loud.count) } }
    func change(_ band: Int, over step: Int) -> Double {
      let starts = first...last - step
      let sum = starts.reduce(0) { $0 + pow(s[$1 + step, band] - s[$1, band], 2) }
      return log(sum / Double(starts.count) + 1e-6)
    }
    let changes = (low..<bands).map { change($0, over: Self.shortStep) - change($0, over: Self.longStep) }
    return means[low...] + means[..<low] + changes
  }
}
