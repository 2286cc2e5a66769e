import Foundation
import Imaging
import TestSupport
import Testing

extension BrowserTests {
  /// How the page looks, on a phone and on a desk, light and dark.
  @Suite struct AppearanceTests {
    /// With `DALLE_SCREENSHOTS` in the environment, the screenshots are left in the folder that it names.
    @Test func allFitsOnAPhoneAndOnADeskInLightAndDark() async throws {
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        for (count, (caption, seed)) in [("woman astronaut", 2), ("a tapir made of accordion", 7)].enumerated() {
          try await browser.value("document.getElementById('seed').value = \(seed)")
          try await browser.type(caption, into: "#caption")
          try await browser.click("#draw")
          try await browser.wait(for: "\(Browser.completeDrawings) === \(count + 1)")
          try await browser.value("document.getElementById('caption').value = ''")
        }
        // "tapir" stands in no caption of the bundled model, which is said.
        #expect(try await browser.number("document.querySelectorAll('.drawing:first-child .note').length") >= 1)
        try await browser.click(".drawing:last-child [data-action=begin]")
        try await browser.wait(for: "document.activeElement.id === 'line'")
        try await browser.value("document.activeElement.blur()")

        let folder = ProcessInfo.processInfo.environment["DALLE_SCREENSHOTS"].map { URL(filePath: $0) }
        for width in [400, 1400] {
          try await browser.resize(width: width, height: 1000)
          for scheme in ["light", "dark"] {
            try await browser.prefer("prefers-color-scheme", scheme)
            try await browser.value("window.scrollTo(0, 0)")
            #expect(try await browser.number("document.documentElement.scrollWidth") == width)
            let data = try await browser.screenshot()
            let picture = try Picture(decoding: data, name: "screenshot")
            #expect(picture.width == width)
            let ground = picture.pixels[0]
            #expect(scheme == "light" ? ground > 200 : ground < 60)
            if let folder { try data.write(to: folder.appending(path: "page-\(width)-\(scheme).png")) }
          }
        }
      }
      try await server.stop()
    }
  }
}
