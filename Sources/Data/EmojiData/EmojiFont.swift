import Basics
import CFreeType
import CHarfBuzz
import Foundation
import Imaging

/// A color bitmap font: HarfBuzz finds the glyph of a sequence, FreeType its picture.
///
/// Not to be used from two threads at once; each thread opens the font for itself.
final class EmojiFont {
  private let library: FT_Library
  private let face: FT_Face
  private let shapingFont: OpaquePointer

  /// - Throws: `PipelineError` of kind `.badData` where the file is not a font with color bitmaps.
  init(contentsOf url: URL) throws(PipelineError) {
    var library: FT_Library?
    guard FT_Init_FreeType(&library) == 0, let library else {
      throw PipelineError(.inputOutput, "FreeType does not start")
    }
    var face: FT_Face?
    guard FT_New_Face(library, url.path, 0, &face) == 0, let face else {
      FT_Done_FreeType(library)
      throw PipelineError(.badData, "\(url.path) is not a font")
    }
    guard face.pointee.num_fixed_sizes > 0, FT_Select_Size(face, 0) == 0 else {
      FT_Done_FreeType(library)
      throw PipelineError(.badData, "the font \(url.path) has no bitmaps")
    }
    self.library = library
    self.face = face
    let blob = hb_blob_create_from_file(url.path)
    let shapingFace = hb_face_create(blob, 0)
    // An empty font rather than nil is what HarfBuzz gives on failure; it finds no glyphs, which `picture(of:)` tells.
    shapingFont = hb_font_create(shapingFace)
    hb_face_destroy(shapingFace)
    hb_blob_destroy(blob)
  }

  deinit {
    hb_font_destroy(shapingFont)
    // With the library go its faces.
    FT_Done_FreeType(library)
  }

  /// The bitmap of a sequence of code points over white, in the font's own size.
  /// - Returns: nil where the font has no single glyph with a color bitmap for the sequence.
  func picture(of codePoints: [UInt32]) -> Picture? {
    guard let glyph = glyph(of: codePoints), FT_Load_Glyph(face, glyph, FT_Int32(FT_LOAD_COLOR)) == 0 else {
      return nil
    }
    let bitmap = face.pointee.glyph.pointee.bitmap
    guard UInt32(bitmap.pixel_mode) == FT_PIXEL_MODE_BGRA.rawValue, let bytes = bitmap.buffer, bitmap.pitch > 0,
      bitmap.width > 0, bitmap.rows > 0
    else { return nil }
    let width = Int(bitmap.width)
    let height = Int(bitmap.rows)
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * width * height) { buffer, initialized in
      for y in 0..<height {
        for x in 0..<width {
          let from = bytes + y * Int(bitmap.pitch) + 4 * x
          let to = 3 * (y * width + x)
          // Blue, green, red already multiplied by alpha: over white, what the picture lets through is added.
          let white = 255 - Int(from[3])
          for channel in 0..<3 { buffer[to + channel] = UInt8(min(Int(from[2 - channel]) + white, 255)) }
        }
      }
      initialized = 3 * width * height
    }
    return Picture(width: width, height: height, pixels: pixels)
  }

  private func glyph(of codePoints: [UInt32]) -> UInt32? {
    let buffer = hb_buffer_create()
    defer { hb_buffer_destroy(buffer) }
    hb_buffer_add_codepoints(buffer, codePoints, Int32(codePoints.count), 0, Int32(codePoints.count))
    hb_buffer_set_direction(buffer, HB_DIRECTION_LTR)
    hb_buffer_guess_segment_properties(buffer)
    hb_shape(shapingFont, buffer, nil, 0)
    var count: UInt32 = 0
    guard let glyphs = hb_buffer_get_glyph_infos(buffer, &count), count == 1, glyphs[0].codepoint != 0 else {
      return nil
    }
    return glyphs[0].codepoint
  }
}
