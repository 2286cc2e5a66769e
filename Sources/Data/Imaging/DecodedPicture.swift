import Basics
import Foundation

/// How large a picture is needed, and how large it may be.
struct DecodingLimits: Sendable {
  /// What neither side of the picture may fall below when it is decoded scaled down, which takes less time and memory; nil decodes
  /// it whole.
  var least: Int?
  /// Pixels.
  var most: Int
}

/// The pixels of a file as they stand in it, and what it says of them.
struct DecodedPicture {
  /// Columns and rows, before the picture is turned upright.
  let width: Int
  let height: Int
  /// Row-major, in ``layout``.
  let samples: [UInt8]
  let layout: SampleLayout
  /// Nil for sRGB, and for CMYK that is not said to be any press's.
  var encoding: ColorEncoding?
  var orientation = Orientation.upright

  /// Decodes a file of any format that is read.
  /// - Throws: `PipelineError` of kind `.badData`.
  init(_ bytes: some ContiguousBytes, _ limits: DecodingLimits, name: String) throws(PipelineError) {
    // `withUnsafeBytes` does not carry typed throws.
    let result: Result<DecodedPicture, PipelineError> = bytes.withUnsafeBytes { buffer in
      let bytes = buffer.bindMemory(to: UInt8.self)
      do throws(PipelineError) {
        guard !bytes.isEmpty else { throw PipelineError(.badData, "\(name): the file is empty") }
        guard let format = PictureFormat(of: buffer) else {
          throw PipelineError(.badData, "\(name): \(PictureFormat.refusal(ofUnknown: bytes))")
        }
        guard let decode = format.decode else { throw PipelineError(.badData, "\(name): \(format.refusal)") }
        return .success(try decode(bytes, limits, name))
      } catch {
        return .failure(error)
      }
    }
    self = try result.get()
  }

  init(width: Int, height: Int, samples: [UInt8], layout: SampleLayout) {
    self.width = width
    self.height = height
    self.samples = samples
    self.layout = layout
  }

  /// The picture in sRGB, upright, on white ground.
  func picture() -> Picture {
    let flat =
      layout.hasAlpha ? TransparentPicture(width: width, height: height, pixels: colors()).overWhite().pixels : colors()
    let (width, height) = uprightSize
    return Picture(width: width, height: height, pixels: upright(flat, channelCount: 3))
  }

  /// The picture in sRGB, upright.
  func transparentPicture() -> TransparentPicture {
    guard layout.hasAlpha else { return TransparentPicture(picture()) }
    let (width, height) = uprightSize
    return TransparentPicture(width: width, height: height, pixels: upright(colors(), channelCount: 4))
  }

  private var uprightSize: (width: Int, height: Int) { orientation.swapsSides ? (height, width) : (width, height) }

  private func upright(_ pixels: [UInt8], channelCount: Int) -> [UInt8] {
    orientation.upright(pixels, width: width, height: height, channelCount: channelCount)
  }

  /// 8-bit sRGB, with opacity where the layout has it.
  private func colors() -> [UInt8] {
    let count = width * height
    let conversion = encoding.flatMap { ColorConversion.conversion(of: $0, layout: layout) }
    if layout.bytesPerSample == 1, layout.colors == .rgb || layout.colors == .grey {
      guard let conversion else { return samples }
      var converted = samples
      converted.withUnsafeMutableBytes { conversion.convert($0.baseAddress!, to: $0.baseAddress!, count: count) }
      return converted
    }
    let channelCount = layout.hasAlpha ? 4 : 3
    return [UInt8](unsafeUninitializedCapacity: channelCount * count) { target, initialized in
      samples.withUnsafeBytes { source in
        if let conversion {
          conversion.convert(source.baseAddress!, to: target.baseAddress!, count: count)
          if layout.hasAlpha {
            let wide = source.assumingMemoryBound(to: UInt16.self)
            for i in 0..<count { target[4 * i + 3] = UInt8((Int(wide[4 * i + 3]) + 128) / 257) }
          }
        } else if layout.bytesPerSample == 2 {
          let wide = source.assumingMemoryBound(to: UInt16.self)
          for i in 0..<(channelCount * count) { target[i] = UInt8((Int(wide[i]) + 128) / 257) }
        } else {
          Self.lightThroughInk(source, isInverted: layout.colors == .cmyk(isInverted: true), to: target, count: count)
        }
      }
      initialized = channelCount * count
    }
  }

  /// Light that ink lets through: with C, M, Y, K as full light = 255, R = C·K/255.
  private static func lightThroughInk(
    _ samples: UnsafeRawBufferPointer, isInverted: Bool, to pixels: UnsafeMutableBufferPointer<UInt8>, count: Int
  ) {
    let flip: UInt8 = isInverted ? 0 : 255
    for i in 0..<count {
      let key = Int(samples[4 * i + 3] ^ flip)
      for channel in 0..<3 { pixels[3 * i + channel] = UInt8((Int(samples[4 * i + channel] ^ flip) * key + 127) / 255) }
    }
  }
}
