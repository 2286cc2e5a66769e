import CLittleCMS
import Synchronization

/// What the numbers of a picture mean where it is not sRGB.
///
/// A structure, because LeakSanitizer sees no pointer in the cases of an enumeration, and takes profiles that are kept for lost.
struct ColorEncoding: Hashable {
  /// An ICC profile, which says all; nil where the others do.
  private(set) var profile: [UInt8]?
  private(set) var lights = Chromaticities.bt709
  /// The power of a number that its light is; sRGB's curve where it is nil.
  private(set) var gamma: Double?

  static func profile(_ bytes: [UInt8]) -> ColorEncoding { ColorEncoding(profile: bytes) }

  static func lights(_ lights: Chromaticities, gamma: Double?) -> ColorEncoding {
    ColorEncoding(lights: lights, gamma: gamma)
  }

  private init(profile: [UInt8]? = nil, lights: Chromaticities = .bt709, gamma: Double? = nil) {
    self.profile = profile
    self.lights = lights
    self.gamma = gamma
  }

  /// Profiles differ in their heads, as a rule, and the largest ones are long.
  func hash(into hasher: inout Hasher) {
    hasher.combine(profile?.count)
    if let profile { hasher.combine(profile.prefix(256)) }
    hasher.combine(lights)
    hasher.combine(gamma)
  }

  /// x and y of white and of the three lights, in the diagram of CIE 1931.
  struct Chromaticities: Hashable {
    var white: [Double]
    var red: [Double]
    var green: [Double]
    var blue: [Double]

    /// By as much as digits are left out in files.
    func isClose(to other: Chromaticities) -> Bool {
      zip(white + red + green + blue, other.white + other.red + other.green + other.blue).allSatisfy {
        abs($0 - $1) < 0.001
      }
    }

    /// ITU-R BT.709's, which are sRGB's.
    static let bt709 = Chromaticities(
      white: [0.3127, 0.3290], red: [0.640, 0.330], green: [0.300, 0.600], blue: [0.150, 0.060])
    static let bt2020 = Chromaticities(
      white: [0.3127, 0.3290], red: [0.708, 0.292], green: [0.170, 0.797], blue: [0.131, 0.046])
    /// SMPTE EG 432-1, also called Display P3.
    static let displayP3 = Chromaticities(
      white: [0.3127, 0.3290], red: [0.680, 0.320], green: [0.265, 0.690], blue: [0.150, 0.060])
  }

  /// The encoding that a PNG's cICP chunk names (ITU-T H.273), sRGB's included; nil for what is not known, and for what is
  /// meant for brighter screens than sRGB's.
  init?(codePoints: [UInt8]) {
    guard codePoints.count == 4, codePoints[2] == 0, codePoints[3] == 1 else { return nil }
    guard let lights = [1: Chromaticities.bt709, 9: .bt2020, 12: .displayP3][codePoints[0]] else { return nil }
    switch codePoints[1] {
    case 4: self = .lights(lights, gamma: 2.2)
    case 5: self = .lights(lights, gamma: 2.8)
    case 8: self = .lights(lights, gamma: 1)
    // BT.709's curve is a camera's; screens show both alike.
    case 1, 6, 13, 14, 15: self = .lights(lights, gamma: nil)
    default: return nil
    }
  }
}

/// How the numbers of a pixel follow each other.
struct SampleLayout: Hashable {
  enum Colors: Hashable {
    case rgb
    /// Red, green and blue, which are the same everywhere: a picture that has grey alone.
    case grey
    /// The largest number is full ink, or no ink where it is inverted.
    case cmyk(isInverted: Bool)
  }

  var colors: Colors
  /// Whether an opacity follows, which is no color.
  var hasAlpha = false
  /// 2 for 16-bit numbers in the machine's order.
  var bytesPerSample = 1

  var channelCount: Int { colors != .rgb && colors != .grey || hasAlpha ? 4 : 3 }
}

/// Brings pixels to sRGB, by Little CMS.
final class ColorConversion: @unchecked Sendable {
  // Little CMS: threads may share a transform that has no cache.
  private let transform: cmsHTRANSFORM

  private init(_ transform: cmsHTRANSFORM) { self.transform = transform }

  deinit { cmsDeleteTransform(transform) }

  private struct Key: Hashable {
    let encoding: ColorEncoding
    let layout: SampleLayout
  }

  /// To make one takes milliseconds, and the pictures of a data set share a few profiles.
  private static let known = Mutex<[Key: ColorConversion?]>([:])
  private static let maximumKnownCount = 16
  /// Profiles of presses, the largest ones, have up to 4 MB.
  private static let maximumProfileByteCount = 8 << 20

  /// The conversion of pixels of `encoding`; nil where it would change nothing, and where a profile is damaged or not one of
  /// pixels in this layout, which programs that show pictures pass over.
  static func conversion(of encoding: ColorEncoding, layout: SampleLayout) -> ColorConversion? {
    if let profile = encoding.profile, profile.count > maximumProfileByteCount { return nil }
    let key = Key(encoding: encoding, layout: layout)
    return known.withLock { known in
      if let conversion = known[key] { return conversion }
      if known.count >= maximumKnownCount { known = [:] }
      let conversion = make(encoding, layout)
      known[key] = .some(conversion)
      return conversion
    }
  }

