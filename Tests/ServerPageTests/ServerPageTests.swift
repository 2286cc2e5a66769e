import Decoding
import Pages
import PipelineTestSupport
import Priors
import Testing

@testable import ServerPage

@Suite struct ServerPageTests {
  private static func text(_ path: String) throws -> String {
    let file = try #require(ServerPage.files().first { $0.path == path }, "there is no \(path)")
    return try #require(String(bytes: file.content, encoding: .utf8), "\(path) is not UTF-8")
  }

  private static let scripts = ServerPage.files().map(\.path).filter { $0.hasSuffix(".js") }

  /// All scripts in one.
  private static func script() throws -> String { try scripts.map(text).joined() }

  @Test func thePageIsWholeAndLoadsItsOwnFilesAlone() throws {
    let page = try Self.text("/")
    let files = Set(ServerPage.files().map(\.path)).union(["/openapi.json"])
    #expect(faults(ofPage: page, files: files) == [])
    #expect(page.contains("<link rel=\"stylesheet\" href=\"/page.css\">"))
    #expect(page.contains("<script type=\"module\" src=\"/page.js\"></script>"))
  }

  @Test func aStrictPolicyFindsNothingToForbid() throws {
    let page = try Self.text("/")
    #expect(!page.contains("<style") && !page.contains("style="))
    #expect(page.ranges(of: "<script").count == 1)
    #expect(!page.contains(/\son[a-z]+=/) && !page.contains("javascript:"))
    let script = try Self.script()
    for evaluation in ["eval(", "new Function", "innerHTML", "outerHTML", "document.write", "insertAdjacentHTML"] {
      #expect(!script.contains(evaluation), "\(evaluation)")
    }
  }

  @Test func nothingNamesAnotherServer() throws {
    for file in ServerPage.files() {
      let text = try Self.text(file.path).replacing("xmlns=\"http://www.w3.org/2000/svg\"", with: "")
      #expect(!text.contains(/https?:\/\//) && !text.contains("@import"), "\(file.path)")
    }
  }

  @Test func scriptsImportFilesThatAreThere() throws {
    var imported: Set = ["/page.js"]
    for path in Self.scripts {
      for match in try Self.text(path).matches(of: /from "\.(\/[a-z]+\.js)"/) { imported.insert(String(match.1)) }
    }
    #expect(imported == Set(Self.scripts))
  }

  @Test func whatTheScriptsAskForIsInThePage() throws {
    let (page, script) = (try Self.text("/"), try Self.script())
    let ids = page.matches(of: /\sid="([^"]+)"/).map { String($0.1) }
    #expect(Set(ids).count == ids.count)
    var asked = script.matches(of: /(?:element|getElementById|copy)\("([^"]+)"\)/).map { String($0.1) }
    #expect(asked.count > 40)
    // The fields of numbers stand in a list.
    let numbers = try #require(script.firstMatch(of: /const numbers = \{([^}]+)\}/)).1
    asked += numbers.matches(of: /"([^"]+)"/).map { String($0.1) }
    #expect(Set(asked).subtracting(ids) == [])
    let parts = Set(script.matches(of: /(?:parts|own)\.([a-z]+)/).map { String($0.1) })
    #expect(parts == Set(page.matches(of: /data-part="([^"]+)"/).map { String($0.1) }))
    let actions = Set(script.matches(of: /action === "([a-z]+)"/).map { String($0.1) })
    #expect(actions == Set(page.matches(of: /data-action="([^"]+)"/).map { String($0.1) }))
  }

  @Test func everyFieldHasALabelAndEveryHintIsThere() throws {
    let page = try Self.text("/")
    let labelled = Set(page.matches(of: /<label[^>]* for="([^"]+)"/).map { $0.1 })
    for match in page.matches(of: /<(?:input|select|textarea) id="([^"]+)"([^>]*)>/) where match.1 != "file" {
      #expect(labelled.contains(match.1), "\(match.1)")
    }
    for match in page.matches(of: /aria-(?:describedby|labelledby)="([^"]+)"/) {
      for id in match.1.split(separator: " ") { #expect(page.contains(" id=\"\(id)\""), "\(id)") }
    }
  }

  @Test func fieldsBeginWithWhatIsDrawnWithUnlessSomebodySaysOtherwise() throws {
    let page = try Self.text("/")
    let options = SamplingOptions()
    func value(_ id: String) throws -> Float? {
      let field = try #require(page.matches(of: /<input id="([^"]+)"[^>]* value="([^"]+)"/).first { $0.1 == id })
      return Float(field.2)
    }
    #expect(try value("temperature") == options.temperature)
    #expect(try value("guidance") == options.guidance)
    #expect(try value("top-k") == Float(options.topK))
    #expect(try value("top-p") == options.topP)
  }

  @Test func theStyleBeginsWithThatOfAllPages() throws {
    let style = try Self.text("/page.css")
    #expect(style.hasPrefix(PageTemplate.style))
    #expect(style.ranges(of: "{").count == style.ranges(of: "}").count)
    // A color that is named but not set would be black in the dark.
    let named = Set(style.matches(of: /var\((--[a-z-]+)\)/).map { String($0.1) })
    let set = Set(style.matches(of: /(--[a-z-]+):/).map { String($0.1) })
    #expect(named.subtracting(set) == [])
  }

  @Test func everyFileSaysWhatItIs() {
    let types = [
      "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
      "/": "text/html; charset=utf-8",
    ]
    for file in ServerPage.files() {
      #expect(file.contentType == types[file.path.split(separator: ".").last.map(String.init) ?? ""], "\(file.path)")
      #expect(!file.content.isEmpty)
    }
    #expect(Set(ServerPage.files().map(\.path)).count == ServerPage.files().count)
  }
}
