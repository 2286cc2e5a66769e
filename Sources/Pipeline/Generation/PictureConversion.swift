import Foundation
import Imaging
import TensorCore

extension Tensor {
  /// Pictures of one size as [B, S, S, 3] in [0, 1].
  package init(_ pictures: [Picture]) {
    self.init(pictureBytes: pictures.flatMap(\.pixels), side: pictures[0].width)
  }

  /// B·S·S·3 bytes as [B, S, S, 3] in [0, 1].
  package init(pictureBytes bytes: [UInt8], side: Int) {
    self.init(bytes: bytes, shape: [bytes.count / (side * side * 3), side, side, 3], scale: 1 / 255, offset: 0)
  }

  /// [B, S, S, 3] in [0, 1], clamped, as pictures.
  package func pictures() -> [Picture] {
    let (height, width) = (shape[1], shape[2])
    let values = scalars
    let size = height * width * 3
    return (0..<shape[0]).map { b in
      Picture(
        width: width, height: height,
        pixels: values[b * size..<(b + 1) * size].map { UInt8((min(1, max(0, $0)) * 255).rounded()) })
    }
  }
}

/// Peak signal-to-noise ratio of pixels in [0, 1], in decibels.
package func psnrInDecibels(meanSquaredError: Double) -> Double { -10 * log10(max(meanSquaredError, 1e-12)) }
