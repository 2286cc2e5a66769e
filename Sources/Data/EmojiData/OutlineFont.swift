import Basics
import CFreeType
import Foundation
import Imaging

/// A font of outlines that has all ten digits, in shapes that are digits'.
///
/// Not to be used from two threads at once.
final class OutlineFont {
  /// How a glyph departs from the font's own.
  struct Variation {
    /// Pixels that the tallest digit is high.
    var height = 20.0
    /// tan of the angle that upright strokes lean to the right by.
    var slant = 0.0
    /// Pixels that strokes are thicker by.
    var weight = 0.0
    /// Pixels, to the right and downwards.
    var shift = (x: 0.0, y: 0.0)
  }

  static let digits = Array("0123456789".unicodeScalars)

  /// What all faces of a design have in common, such as "DejaVu Sans".
  let family: String
  /// Of all ten digits' shapes: two fonts of one hash draw the same digits.
  private(set) var shapeHash: UInt64 = 0
  private let library: FT_Library
  private let face: FT_Face
  /// The tallest digit's pixels at a size of 100.
  private var tallest = 0.0

  /// Nil where the file is no such font: there are others.
  init?(contentsOf url: URL) {
    var library: FT_Library?
    guard FT_Init_FreeType(&library) == 0, let library else { return nil }
    var face: FT_Face?
    guard FT_New_Face(library, url.path, 0, &face) == 0, let face else {
      FT_Done_FreeType(library)
      return nil
    }
    (self.library, self.face) = (library, face)
    family = face.pointee.family_name.map { String(cString: $0) } ?? url.lastPathComponent
    // Scalable, and with Unicode's numbers for characters.
    guard face.pointee.face_flags & FT_Long(FT_FACE_FLAG_SCALABLE) != 0,
      FT_Select_Charmap(face, FT_ENCODING_UNICODE) == 0
    else { return nil }
    var (shapes, holes): ([String], [Int]) = ([], [])
    for digit in Self.digits {
      guard let bitmap = bitmap(of: digit, size: 100, .init()) else { return nil }
      tallest = max(tallest, Double(bitmap.height))
      holes.append(bitmap.enclosedAreas())
      shapes.append("\(bitmap.width)×\(bitmap.height):" + bitmap.coverage.map { $0 > 127 ? "#" : "." }.joined())
    }
    // A font that draws the same box for all of them has none, and one of symbols has others in their places: an 8 encloses two areas,
    // a 0 at least one, which may be struck through, and a 1 and a 7 none.
    guard Set(shapes).count == shapes.count, tallest > 20, holes[8] == 2, holes[0] > 0, holes[1] == 0, holes[7] == 0
    else { return nil }
    shapeHash = FNV1a.hash(shapes.joined())
  }

  deinit {
    // With the library go its faces.
    FT_Done_FreeType(library)
  }

  /// Ink from 0 to 255, row-major.
  private struct Bitmap {
    var width: Int
    var height: Int
    var coverage: [UInt8]

    /// Areas without ink that ink surrounds.
    func enclosedAreas() -> Int {
      // With a free line on all sides, what is outside is one area.
      let (columns, rows) = (width + 2, height + 2)
      var isSeen = [Bool](repeating: false, count: columns * rows)
      for y in 0..<height {
        for x in 0..<width where coverage[y * width + x] > 127 { isSeen[(y + 1) * columns + x + 1] = true }
      }
      var areas = 0
      for start in isSeen.indices where !isSeen[start] {
        areas += 1
        isSeen[start] = true
        var open = [start]
        while let place = open.popLast() {
          let (x, y) = (place % columns, place / columns)
          for (nextX, nextY) in [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
          where (0..<columns).contains(nextX) && (0..<rows).contains(nextY) && !isSeen[nextY * columns + nextX] {
            isSeen[nextY * columns + nextX] = true
            open.append(nextY * columns + nextX)
          }
        }
      }
      return areas - 1
    }
  }

  private func bitmap(of digit: Unicode.Scalar, size: Double, _ variation: Variation) -> Bitmap? {
    let glyph = FT_Get_Char_Index(face, FT_ULong(digit.value))
    guard glyph != 0, FT_Set_Char_Size(face, 0, FT_F26Dot6(size * 64), 72, 72) == 0 else { return nil }
    // 16.16 for the matrix, 26.6 for lengths. What is less than a pixel of the shift is drawn, the rest is where the bitmap goes.
    var matrix = FT_Matrix(xx: 0x10000, xy: FT_Fixed(variation.slant * 0x10000), yx: 0, yy: 0x10000)
    let part = (
      variation.shift.x - variation.shift.x.rounded(.down), variation.shift.y - variation.shift.y.rounded(.down)
    )
    var delta = FT_Vector(x: FT_Pos(part.0 * 64), y: FT_Pos(-part.1 * 64))
    FT_Set_Transform(face, &matrix, &delta)
    guard FT_Load_Glyph(face, glyph, FT_Int32(FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP)) == 0,
      let slot = face.pointee.glyph, slot.pointee.format == FT_GLYPH_FORMAT_OUTLINE
    else { return nil }
    if variation.weight != 0 { FT_Outline_Embolden(&slot.pointee.outline, FT_Pos(variation.weight * 64)) }
    guard FT_Render_Glyph(slot, FT_RENDER_MODE_NORMAL) == 0 else { return nil }
    let bitmap = slot.pointee.bitmap
    let (width, height) = (Int(bitmap.width), Int(bitmap.rows))
    guard UInt32(bitmap.pixel_mode) == FT_PIXEL_MODE_GRAY.rawValue, let bytes = bitmap.buffer, width > 0, height > 0,
      bitmap.pitch > 0
    else { return nil }
    var coverage: [UInt8] = []
    coverage.reserveCapacity(width * height)
    for y in 0..<height { coverage += UnsafeBufferPointer(start: bytes + y * Int(bitmap.pitch), count: width) }
    return Bitmap(width: width, height: height, coverage: coverage)
  }

  /// A digit in black on a white square.
  /// - Returns: nil where nothing is left of it to be seen.
  func picture(of digit: Unicode.Scalar, side: Int, _ variation: Variation) -> Picture? {
    guard let bitmap = bitmap(of: digit, size: 100 * variation.height / tallest, variation) else { return nil }
    let left = (side - bitmap.width) / 2 + Int(variation.shift.x.rounded(.down))
    let top = (side - bitmap.height) / 2 + Int(variation.shift.y.rounded(.down))
    var picture = Picture(width: side, height: side, color: .white)
    var ink = 0
    for y in max(0, -top)..<max(max(0, -top), min(bitmap.height, side - top)) {
      for x in max(0, -left)..<max(max(0, -left), min(bitmap.width, side - left)) {
        let covered = bitmap.coverage[y * bitmap.width + x]
        let at = 3 * ((y + top) * side + x + left)
        for channel in 0..<3 { picture.pixels[at + channel] = 255 - covered }
        ink += Int(covered)
      }
    }
    return ink >= 255 * side * side / 56 ? picture : nil
  }
}
