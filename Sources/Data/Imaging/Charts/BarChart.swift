/// Horizontal bars from 0 on, one below the other, each with its name and its value.
package struct BarChart: Sendable {
  package struct Bar: Sendable {
    var name: String
    /// Not negative.
    var value: Double
    var label: String

    package init(name: String, value: Double, label: String) {
      (self.name, self.value, self.label) = (name, value, label)
    }
  }

  private let title: String
  private let bars: [Bar]

  package init(title: String, bars: [Bar]) { (self.title, self.bars) = (title, bars) }

  package func drawing() -> SVG {
    let (left, right, step) = (250.0, 680.0, 30.0)
    let largest = max(bars.map(\.value).max() ?? 0, 1e-12)
    var svg = SVG(width: 760, height: SVG.titleHeight + Double(bars.count) * step + 8, title: title)
    for (i, bar) in bars.enumerated() {
      let y = SVG.titleHeight + Double(i) * step
      let length = max(1, bar.value / largest * (right - left))
      svg.text(bar.name, x: left - 10, y: y + 16, anchor: .end)
      svg.rectangle(x: left, y: y, width: length, height: 22, color: SVG.colors[0])
      svg.text(bar.label, x: left + length + 8, y: y + 16)
    }
    return svg
  }
}
