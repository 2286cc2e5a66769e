import Basics
import Foundation
import Imaging

/// A picture or a drawing inside the page itself, with what it shows below it: what the partial `figure` is filled with.
package struct Figure: Sendable {
  private struct Embedded: Sendable {
    let width: Int
    let height: Int
    /// In base 64.
    let png: String
  }

  private let picture: Embedded?
  private let svg: String?
  private let caption: String

  /// - Parameters:
  ///   - picture: what is shown.
  ///   - scale: of the square that each of its pixels becomes.
  ///   - caption: what it shows.
  /// - Throws: `PipelineError` where the picture is too large to be written.
  package init(_ picture: Picture, scale: Int, caption: String) throws(PipelineError) {
    self.picture = Embedded(
      width: picture.width * scale, height: picture.height * scale, png: try picture.pngData().base64EncodedString())
    svg = nil
    self.caption = caption
  }

  /// - Parameters:
  ///   - drawing: what is shown, in the width of the page.
  ///   - caption: what it shows.
  package init(_ drawing: SVG, caption: String) {
    picture = nil
    svg = drawing.inline
    self.caption = caption
  }
}

/// What the partial `table` is filled with.
package struct Table: Sendable {
  private let header: [String]
  private let rows: [[String]]

  package init(header: [String], rows: [[String]]) { (self.header, self.rows) = (header, rows) }
}

/// A figure and what it is of: what the partial `facts` lists.
package struct Fact: Sendable {
  private let name: String
  private let value: String

  package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
}
