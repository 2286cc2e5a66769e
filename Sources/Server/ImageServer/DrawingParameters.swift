import Basics
import DrawingService
import Foundation
import Generation
import Imaging
import Priors

/// What a request asks for.
struct DrawingParameters: Sendable {
  var endpoint: Endpoint
  var order: DrawingOrder
  /// The name of the model that draws.
  var model: String
  /// Pixels of the answer for each of the model's, a side.
  var scale: Int
  /// Pixels a side of the answer.
  var side: Int
  var isStream: Bool
  var tellsPosition: Bool

  var size: String { "\(side)x\(side)" }

  /// - Throws: what is wrong with the fields.
  init(
    _ fields: RequestFields, _ endpoint: Endpoint, _ catalogue: CheckpointCatalogue, _ limits: RequestLimits
  ) throws(APIError) {
    self.endpoint = endpoint
    let name = try fields.text("model")
    guard let description = catalogue.description(of: name) else {
      throw APIError(.noCheckpoint(name ?? catalogue.standardName))
    }
    model = description.name
    scale = try Self.scale(try fields.text("size") ?? "auto", of: description, limits)
    side = scale * description.pictureSize
    isStream = try fields.boolean("stream") ?? false
    tellsPosition = try fields.boolean("progress") ?? false

    let prompt = try fields.text("prompt") ?? ""
    if prompt.utf8.contains(0) { throw .badRequest("prompt has a NUL character", "prompt", code: "invalid_value") }
    // A picture without any caption is drawn from its beginning alone.
    if prompt.allSatisfy(\.isWhitespace), endpoint != .variations {
      throw .badRequest("prompt says nothing", "prompt", code: "invalid_value")
    }
    let count = try fields.integer("n") ?? 1
    let candidates = try fields.integer("candidates")
    if let candidates, candidates < count {
      throw .badRequest("candidates must be n or more, not \(candidates) where \(count) are kept", "candidates")
    }
    if candidates != nil, !description.hasRanker {
      throw APIError(.noRanker(description.name))
    }
    let partialCount = try fields.integer("partial_images") ?? 0
    if partialCount > 0, !isStream {
      throw .badRequest("partial_images needs stream to be true", "partial_images", code: "invalid_value")
    }

    var sampling = description.sampling
    if let guidance = try fields.number("guidance") { sampling.guidance = Float(guidance) }
    if let temperature = try fields.number("temperature") { sampling.temperature = Float(temperature) }
    if let topK = try fields.integer("top_k") { sampling.topK = topK }
    if let topP = try fields.number("top_p") { sampling.topP = Float(topP) }
    do { try sampling.validate() } catch { throw APIError(error) }
    let seed = try fields.integer("seed").map(UInt64.init) ?? UInt64.random(in: 0...1 << 53)
    order = DrawingOrder(
      prompt, count: count, candidates: candidates,
      options: GenerationOptions(
        seed: seed, sampling: sampling, imagePrompt: try Self.imagePrompt(fields, description, limits),
        replacesUnseenNouns: try fields.boolean("literal") != true),
      checkpoint: description.isDefault ? nil : description.name,
      partialCount: min(partialCount, limits.partials(of: count)))
  }

  private static func scale(
    _ size: String, of description: CheckpointDescription, _ limits: RequestLimits
  ) throws(APIError) -> Int {
    if size == "auto" { return 1 }
    let sides = size.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    let own = description.pictureSize
    guard sides.count == 2, let side = sides[0], side == sides[1], side > 0, side % own == 0,
      side <= max(limits.side, own)
    else {
      let largest = max(own, limits.side / own * own)
      throw .badRequest(
        "size must be auto, \(own)x\(own), or a whole multiple of it up to \(largest)x\(largest), not \"\(size)\"",
        "size",
        code: "invalid_value")
    }
    return side / own
  }

  private static func imagePrompt(
    _ fields: RequestFields, _ description: CheckpointDescription, _ limits: RequestLimits
  ) throws(APIError) -> ImagePrompt? {
    guard let bytes = try fields.file("image") else { return nil }
    let picture: Picture
    do {
      // As the model would make it: what waits in the queue is small.
      picture = try Picture(decoding: bytes, name: "image", atMost: limits.pixels)
        .squared(side: description.pictureSize, fit: description.fit)
    } catch {
      throw .badRequest(error.message, "image", code: "invalid_image")
    }
    var rows = try fields.integer("keep_rows")
    if let rows, rows >= description.gridSide {
      throw .badRequest(
        "keep_rows must be 0 to \(description.gridSide - 1), not \(rows): a picture has \(description.gridSide) rows of tokens",
        "keep_rows", code: "invalid_value")
    }
    if let bytes = try fields.file("mask") {
      if rows != nil { throw .badRequest("mask and keep_rows say the same; leave one of them out", "mask") }
      rows = try Self.rows(keptBy: bytes, description, limits)
    }
    return ImagePrompt(picture, keptRows: rows)
  }

  /// How many rows of tokens a mask keeps: what is transparent in it is drawn.
  private static func rows(
    keptBy bytes: Data, _ description: CheckpointDescription, _ limits: RequestLimits
  ) throws(APIError) -> Int {
    let mask: TransparentPicture
    do { mask = try TransparentPicture(decoding: bytes, name: "mask", atMost: limits.pixels) } catch {
      throw .badRequest(error.message, "mask", code: "invalid_image")
    }
    let refusal = APIError.badRequest(
      "mask must be a square whose transparent part is whole rows at its bottom, in steps of 1/\(description.gridSide) of "
        + "its height; nothing else can be drawn anew", "mask", code: "invalid_value")
    let isTransparent = (0..<mask.height).map { y -> Bool? in
      let alphas = (0..<mask.width).map { mask.pixels[4 * (y * mask.width + $0) + 3] }
      if alphas.allSatisfy({ $0 == 0 }) { return true }
      return alphas.allSatisfy { $0 == 255 } ? false : nil
    }
    let kept = isTransparent.prefix { $0 == false }.count
    guard mask.width == mask.height, isTransparent.dropFirst(kept).allSatisfy({ $0 == true }), kept < mask.height,
      kept * description.gridSide % mask.height == 0
    else { throw refusal }
    return kept * description.gridSide / mask.height
  }
}
