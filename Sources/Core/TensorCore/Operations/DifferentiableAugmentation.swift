import Basics
import CKernels

/// What a discriminator sees a picture through, so that few pictures last long: real and made ones alike are changed in
/// color, moved and cut, and the gradient goes back through all of it (Zhao et al. 2020, "Differentiable augmentation for
/// data-efficient GAN training", section 3). Moved and cut as there, but colors change a fifth as much and less: a discriminator
/// of reconstructions, which have the right colors anyway, learns nothing through more in thousands of steps.
public struct DifferentiableAugmentation: Sendable {
  /// Added to all pixels.
  public var brightness: Float = 0
  /// The factor on a pixel's distance from its grey.
  public var saturation: Float = 1
  /// The factor on the distance from the picture's mean.
  public var contrast: Float = 1
  /// Rows down and columns to the right, with grey where nothing comes from.
  public var shift = (down: 0, right: 0)
  /// What is made grey.
  public var cut = (rows: 0..<0, columns: 0..<0)

  public init() {}

  /// A random one.
  /// - Parameters:
  ///   - side: of the pictures, in pixels.
  ///   - random: is drawn from.
  public init(side: Int, using random: inout Philox) {
    brightness = (random.uniform() - 0.5) * 0.1
    saturation = 0.8 + 0.4 * random.uniform()
    contrast = 0.9 + 0.2 * random.uniform()
    let reach = (side + 4) / 8
    shift = (random.index(below: 2 * reach + 1) - reach, random.index(below: 2 * reach + 1) - reach)
    let half = (side + 1) / 2
    // The square's centre is anywhere; what lies outside is not cut.
    func range() -> Range<Int> {
      let start = random.index(below: side + (1 - half % 2)) - half / 2
      return max(0, start)..<min(side, start + half)
    }
    cut = (range(), range())
  }

  /// One picture of H rows of W pixels of three channels.
  fileprivate func apply(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ H: Int, _ W: Int) {
    // Brightness, then saturation, then contrast; each keeps a mean that the next one needs, so that all are one map.
    let recolored = Tensor(uninitialized: [H, W, 3])
    recolor(x, recolored.floats, H * W, offset: brightness)
    ck_shift_picture(recolored.floats, y, H, W, 3, shift.down, shift.right)
    ck_cut_out(y, W, 3, cut.rows.lowerBound, cut.columns.lowerBound, cut.rows.count, cut.columns.count)
  }

  private func recolor(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ pixels: Int, offset: Float) {
    ck_recolor(x, y, pixels, contrast * saturation, contrast * (1 - saturation), 1 - contrast, offset)
  }

  /// The transpose of ``apply(_:_:_:_:)``, without what is added: `gradient` becomes dx.
  fileprivate func applyTransposed(
    _ gradient: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>, _ H: Int, _ W: Int
  ) {
    let (kept, moved) = (Tensor(uninitialized: [H, W, 3]), Tensor(uninitialized: [H, W, 3]))
    kept.floats.update(from: gradient, count: H * W * 3)
    ck_cut_out(kept.floats, W, 3, cut.rows.lowerBound, cut.columns.lowerBound, cut.rows.count, cut.columns.count)
    ck_shift_picture(kept.floats, moved.floats, H, W, 3, -shift.down, -shift.right)
    recolor(moved.floats, dx, H * W, offset: 0)
  }
}

extension Tensor {
  /// Pictures [B, H, W, 3] with grey at 0, float32, each changed in its own way.
  public func augmented(_ augmentations: [DifferentiableAugmentation]) -> Tensor {
    let (B, H, W) = (shape[0], shape[1], shape[2])
    precondition(shape.count == 4 && shape[3] == 3 && B == augmentations.count && type == .float32)
    let size = H * W * 3
    let y = Tensor(uninitialized: shape)
    for (b, augmentation) in augmentations.enumerated() {
      augmentation.apply(floats + b * size, y.floats + b * size, H, W)
    }
    let (x, shape) = (variable, shape)
    return Tape.record(y, from: x) { gradient in
      let dx = Tensor(uninitialized: shape)
      let dy = gradient.converted(to: .float32)
      for (b, augmentation) in augmentations.enumerated() {
        augmentation.applyTransposed(dy.floats + b * size, dx.floats + b * size, H, W)
      }
      x?.add(dx)
    }
  }
}
