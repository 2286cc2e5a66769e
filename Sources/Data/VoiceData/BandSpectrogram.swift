import Foundation
import LinearAlgebra

/// The logarithms of the power in bands of frequency over time: the short-time Fourier transform, whose bins are summed with
/// the weights of triangular filters on the mel scale,
///
///     mel(f) = 2595·log₁₀(1 + f/700)                      (O'Shaughnessy 1987)
///     w_b(f) = max(0, 1 - |mel(f) - mel_b| / width)
///     s_tb = log(Σ_f w_b(f)·|Σ_n h_n·x_{tH+n}·e^{-2πi·f·n}|² + 10⁻⁴)
///
/// with Hann's window h of ``frameLength`` samples and a hop of H = ``hop``.
struct BandSpectrogram: Sendable {
  /// A row of filters that are evenly spaced in mel.
  struct Bank: Sendable {
    /// In hertz, where the first filter begins and the last one ends if each is as wide as the space to the next.
    var range: ClosedRange<Double>
    var count: Int
    /// From a filter's centre to where it ends, in spaces between centres.
    var width = 1.0
  }

  static let frameLength = 1024
  static let hop = 256
  private static let leastPower = 1e-4

  /// The centre of each band, in hertz.
  let frequencies: [Double]
  /// [bands, bins]
  let filters: Matrix
  /// Window times cosines and sines, [N, 2·bins].
  private let waves: Matrix

  init(_ banks: [Bank], sampleRate: Int) {
    var centres: [Double] = []
    var widths: [Double] = []
    for bank in banks {
      let (low, high) = (Self.mel(bank.range.lowerBound), Self.mel(bank.range.upperBound))
      let space = (high - low) / Double(bank.count + 1)
      for b in 1...bank.count {
        centres.append(low + Double(b) * space)
        widths.append(space * bank.width)
      }
    }
    frequencies = centres.map { 700 * (pow(10, $0 / 2595) - 1) }
    let N = Self.frameLength
    let spacing = Double(sampleRate) / Double(N)
    let highest = zip(centres, widths).map { 700 * (pow(10, ($0 + $1) / 2595) - 1) }.max() ?? 0
    let bins = min(N / 2, Int(highest / spacing)) + 1
    filters = Matrix(
      zip(centres, widths).flatMap { centre, width in
        (0..<bins).map { max(0, 1 - abs(Self.mel(Double($0) * spacing) - centre) / width) }
      }, rows: centres.count, columns: bins)
    waves = Matrix(
      (0..<N).flatMap { n in
        let window = 0.5 - 0.5 * cos(2 * .pi * Double(n) / Double(N))
        let phases = (0..<bins).map { 2 * .pi * Double(n * $0 % N) / Double(N) }
        return phases.map { window * cos($0) } + phases.map { window * sin($0) }
      }, rows: N, columns: 2 * bins)
  }

  static func mel(_ frequency: Double) -> Double { 2595 * log10(1 + frequency / 700) }

  /// s, [frames, bands]; no frames where there are fewer samples than ``frameLength``.
  func callAsFunction(_ samples: [Double]) -> Matrix {
    let N = Self.frameLength
    let starts = Array(stride(from: 0, through: samples.count - N, by: Self.hop))
    guard !starts.isEmpty else { return Matrix(rows: 0, columns: filters.rows) }
    let frames = Matrix(starts.flatMap { samples[$0..<$0 + N] }, rows: starts.count, columns: N)
    let transform = Matrix.product(frames, waves)
    let bins = filters.columns
    var power = Matrix(rows: starts.count, columns: bins)
    for t in starts.indices {
      for f in 0..<bins {
        let (re, im) = (transform[t, f], transform[t, bins + f])
        power[t, f] = re * re + im * im
      }
    }
    let bands = Matrix.product(power, filters, transposing: .right)
    return Matrix(bands.elements.map { log($0 + Self.leastPower) }, rows: bands.rows, columns: bands.columns)
  }
}
