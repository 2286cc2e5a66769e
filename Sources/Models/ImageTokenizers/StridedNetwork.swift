import NN
import TensorCore

/// The networks of the VQ-VAE paper (van den Oord et al. 2017, section 4.1): convolutions of stride 2 with 4×4 windows,
/// then residual blocks of ReLU, 3×3 convolution, ReLU, 1×1 convolution.

/// Pixels [B, S, S, 3] → code vectors [B, side, side, E].
struct StridedEncoder: PictureNetwork {
  let downsampling: [Conv2d]
  let middle: Conv2d
  let blocks: [PlainResidualBlock]
  let output: Conv2d

  init(_ c: VQVAE.Configuration, _ initializer: inout Initializer) {
    let widths = [3] + c.stridedWidths
    downsampling = zip(widths, widths.dropFirst()).map {
      Conv2d($0, $1, kernel: 4, stride: 2, padding: 1, gain: Float(2).squareRoot(), &initializer)
    }
    middle = Conv2d(c.channels, c.channels, kernel: 3, padding: 1, &initializer)
    blocks = (0..<c.blocks).map { _ in PlainResidualBlock(c.channels, &initializer) }
    output = Conv2d(c.channels, c.networkDimensions, kernel: 1, &initializer)
  }

  func features(_ pictures: Tensor, precision: ElementType) -> Tensor {
    var x = pictures.centred().cast(to: precision)
    for convolution in downsampling { x = convolution(x).applying(.relu) }
    x = middle(x)
    for block in blocks { x = block(x) }
    return x.applying(.relu)
  }

  func result(of features: Tensor) -> Tensor { output(features, as: .float32) }

  var lastLayer: [Parameter] { output.parameters() }
}

/// Code vectors [B, side, side, E] → pixels [B, S, S, 3].
struct StridedDecoder: PictureNetwork {
  let middle: Conv2d
  let blocks: [PlainResidualBlock]
  let upsampling: [ConvTransposed2d]

  init(_ c: VQVAE.Configuration, _ initializer: inout Initializer) {
    let widths = c.stridedWidths.reversed() + [3]
    middle = Conv2d(
      c.networkDimensions, c.channels, kernel: 3, padding: 1, gain: Float(c.networkDimensions).squareRoot(),
      &initializer)
    blocks = (0..<c.blocks).map { _ in PlainResidualBlock(c.channels, &initializer) }
    upsampling = zip(widths, widths.dropFirst()).map {
      ConvTransposed2d($0, $1, kernel: 4, stride: 2, padding: 1, &initializer)
    }
  }

  func features(_ codes: Tensor, precision: ElementType) -> Tensor {
    var x = middle(codes.cast(to: precision))
    for block in blocks { x = block(x) }
    for convolution in upsampling.dropLast() { x = convolution(x.applying(.relu), as: precision) }
    return x.applying(.relu)
  }

  func result(of features: Tensor) -> Tensor {
    upsampling[upsampling.count - 1](features, as: .float32).uncentred()
  }

  var lastLayer: [Parameter] { upsampling[upsampling.count - 1].parameters() }
}

/// x + conv1×1(relu(conv3×3(relu(x)))), all in x's type.
struct PlainResidualBlock: Module, Sendable {
  let convolution1: Conv2d
  let convolution2: Conv2d

  init(_ channels: Int, _ initializer: inout Initializer) {
    convolution1 = Conv2d(channels, channels, kernel: 3, padding: 1, gain: Float(2).squareRoot(), &initializer)
    convolution2 = Conv2d(channels, channels, kernel: 1, gain: 0.3, &initializer)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    x + convolution2(convolution1(x.applying(.relu)).applying(.relu))
  }
}

extension VQVAE.Configuration {
  /// Channels after each halving: doubling up to the full width.
  fileprivate var stridedWidths: [Int] { (0..<halvings).map { max(1, channels >> (halvings - 1 - $0)) } }
}
