import Foundation
import Imaging
import TestSupport
import Testing

extension BrowserTests {
  /// Pictures that begin with another one, in a real browser.
  @Suite struct BeginningTests {
    private static let rows = "document.getElementById('line').getAttribute('aria-valuetext')"

    /// A picture in memory as the browser's own kind of file, in JavaScript.
    private static func file(_ data: Data, type: String) -> String {
      "new File([Uint8Array.from(atob('\(data.base64EncodedString())'), (c) => c.charCodeAt(0))], 'photo', {type: '\(type)'})"
    }

    @Test func aPictureIsChosenDroppedOrPastedAndItsLineDragged() async throws {
      let folder = try TemporaryFolder()
      var picture = Picture(width: 90, height: 60, color: .white)
      picture.paste(Picture(width: 40, height: 60, color: .init(red: 200, green: 30, blue: 30)), x: 25, y: 0)
      try folder.write(picture.pngData(), to: "poster.png")
      let data = try picture.pngData()
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        try await browser.type(folder.path("poster.png").path, into: "#file")
        try await browser.wait(for: "!document.getElementById('beginning').hidden")
        #expect(try await browser.text(Self.rows) == "4 of 8")
        let height = try await browser.number("Math.round(document.getElementById('beginning-frame').clientHeight)")
        try await browser.drag("#line", down: height / 4)
        #expect(try await browser.text(Self.rows) == "6 of 8")
        try await browser.drag("#line", down: height)
        #expect(try await browser.text(Self.rows) == "7 of 8")

        // Without a caption it is drawn anew; with one, as the caption says.
        for (caption, count) in [("", 1), ("a red heart", 2)] {
          try await browser.type(caption + Browser.Key.enter, into: "#caption")
          try await browser.wait(for: "\(Browser.completeDrawings) === \(count)")
          let settings = try await browser.text("document.querySelector('[data-part=settings]').textContent")
          #expect(settings.contains("7 rows of poster.png"))
        }
        let file = try await browser.download("[data-part=download]")
        let text = try Picture.pngText(of: file)
        #expect(text.contains { $0 == ("Kept rows", "7") }, "\(text)")

        try await browser.click("#remove")
        try await browser.value(
          """
          (() => { const all = new DataTransfer(); all.items.add(\(Self.file(data, type: "image/png")));
            document.body.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: all})); })()
          """)
        try await browser.wait(for: "!document.getElementById('beginning').hidden")
        try await browser.click("#remove")
        try await browser.value(
          """
          (() => { const all = new DataTransfer(); all.items.add(\(Self.file(data, type: "image/png")));
            document.body.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, clipboardData: all})); })()
          """)
        try await browser.wait(for: "!document.getElementById('beginning').hidden")
      }
      try await server.stop()
    }

    @Test func whatIsNoPictureIsRefusedInWords() async throws {
      let folder = try TemporaryFolder()
      try folder.write("not a picture", to: "text.png")
      try folder.write("not a picture", to: "text.txt")
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        for (name, words) in [
          ("text.png", "text.png is not a whole picture."), ("text.txt", "text.txt is text/plain."),
        ] {
          try await browser.type(folder.path(name).path, into: "#file")
          try await browser.wait(for: "document.getElementById('problem-text').textContent.endsWith('\(words)')")
          #expect(try await browser.value("document.getElementById('beginning').hidden") as? Bool == true)
        }
      }
      try await server.stop()
    }
  }
}
