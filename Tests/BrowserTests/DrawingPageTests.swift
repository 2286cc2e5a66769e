import Foundation
import Imaging
import TestSupport
import Testing

extension BrowserTests {
  /// The page of the server in a real browser.
  @Suite struct DrawingPageTests {
    private static func visit(_ body: (Browser) async throws -> Void) async throws {
      let server = try await LocalServer()
      try await Browser.visit(server, body)
      try await server.stop()
    }

    /// The main way of a person: a caption, pictures that appear place by place, the file, and the same after a reload.
    @Test func aCaptionIsDrawnWatchedDownloadedAndFoundAgain() async throws {
      try await Self.visit { browser in
        // Every picture that was shown, in order. A busy browser loads the last of several alone.
        try await browser.value(
          """
          window.shown = [], new MutationObserver((records) => {
            for (const { target, oldValue } of records) {
              if (target.matches(".drawing figure:first-child img")) window.shown.push(oldValue ?? "", target.src);
            }
          }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["src"], attributeOldValue: true })
          """)
        try await browser.type("7", into: "#seed")
        try await browser.type("a red heart", into: "#caption")
        try await browser.click("#draw")
        try await browser.wait(for: "\(Browser.completeDrawings) === 1 && window.shown.at(-1).startsWith('blob:')")

        let file = try await browser.download(".drawing figure:first-child [data-part=download]")
        #expect(file.lastPathComponent == "a-red-heart-7-0.png")
        let final = try Picture(contentsOf: file)
        let text = Dictionary(try Picture.pngText(of: file).map { ($0.key, $0.value) }) { first, _ in first }
        #expect(text["Title"] == "a red heart" && text["Seed"] == "7" && text["Number"] == "0", "\(text)")
        #expect(text["Checkpoint"] == "emoji" && text["Settings"]?.contains("temperature 0.7") == true, "\(text)")

        let shown = try #require(try await browser.value("window.shown") as? [String])
        var intermediate: [Picture] = []
        for address in shown where address.hasPrefix("data:") {
          let picture = try Self.picture(address)
          if picture != final && picture != intermediate.last { intermediate.append(picture) }
        }
        #expect(intermediate.count >= 3)
        // Places come row by row, and those that are to come are white.
        let drawn = intermediate.map { $0.pixels.lastIndex { $0 != 255 } ?? 0 }
        #expect(drawn == drawn.sorted() && drawn.first != drawn.last)
        #expect(intermediate.allSatisfy { $0.width == final.width && $0.height == final.height })

        try await browser.reload()
        #expect(try await browser.number(Browser.completeDrawings) == 1)
        #expect(try await browser.text("document.querySelector('.drawing h3').textContent") == "a red heart")
        #expect(
          try await browser.text("document.querySelector('[data-part=settings]').textContent").hasPrefix("seed 7 · "))
        try await browser.wait(
          for: "[...document.querySelectorAll('.drawing img')].every((image) => image.naturalWidth > 0)")
        let again = try await browser.download(".drawing figure:first-child [data-part=download]")
        #expect(try Data(contentsOf: again) == Data(contentsOf: file))
      }
    }

    private static func picture(_ address: String) throws -> Picture {
      let parts = address.split(separator: ",", maxSplits: 1)
      try #require(parts.first == "data:image/png;base64", "\(address.prefix(60))")
      return try Picture(decoding: try #require(Data(base64Encoded: String(parts[1]))), name: "the page's picture")
    }

    @Test func theKeyboardAloneDoesAll() async throws {
      try await Self.visit { browser in
        try await browser.prefer("prefers-reduced-motion", "reduce")
        try await browser.tab(to: "#caption")
        try await browser.press("a castle" + Browser.Key.enter)
        try await browser.wait(for: "\(Browser.completeDrawings) === 1")
        #expect(try await browser.text("document.activeElement.id") == "caption")
        #expect(try await browser.text("document.getElementById('status').textContent").hasPrefix("Drawn in "))

        try await browser.tab(to: "[data-part=download]")
        try await browser.tab(to: "[data-action=begin]")
        try await browser.press(Browser.Key.enter)
        try await browser.wait(for: "document.activeElement.id === 'line'")
        try await browser.press(Browser.Key.down)
        #expect(try await browser.text("document.activeElement.getAttribute('aria-valuetext')") == "5 of 8")
        try await browser.tab(to: "[data-action=vary]")
        try await browser.press(Browser.Key.enter)
        try await browser.wait(for: "\(Browser.completeDrawings) === 2")

        try await browser.value("document.getElementById('caption').focus()")
        try await browser.press(Browser.Key.enter)
        try await browser.wait(for: "\(Browser.completeDrawings) === 3")
        #expect(
          try await browser.text("document.querySelector('[data-part=settings]').textContent")
            .contains("5 rows of a castle, picture 1"))
        try await browser.tab(to: "[data-action=delete]")
        try await browser.press(Browser.Key.enter)
        try await browser.wait(for: "\(Browser.completeDrawings) === 2")
        #expect(try await browser.text("document.activeElement.dataset.action") == "delete")
      }
    }
  }
}
