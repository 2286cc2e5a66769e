import Foundation
import TestSupport
import Testing

extension BrowserTests {
  /// What the page keeps, what it calls off, and what it says where the server refuses, in a real browser.
  @Suite struct ManyDrawingsTests {
    private static let status = "document.getElementById('status').textContent"
    private static let problem = "document.getElementById('problem-text').textContent"

    @Test func aDrawingIsCalledOff() async throws {
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        try await browser.value("document.getElementById('count').value = 16")
        try await browser.value("document.getElementById('candidates').value = 64")
        // In the page, which is there in time however busy the machine is.
        try await browser.value(
          """
          (() => {
            const status = document.getElementById("status");
            new MutationObserver(() => {
              if (status.textContent !== "Drawing." || window.seen) return;
              const { hidden, position } = document.getElementById("progress");
              window.seen = { hidden, position };
              document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
            }).observe(status, { childList: true });
          })()
          """)
        try await browser.type("a castle" + Browser.Key.enter, into: "#caption")
        try await browser.wait(for: "\(Self.status) === 'Cancelled.'")
        // How far it is nobody knows: of candidates only the first is seen.
        #expect(try await browser.value("!window.seen.hidden && window.seen.position < 0") as? Bool == true)
        #expect(try await browser.number("document.querySelectorAll('.drawing').length") == 0)
      }
      try await server.stop()
    }

    @Test func aRefusalIsSaidInTheServersWordsAndCanBeTriedAgain() async throws {
      let server = try await LocalServer(expectedComplaints: ["400 (Bad Request)"])
      try await Browser.visit(server) { browser in
        try await browser.value("document.getElementById('count').value = 1000")
        try await browser.type("a castle" + Browser.Key.enter, into: "#caption")
        try await browser.wait(for: "!document.getElementById('problem').hidden")
        #expect(try await browser.text(Self.problem).contains("“Pictures” must be a whole number in 1 ... 16"))
        #expect(try await browser.number("document.querySelectorAll('.drawing').length") == 0)
      }
      try await server.stop()
    }

    @Test func aServerThatIsGoneIsSaidAndFoundAgain() async throws {
      let server = try await LocalServer(expectedComplaints: ["ERR_CONNECTION_REFUSED"])
      try await Browser.visit(server) { browser in
        try await server.stop()
        try await browser.type("a castle" + Browser.Key.enter, into: "#caption")
        try await browser.wait(for: "\(Self.problem).startsWith('The server does not answer')")
        try await server.start()
        try await browser.click("#retry")
        try await browser.wait(for: "\(Browser.completeDrawings) === 1")
        #expect(try await browser.value("document.getElementById('problem').hidden") as? Bool == true)
      }
      try await server.stop()
    }

    @Test func theKeyOfAServerIsAskedForAndKept() async throws {
      let folder = try TemporaryFolder()
      try folder.write("correct-horse\n", to: "key")
      let server = try await LocalServer(
        ["--api-key-file", folder.path("key").path], expectedComplaints: ["401 (Unauthorized)"])
      try await Browser.visit(server, isOpen: false) { browser in
        // The second is one that no header can carry.
        for key in ["battery-staple", "верный", "correct-horse"] {
          let saysWrong = key != "battery-staple"
          try await browser.wait(
            for: """
              document.getElementById('key-dialog').open && document.getElementById('key').value === ''
                && document.getElementById('key-wrong').hidden !== \(saysWrong)
              """)
          try await browser.press(key + Browser.Key.enter)
        }
        try await browser.wait(for: Browser.knowsModels)
        try await browser.type("a castle" + Browser.Key.enter, into: "#caption")
        try await browser.wait(for: "\(Browser.completeDrawings) === 1")
        try await browser.reload()
      }
      try await server.stop()
    }

    @Test func theHistoryIsBounded() async throws {
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        let kept = try await browser.promise(
          """
          (async () => {
            const { History } = await import("/history.js");
            const history = await History.open();
            let forgotten = [];
            for (let number = 0; number < 203; number += 1) forgotten.push(...await history.add({ number }));
            const all = await history.all();
            await history.delete(all[0].id);
            return [all.length, all[0].number, forgotten.length, (await history.all()).length];
          })()
          """)
        #expect(kept as? [Int] == [200, 202, 3, 199])
      }
      try await server.stop()
    }

    /// A history that takes no more can be deleted all the same, and says where it cannot.
    @Test func aFullHistoryCanBeDeleted() async throws {
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        let found = try await browser.promise(
          """
          (async () => {
            const { History } = await import("/history.js");
            const history = await History.open();
            await history.add({ number: 1 });
            await history.add({ number: () => "what no database takes" });
            const found = [history.isKept, await history.clear(), (await history.all()).length, history.isKept];
            await new Promise((resolve) => { indexedDB.open("dalle", 2).onsuccess = resolve; });
            return [...found, await history.clear()].map(Number);
          })()
          """)
        #expect(found as? [Int] == [0, 1, 0, 1, 0])
      }
      try await server.stop()
    }

    /// What another version of the page may have left.
    @Test func aDrawingThatCannotBeShownKeepsNobodyFromDrawing() async throws {
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        _ = try await browser.promise(
          """
          (async () => {
            const { History } = await import("/history.js");
            await (await History.open()).add({ pictures: "none" });
            return true;
          })()
          """)
        try await browser.reload()
        try await browser.type("a castle" + Browser.Key.enter, into: "#caption")
        try await browser.wait(for: "\(Browser.completeDrawings) === 1")
      }
      try await server.stop()
    }

    @Test func aDrawingIsDrawnAgainChangedAndAllAreDeleted() async throws {
      let server = try await LocalServer()
      try await Browser.visit(server) { browser in
        try await browser.type("a castle" + Browser.Key.enter, into: "#caption")
        try await browser.wait(for: "\(Browser.completeDrawings) === 1")
        try await browser.click("[data-action=again]")
        try await browser.wait(for: "\(Browser.completeDrawings) === 2")
        // The same seed and settings are the same file.
        var files: [Data] = []
        for drawing in 1...2 {
          files.append(
            try Data(
              contentsOf: try await browser.download(
                ".drawing:nth-child(\(drawing)) figure:nth-child(3) [data-part=download]")))
        }
        #expect(files[0] == files[1])
        try await browser.value("document.getElementById('caption').value = ''")
        try await browser.click("[data-action=edit]")
        #expect(try await browser.text("document.getElementById('caption').value") == "a castle")
        let seed = try await browser.text("document.getElementById('seed').value")
        #expect(
          try await browser.text("document.querySelector('[data-part=settings]').textContent").hasPrefix(
            "seed \(seed) · "))
        try await browser.click("#clear")
        try await browser.wait(for: "document.getElementById('clear-dialog').open")
        try await browser.click("#clear-dialog .primary")
        try await browser.wait(for: "document.querySelectorAll('.drawing').length === 0")
        try await browser.reload()
        #expect(try await browser.number("document.querySelectorAll('.drawing').length") == 0)
      }
      try await server.stop()
    }
  }
}
