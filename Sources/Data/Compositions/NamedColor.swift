import Imaging

/// The colors that things are given, by their English names.
public enum NamedColor: String, Sendable, Codable, CaseIterable {
  case red, orange, yellow, green, turquoise, blue, purple, pink, brown, black, grey, white

  /// What a surface of this color looks like in plain light, 0...1.
  var components: SIMD3<Float> {
    switch self {
    case .red: SIMD3(0.86, 0.12, 0.12)
    case .orange: SIMD3(0.97, 0.52, 0.08)
    case .yellow: SIMD3(0.99, 0.84, 0.14)
    case .green: SIMD3(0.22, 0.66, 0.26)
    case .turquoise: SIMD3(0.16, 0.78, 0.76)
    case .blue: SIMD3(0.16, 0.4, 0.88)
    case .purple: SIMD3(0.53, 0.22, 0.72)
    case .pink: SIMD3(0.97, 0.53, 0.72)
    case .brown: SIMD3(0.5, 0.31, 0.17)
    case .black: SIMD3(0.13, 0.13, 0.14)
    case .grey: SIMD3(0.56, 0.57, 0.59)
    case .white: SIMD3(0.95, 0.95, 0.96)
    }
  }

  /// The name that a person would give a color.
  /// - Parameter color: red, green and blue, 0...1.
  init(naming color: SIMD3<Float>) {
    let value = color.max()
    let spread = value - color.min()
    let saturation = value > 0 ? spread / value : 0
    if value < 0.2 {
      self = .black
      return
    }
    if saturation < 0.16 {
      self = value > 0.86 ? .white : value < 0.3 ? .black : .grey
      return
    }
    // In sixths of the circle, from red by green to blue.
    let hue: Float =
      switch value {
      case color.x: (color.y - color.z) / spread
      case color.y: 2 + (color.z - color.x) / spread
      default: 4 + (color.x - color.y) / spread
      }
    switch hue {
    case ..<(-1.25): self = .purple
    case ..<(-0.35): self = .pink
    case ..<0.25: self = saturation < 0.5 && value > 0.75 ? .pink : value < 0.45 ? .brown : .red
    case ..<0.72: self = value < 0.72 ? .brown : .orange
    case ..<1.15: self = value < 0.5 ? .brown : .yellow
    case ..<2.65: self = .green
    case ..<3.25: self = .turquoise
    case ..<4.25: self = .blue
    case ..<4.9: self = .purple
    default: self = .pink
    }
  }

  /// A thing in this color: its shading, its eyes and its highlights stay.
  ///
  /// What most of the thing looks like gets the color itself; what is darker goes on to black, and what is brighter to white.
  func given(to layer: Layer) -> Layer {
    var lumas: [Float] = []
    // Where it is covered most: all of it may be translucent, or a thin line.
    let most = layer.pixels.reduce(0) { max($0, $1.w) }
    for i in layer.pixels.indices where layer.pixels[i].w > 0.9 * most { lumas.append(layer.color(at: i).luma) }
    lumas.sort()
    guard !lumas.isEmpty else { return layer }
    // A little above the middle.
    let usual = lumas[lumas.count * 6 / 10]
    // Not so low that nearly all of a black thing becomes white. Such a thing is lifted to it, or it would stay black in any color.
    let plain = max(usual, 0.22)
    let lift = plain - usual
    let base = components
    let highlight: Float = self == .black ? 0.65 : 0.9
    // White on white is told by its outline and its shadows.
    let outline = self == .white ? Lines(of: layer, width: 0.6).strength : nil
    return layer.recolored { i, old in
      let luma = old.luma + lift
      let relative = luma / plain
      let line = outline.map { 1 - 0.4 * $0[i] } ?? 1
      guard relative > 1 else { return base * (relative * (1.55 - 0.55 * relative) * line) }
      // The share of the way from the plain brightness to white. What is a little brighter still is of that color.
      let share = min((luma - plain) / max(1 - plain, 0.3), 1)
      return (base + (SIMD3(repeating: 1) - base) * (highlight * share * (0.35 + 0.65 * share))) * line
    }
  }
}