  /// Converts `count` pixels to 8-bit RGB, with an untouched byte for the opacity if `source` has one. Both may be the same
  /// memory where a pixel takes the same number of bytes.
  func convert(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
    // Little CMS counts pixels in 32 bits, and a picture has no more.
    cmsDoTransform(transform, source, target, cmsUInt32Number(count))
  }

  // Little CMS: a context may be shared. It is used by one thread at a time, the one that has locked what is known.
  private nonisolated(unsafe) static let context = dalle_cms_make_context()

  private static func make(_ encoding: ColorEncoding, _ layout: SampleLayout) -> ColorConversion? {
    guard let context, let profile = openProfile(encoding), let sRGB = cmsCreate_sRGBProfileTHR(context) else {
      return nil
    }
    defer {
      cmsCloseProfile(profile)
      cmsCloseProfile(sRGB)
    }
    let isOfPixels = [cmsSigInputClass, cmsSigDisplayClass, cmsSigOutputClass, cmsSigColorSpaceClass]
      .contains(cmsGetDeviceClass(profile))
    guard isOfPixels, let source = format(layout, of: cmsGetColorSpace(profile)) else { return nil }
    let target = dalle_cms_layout(cmsUInt32Number(PT_RGB), 3, layout.hasAlpha ? 1 : 0, 1, 0)
    // For 16-bit numbers Little CMS would interpolate in a coarse table, which is off by eight in the shadows.
    let accuracy = layout.bytesPerSample == 2 ? cmsFLAGS_NOOPTIMIZE : 0
    let transform = cmsCreateTransformTHR(
      context, profile, source, sRGB, target, cmsUInt32Number(INTENT_PERCEPTUAL),
      cmsUInt32Number(cmsFLAGS_NOCACHE | accuracy))
    guard let transform else { return nil }
    let conversion = ColorConversion(transform)
    return conversion.changesPixels(of: layout) ? conversion : nil
  }

  private static func openProfile(_ encoding: ColorEncoding) -> cmsHPROFILE? {
    if let data = encoding.profile {
      guard let profile = cmsOpenProfileFromMemTHR(context, data, cmsUInt32Number(data.count)) else { return nil }
      // Tables of elements of any number, which a few bytes make and which take minutes to read. Every profile that has them has the
      // older form beside them, in which tables are as large as they are.
      for tag in [cmsSigDToB0Tag, cmsSigDToB1Tag, cmsSigDToB2Tag, cmsSigDToB3Tag] where cmsIsTag(profile, tag) != 0 {
        cmsWriteTag(profile, tag, nil)
      }
      return profile
    }
    // The second one is sRGB's: IEC 61966-2-1.
    let curve =
      encoding.gamma.map { cmsBuildGamma(context, $0) }
      ?? cmsBuildParametricToneCurve(context, 4, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045])
    guard let curve else { return nil }
    defer { cmsFreeToneCurve(curve) }
    func point(_ xy: [Double]) -> cmsCIExyY { cmsCIExyY(x: xy[0], y: xy[1], Y: 1) }
    let lights = encoding.lights
    var white = point(lights.white)
    var primaries = cmsCIExyYTRIPLE(Red: point(lights.red), Green: point(lights.green), Blue: point(lights.blue))
    return cmsCreateRGBProfileTHR(context, &white, &primaries, [curve, curve, curve])
  }

  /// Little CMS's word for a layout whose colors are in `space`; nil where they cannot be.
  private static func format(_ layout: SampleLayout, of space: cmsColorSpaceSignature) -> cmsUInt32Number? {
    let bytes = cmsUInt32Number(layout.bytesPerSample)
    switch (layout.colors, space) {
    case (.rgb, cmsSigRgbData), (.grey, cmsSigRgbData):
      return dalle_cms_layout(cmsUInt32Number(PT_RGB), 3, layout.hasAlpha ? 1 : 0, bytes, 0)
    case (.grey, cmsSigGrayData):
      return dalle_cms_layout(cmsUInt32Number(PT_GRAY), 1, layout.hasAlpha ? 3 : 2, bytes, 0)
    case (.cmyk(let isInverted), cmsSigCmykData):
      return dalle_cms_layout(cmsUInt32Number(PT_CMYK), 4, 0, bytes, isInverted ? 1 : 0)
    default: return nil
    }
  }

  /// Whether some color comes out as another one. Profiles of sRGB are many, and differ in the last digits.
  private func changesPixels(of layout: SampleLayout) -> Bool {
    if layout.colors != .rgb && layout.colors != .grey { return true }
    let steps: [UInt8] = [0, 8, 16, 32, 64, 96, 128, 160, 192, 224, 255]
    var colors: [[UInt8]] = (0...255).map { [$0, $0, $0] }
    if layout.colors == .rgb {
      colors += steps.flatMap { red in steps.flatMap { green in steps.map { blue in [red, green, blue] } } }
    }
    let channelCount = layout.channelCount
    let pixels = colors.flatMap { $0 + [UInt8](repeating: 255, count: channelCount - 3) }
    var converted = [UInt8](repeating: 0, count: pixels.count)
    converted.withUnsafeMutableBytes { target in
      if layout.bytesPerSample == 1 {
        convert(pixels, to: target.baseAddress!, count: colors.count)
      } else {
        convert(pixels.map { UInt16($0) * 257 }, to: target.baseAddress!, count: colors.count)
      }
    }
    return colors.indices.contains { i in
      (0..<3).contains { abs(Int(converted[channelCount * i + $0]) - Int(colors[i][$0])) > 2 }
    }
  }
}
