extension Picture {
  /// How a picture that is not square becomes one.
  public enum Fit: String, Sendable, CaseIterable, Codable {
    /// The whole picture, centred on white.
    case pad
    /// The largest centred square of the picture.
    case crop
  }

  /// The picture in another size: by exact area averaging (each source pixel weighted by how much of it is covered)
  /// along an axis that shrinks, and bilinear along one that grows.
  /// - Precondition: `width` and `height` are positive.
  public func resized(width newWidth: Int, height newHeight: Int) -> Picture {
    precondition(newWidth > 0 && newHeight > 0, "a picture has at least one pixel")
    if newWidth == width && newHeight == height { return self }
    let columns = ResamplingAxis(from: width, to: newWidth)
    let rows = ResamplingAxis(from: height, to: newHeight)
    let rowCount = 3 * width
    var blended = [Float](repeating: 0, count: rowCount)
    let newPixels = [UInt8](unsafeUninitializedCapacity: 3 * newWidth * newHeight) { target, initialized in
      pixels.withUnsafeBufferPointer { source in
        blended.withUnsafeMutableBufferPointer { line in
          for y in 0..<newHeight {
            // One blended source row first: it runs along memory, so that it vectorises.
            rows.forEachTap(of: y) { row, weight, isFirst in
              let from = source.baseAddress! + row * rowCount
              if isFirst {
                for i in 0..<rowCount { line[i] = weight * Float(from[i]) }
              } else {
                for i in 0..<rowCount { line[i] += weight * Float(from[i]) }
              }
            }
            for x in 0..<newWidth {
              var red: Float = 0.5
              var green: Float = 0.5
              var blue: Float = 0.5
              columns.forEachTap(of: x) { column, weight, _ in
                red += weight * line[3 * column]
                green += weight * line[3 * column + 1]
                blue += weight * line[3 * column + 2]
              }
              let i = 3 * (y * newWidth + x)
              target[i] = UInt8(min(red, 255))
              target[i + 1] = UInt8(min(green, 255))
              target[i + 2] = UInt8(min(blue, 255))
            }
          }
        }
      }
      initialized = 3 * newWidth * newHeight
    }
    return Picture(width: newWidth, height: newHeight, pixels: newPixels)
  }

  /// The picture as a square of `side` pixels.
  /// - Precondition: `side` is positive.
  public func squared(side: Int, fit: Fit) -> Picture {
    switch fit {
    case .crop:
      let edge = min(width, height)
      return cropped(x: (width - edge) / 2, y: (height - edge) / 2, width: edge, height: edge)
        .resized(width: side, height: side)
    case .pad:
      let edge = max(width, height)
      let inner = resized(
        width: max(1, (2 * width * side + edge) / (2 * edge)), height: max(1, (2 * height * side + edge) / (2 * edge)))
      if inner.width == side && inner.height == side { return inner }
      var square = Picture(width: side, height: side, color: .white)
      square.paste(inner, x: (side - inner.width) / 2, y: (side - inner.height) / 2)
      return square
    }
  }

  /// The part of the picture whose top left corner is (`x`, `y`).
  /// - Precondition: the part lies inside the picture and is not empty.
  public func cropped(x: Int, y: Int, width newWidth: Int, height newHeight: Int) -> Picture {
    precondition(x >= 0 && y >= 0 && x + newWidth <= width && y + newHeight <= height, "the part lies inside")
    if newWidth == width && newHeight == height { return self }
    var part: [UInt8] = []
    part.reserveCapacity(3 * newWidth * newHeight)
    for row in y..<(y + newHeight) {
      let start = 3 * (row * width + x)
      part += pixels[start..<(start + 3 * newWidth)]
    }
    return Picture(width: newWidth, height: newHeight, pixels: part)
  }

  /// Draws `other` with its top left corner at (`x`, `y`).
  /// - Precondition: `other` lies inside the picture.
  public mutating func paste(_ other: Picture, x: Int, y: Int) {
    precondition(x >= 0 && y >= 0 && x + other.width <= width && y + other.height <= height, "the part lies inside")
    for row in 0..<other.height {
      let start = 3 * ((y + row) * width + x)
      let from = 3 * row * other.width
      pixels.replaceSubrange(
        start..<(start + 3 * other.width), with: other.pixels[from..<(from + 3 * other.width)])
    }
  }

