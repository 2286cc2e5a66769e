import Basics
import Datasets
import Foundation
import Imaging
import TestSupport

@testable import Compositions

/// Things drawn as emoji are, so simple that it can be computed what compositions of them look like.
enum Toy: String, CaseIterable {
  /// A red disc with a black eye.
  case ball
  /// A blue square.
  case box
  /// A green triangle.
  case cone
  /// Black and yellow stripes, upright.
  case wasp
  /// Green and white squares.
  case plate
  /// A brown disc with white inside.
  case doughnut
  /// Red lines on grey.
  case grapes

  static let side = 48

  /// The color of a pixel, or nil where the ground is seen.
  func color(_ x: Int, _ y: Int) -> Picture.Color? {
    let (dx, dy) = (Double(x) - 23.5, Double(y) - 23.5)
    let radius = (dx * dx + dy * dy).squareRoot()
    let isInSquare = (8..<40).contains(x) && (8..<40).contains(y)
    switch self {
    case .ball:
      if radius > 20 { return nil }
      return abs(dx + 8) < 3 && abs(dy + 6) < 3 ? .black : Picture.Color(red: 210, green: 30, blue: 30)
    case .box: return isInSquare ? Picture.Color(red: 40, green: 90, blue: 220) : nil
    case .cone: return isInSquare && 2 * abs(dx) < Double(y - 6) ? Picture.Color(red: 40, green: 160, blue: 60) : nil
    case .wasp:
      if !isInSquare { return nil }
      return x / 4 % 2 == 0 ? .black : Picture.Color(red: 250, green: 210, blue: 30)
    case .plate:
      if !isInSquare { return nil }
      return (x / 8 + y / 8) % 2 == 0
        ? Picture.Color(red: 40, green: 160, blue: 60) : Picture.Color(red: 235, green: 245, blue: 235)
    case .doughnut: return radius > 20 ? nil : radius < 8 ? .white : Picture.Color(red: 130, green: 80, blue: 40)
    case .grapes:
      if radius > 20 { return nil }
      return y % 6 < 2 ? Picture.Color(red: 200, green: 20, blue: 20) : Picture.Color(red: 140, green: 140, blue: 140)
    }
  }

  /// On white, or on nothing.
  func picture(isTransparent: Bool = false) -> TransparentPicture {
    var pixels: [UInt8] = []
    for y in 0..<Self.side {
      for x in 0..<Self.side {
        let color = color(x, y)
        let shown = color ?? .white
        pixels += [shown.red, shown.green, shown.blue, color == nil && isTransparent ? 0 : 255]
      }
    }
    return TransparentPicture(width: Self.side, height: Self.side, pixels: pixels)
  }

  /// The wasp has none.
  var koreanName: String? {
    switch self {
    case .ball: "공"
    case .box: "상자"
    case .cone: "원뿔"
    case .wasp: nil
    case .plate: "접시"
    case .doughnut: "도넛"
    case .grapes: "포도"
    }
  }
}

extension TemporaryFolder {
  /// The toys as a data set.
  func writeToys(_ toys: [Toy] = Toy.allCases, languages: [String] = ["en"]) throws {
    var metadata = ""
    for toy in toys {
      try write(toy.picture().overWhite().pngData(), to: "toys/\(toy).png")
      for language in languages {
        guard let caption = language == "ko" ? toy.koreanName : "The \(toy)." else { continue }
        metadata += "{\"file_name\": \"\(toy).png\", \"text\": \"\(caption)\", \"split\": \"train\"}\n"
      }
    }
    try write(metadata, to: "toys/metadata.jsonl")
  }

  func maker(
    _ relations: [String] = [], side: Int = 64, seed: UInt64 = 3, bytesInMemory: Int = 1 << 20,
    languages: [String] = ["en"]
  ) throws -> CompositionMaker {
    if !exists("toys") { try writeToys(languages: languages) }
    var settings = CompositionMaker.Settings()
    settings.languages = languages
    (settings.relations, settings.pictureSize, settings.seed) = (relations, side, seed)
    settings.maximumBytesInMemory = bytesInMemory
    let dataSet = try PictureDataSet(contentsOf: path("toys"), pictureSize: side, maximumBytesInMemory: 0)
    return try CompositionMaker(dataSet, settings: settings, team: ThreadTeam(count: 2))
  }
}

extension Picture {
  func color(_ x: Int, _ y: Int) -> SIMD3<Float> {
    let i = 3 * (y * width + x)
    return SIMD3(Float(pixels[i]), Float(pixels[i + 1]), Float(pixels[i + 2])) / 255
  }

  /// What is not white, as the smallest box that holds it.
  func box(where isMeant: (SIMD3<Float>) -> Bool = { $0.min() < 0.9 }) -> (x: Range<Int>, y: Range<Int>)? {
    let places = (0..<(width * height)).filter { isMeant(color($0 % width, $0 / width)) }
    guard let left = places.map({ $0 % width }).min(), let right = places.map({ $0 % width }).max(),
      let top = places.first, let bottom = places.last
    else { return nil }
    return (left..<(right + 1), (top / width)..<(bottom / width + 1))
  }

  /// The share of what is not white that is called by a color.
  func share(of name: NamedColor) -> Double {
    let colors = (0..<(width * height)).map { color($0 % width, $0 / width) }.filter { $0.min() < 0.9 }
    return Double(colors.count { NamedColor(naming: $0) == name }) / Double(max(1, colors.count))
  }
}

/// What the ball and the box look like among others.
func isRed(_ color: SIMD3<Float>) -> Bool { color.x > max(color.y, color.z) + 0.4 }
func isBlue(_ color: SIMD3<Float>) -> Bool { color.z > color.x + 0.4 }
