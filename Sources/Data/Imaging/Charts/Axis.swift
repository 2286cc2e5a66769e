import Foundation

/// The range of an axis and its round ticks.
struct Axis {
  let low: Double
  let high: Double
  let ticks: [Double]
  /// How labels are written.
  private let format: String

  /// - Parameters:
  ///   - values: finite, of at most 10¹⁰⁰; the axis encloses them.
  ///   - areCounts: whether whole values get ticks at whole numbers only, as steps and rounds want it.
  init(_ values: [Double], areCounts: Bool = false) {
    var (low, high) = (values.min() ?? 0, values.max() ?? 1)
    // A single value gets room on both sides, and so do values that differ by rounding only.
    if high - low <= 1e-9 * max(abs(low), abs(high)) || high - low < 1e-100 {
      let margin = max(abs(low) / 2, 0.5)
      (low, high) = (low - margin, high + margin)
    }
    let rough = max((high - low) / 6, areCounts && values.allSatisfy { $0 == $0.rounded() } ? 1 : 0)
    let magnitude = pow(10, log10(rough).rounded(.down))
    let factor = [1, 2, 2.5, 5].first { rough <= $0 * magnitude * 1.0001 } ?? 10
    let step = factor * magnitude
    let (first, last) = ((low / step).rounded(.down), (high / step).rounded(.up))
    (self.low, self.high) = (first * step, last * step)
    // Multiples rather than sums, so that rounding errors do not add up.
    ticks = (0...Int(last - first)).map { (first + Double($0)) * step }
    // As many digits as ticks differ by.
    let size = max(abs(self.low), abs(self.high))
    let lastDigit = Int(log10(step * 1.0001).rounded(.down)) - (factor == 2.5 ? 1 : 0)
    format =
      size >= 1e6 || size < 1e-3
      ? "%.\(Int(log10(size * 1.0001).rounded(.down)) - lastDigit + 1)g" : "%.\(max(0, -lastDigit))f"
  }

  /// 0 at the low end, 1 at the high end.
  func position(of value: Double) -> Double { (value - low) / (high - low) }

  func label(of tick: Double) -> String {
    let label = String(format: format, tick)
    return label.hasPrefix("-") && Double(label) == 0 ? String(label.dropFirst()) : label
  }
}