  /// Each pixel as a square of `factor` × `factor` pixels.
  /// - Precondition: `factor` is positive.
  public func enlarged(by factor: Int) -> Picture {
    precondition(factor > 0, "a picture has at least one pixel")
    if factor == 1 { return self }
    var large: [UInt8] = []
    large.reserveCapacity(3 * width * height * factor * factor)
    for y in 0..<height {
      let start = large.count
      for x in 0..<width {
        let pixel = pixels[(3 * (y * width + x))..<(3 * (y * width + x) + 3)]
        for _ in 0..<factor { large += pixel }
      }
      // A copy, because a slice would share storage with what grows and make each append copy all of it.
      let row = Array(large[start...])
      for _ in 1..<factor { large += row }
    }
    return Picture(width: width * factor, height: height * factor, pixels: large)
  }

  /// The pictures in rows of `columns`, each centred in a cell as large as the largest of them.
  ///
  /// No pictures give one pixel of background.
  /// - Precondition: `columns` is positive and `spacing` (pixels between the cells) not negative.
  public static func grid(
    _ pictures: [Picture], columns: Int, spacing: Int = 2, background: Color = .white
  ) -> Picture {
    precondition(columns > 0 && spacing >= 0, "a grid has at least one column")
    let columns = min(columns, max(1, pictures.count))
    let rows = (pictures.count + columns - 1) / columns
    guard rows > 0 else { return Picture(width: 1, height: 1, color: background) }
    let cellWidth = pictures.map(\.width).max() ?? 1
    let cellHeight = pictures.map(\.height).max() ?? 1
    var sheet = Picture(
      width: columns * (cellWidth + spacing) - spacing, height: rows * (cellHeight + spacing) - spacing,
      color: background)
    for (i, picture) in pictures.enumerated() {
      sheet.paste(
        picture, x: i % columns * (cellWidth + spacing) + (cellWidth - picture.width) / 2,
        y: i / columns * (cellHeight + spacing) + (cellHeight - picture.height) / 2)
    }
    return sheet
  }
}

/// Which source samples make up each sample of a resized line, and in which proportion.
package struct ResamplingAxis {
  /// The taps of output `i` are `offsets[i]..<offsets[i + 1]`.
  private var offsets = [0]
  /// The source sample of the first tap of each output; the others follow it.
  private var starts: [Int] = []
  /// For each output these sum to 1.
  private var weights: [Float] = []

  package init(from sourceCount: Int, to targetCount: Int) {
    for i in 0..<targetCount {
      if targetCount <= sourceCount {
        // In units of 1/targetCount of a source sample, so that the coverage is exact: output i covers
        // i·sourceCount ..< (i+1)·sourceCount, source sample j covers j·targetCount ..< (j+1)·targetCount.
        let low = i * sourceCount
        let high = low + sourceCount
        let first = low / targetCount
        let last = (high - 1) / targetCount
        starts.append(first)
        for j in first...last {
          let covered = min(high, (j + 1) * targetCount) - max(low, j * targetCount)
          weights.append(Float(covered) / Float(sourceCount))
        }
      } else {
        // Centres of samples are at half-integers; the border repeats.
        let position = (Double(i) + 0.5) * Double(sourceCount) / Double(targetCount) - 0.5
        let clamped = min(max(position, 0), Double(sourceCount - 1))
        let first = min(Int(clamped), max(sourceCount - 2, 0))
        starts.append(first)
        let fraction = Float(clamped - Double(first))
        weights.append(1 - fraction)
        if sourceCount > 1 { weights.append(fraction) }
      }
      offsets.append(weights.count)
    }
  }

  /// Calls `body` with the source sample, its weight, and whether it is the first one of output `i`.
  @inline(__always)
  package func forEachTap(of i: Int, _ body: (_ source: Int, _ weight: Float, _ isFirst: Bool) -> Void) {
    let first = offsets[i]
    for tap in first..<offsets[i + 1] { body(starts[i] + tap - first, weights[tap], tap == first) }
  }
}
