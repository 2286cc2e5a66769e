import Foundation
import TestSupport
import Testing

/// What only a browser can tell. One test at a time: each has a browser and a server of its own.
@Suite(.serialized, .enabled(if: Browser.isWanted, Browser.absence)) struct BrowserTests {}

/// Debian's `chromium` without a window, driven by its `chromium-driver`.
final class Browser {
  /// The program that drives it, where it is installed.
  static let driver = ["/usr/bin/chromedriver", "/usr/local/bin/chromedriver"].map { URL(filePath: $0) }
    .first { FileManager.default.isExecutableFile(atPath: $0.path) }
  /// Where it is missing, tests with a browser are skipped; but not where all must be run.
  static let isWanted = driver != nil || ProcessInfo.processInfo.environment["CI"] != nil

  static let absence: Comment = "Debian's chromium-driver is missing: .ci/install chromium chromium-driver"
  /// Whether the page has heard from the server, and shows what it has kept.
  static let knowsModels = """
    document.getElementById('model-facts').textContent !== ''
      && document.querySelector('main').getAttribute('aria-busy') === 'false'
    """
  /// How many drawings on the page are complete.
  static let completeDrawings = "document.querySelectorAll('.drawing:not(.is-under-way)').length"

  /// Keys that are not characters. https://www.w3.org/TR/webdriver2/#keyboard-actions
  enum Key {
    static let tab = "\u{E004}"
    static let enter = "\u{E007}"
    static let down = "\u{E015}"
  }

  private let process: LocalProcess
  private let driver: WebDriver
  private let downloads: TemporaryFolder

  /// Starts it, with an empty profile.
  private init() async throws {
    let program = try #require(Self.driver, Self.absence)
    process = try LocalProcess(program, ["--port=0"])
    let process = process
    try await until("the driver listens") { process.output.contains(/successfully on port \d+/) }
    let port = try #require(process.output.firstMatch(of: /successfully on port (\d+)/)).1
    // The sandbox refuses to run as root; a container's shared memory may be too small.
    let arguments =
      ["--headless=new", "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage"]
      + (getuid() == 0 ? ["--no-sandbox"] : [])
    driver = try await WebDriver(
      port: try #require(UInt16(port)),
      capabilities: [
        "goog:chromeOptions": ["args": arguments],
        "goog:loggingPrefs": ["browser": "ALL", "performance": "ALL"],
        // In milliseconds; half a minute of a machine that stands still would be too long.
        "timeouts": ["script": 3_600_000, "pageLoad": 3_600_000],
      ])
    downloads = try TemporaryFolder()
    try await command("Browser.setDownloadBehavior", ["behavior": "allow", "downloadPath": downloads.url.path])
    try await resize(width: 1400, height: 1000)
  }

  /// Calls `body` with a new browser, and checks that its page had nothing to complain of and asked nobody but `server`.
  /// - Parameter isOpen: whether the page shall know its models before `body` is called.
  static func visit(
    _ server: LocalServer, isOpen: Bool = true, _ body: (Browser) async throws -> Void
  ) async throws {
    let browser = try await Browser()
    let result: Result<Void, any Error>
    do {
      try await browser.driver.post("url", ["url": server.address])
      if isOpen { try await browser.wait(for: knowsModels) }
      result = .success(try await body(browser))
    } catch {
      result = .failure(error)
    }
    #expect(try await browser.complaints(except: server.expectedComplaints) == [])
    #expect(try await browser.addresses().filter { !$0.hasPrefix(server.address) } == [])
    try await browser.driver.quit()
    try result.get()
  }

  func reload() async throws {
    try await driver.post("refresh")
    try await wait(for: Self.knowsModels)
  }

  /// The value of a JavaScript expression.
  @discardableResult
  func value(_ expression: String) async throws -> Any {
    try await driver.post("execute/sync", ["script": "return (\(expression))", "args": []])
  }

  func text(_ expression: String) async throws -> String { try #require(try await value(expression) as? String) }
  func number(_ expression: String) async throws -> Int { try #require(try await value(expression) as? Int) }

  /// What a promise brings.
  func promise(_ expression: String) async throws -> Any {
    let script = "const done = arguments[0]; (\(expression)).then(done, (error) => done(String(error)))"
    return try await driver.post("execute/async", ["script": script, "args": []])
  }

  /// Waits until a JavaScript expression is true.
  func wait(for expression: String) async throws {
    let browser = self
    do {
      try await until(expression) { try await browser.value(expression) as? Bool == true }
    } catch {
      let words = try await text("document.querySelector('main').innerText")
      Issue.record("\(error); the page says: \(words.prefix(2000))")
      throw error
    }
  }

  /// Presses and releases keys, one after the other, wherever the focus is.
  func press(_ keys: String) async throws {
    let actions = keys.flatMap { key in ["keyDown", "keyUp"].map { ["type": $0, "value": String(key)] } }
    try await driver.post("actions", ["actions": [["type": "key", "id": "keyboard", "actions": actions]]])
  }

  /// Goes on by the Tab key until the focus is on an element.
  func tab(to selector: String) async throws {
    for _ in 0..<80 {
      try await press(Key.tab)
      if try await value("document.activeElement.matches('\(selector)')") as? Bool == true {
        // Whoever has no mouse must see where they are.
        #expect(try await text("getComputedStyle(document.activeElement).outlineStyle") == "solid", "\(selector)")
        return
      }
    }
    Issue.record("the Tab key never comes to \(selector)")
  }

  func click(_ selector: String) async throws { try await driver.post("element/\(try await element(selector))/click") }

  /// Types into a field, or names a file for one.
  func type(_ text: String, into selector: String) async throws {
    try await driver.post("element/\(try await element(selector))/value", ["text": text])
  }

  /// Presses the mouse in the middle of an element, moves it down by so many pixels, and lets go.
  func drag(_ selector: String, down pixels: Int) async throws {
    let origin = ["element-6066-11e4-a52e-4f735466cecf": try await element(selector)]
    try await driver.post(
      "actions",
      [
        "actions": [
          [
            "type": "pointer", "id": "mouse",
            "actions": [
              ["type": "pointerMove", "origin": origin, "x": 0, "y": 0], ["type": "pointerDown", "button": 0],
              ["type": "pointerMove", "origin": "pointer", "x": 0, "y": pixels], ["type": "pointerUp", "button": 0],
            ],
          ]
        ]
      ])
  }

  private func element(_ selector: String) async throws -> String {
    let reply = try await driver.post("element", ["using": "css selector", "value": selector])
    return try #require((reply as? [String: String])?.values.first)
  }

  /// What a click on a link downloads.
  func download(_ selector: String) async throws -> URL {
    func file() throws -> String? {
      let all = try FileManager.default.contentsOfDirectory(atPath: downloads.url.path)
      return all.contains { $0.hasSuffix(".crdownload") } ? nil : all.first { $0.hasSuffix(".png") }
    }
    try await click(selector)
    try await until("the download is there") { try file() != nil }
    let name = try #require(try file())
    // Out of the way: a later one may have the same name, and would replace it.
    let folder = downloads.path(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try FileManager.default.moveItem(at: downloads.path(name), to: folder.appending(path: name))
    return folder.appending(path: name)
  }

  /// Sends a command of the DevTools protocol. https://chromedevtools.github.io/devtools-protocol/
  @discardableResult
  func command(_ name: String, _ parameters: [String: Any]) async throws -> Any {
    try await driver.post("goog/cdp/execute", ["cmd": name, "params": parameters])
  }

  func resize(width: Int, height: Int) async throws {
    try await command(
      "Emulation.setDeviceMetricsOverride",
      ["width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600])
  }

  /// What the person has chosen for the whole system, such as "prefers-color-scheme".
  func prefer(_ feature: String, _ value: String) async throws {
    try await command("Emulation.setEmulatedMedia", ["features": [["name": feature, "value": value]]])
  }

  /// The whole page as a PNG.
  func screenshot() async throws -> Data {
    let reply = try await command("Page.captureScreenshot", ["format": "png", "captureBeyondViewport": true])
    let base64 = try #require((reply as? [String: String])?["data"])
    return try #require(Data(base64Encoded: base64))
  }

  private func log(_ type: String) async throws -> [String] {
    let entries = try #require(try await driver.post("se/log", ["type": type]) as? [[String: Any]])
    return entries.compactMap { $0["message"] as? String }
  }

  /// What stands in the browser's console.
  private func complaints(except expected: [String]) async throws -> [String] {
    try await log("browser").filter { line in !expected.contains { line.contains($0) } }
  }

  /// Every address that the page asked for, whose content is not in the address itself.
  private func addresses() async throws -> [String] {
    try await log("performance").compactMap { line in
      let entry = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      let message = entry?["message"] as? [String: Any]
      guard message?["method"] as? String == "Network.requestWillBeSent" else { return nil }
      let request = (message?["params"] as? [String: Any])?["request"] as? [String: Any]
      let address = try #require(request?["url"] as? String)
      return address.hasPrefix("data:") ? nil : address.replacing(/^blob:/, with: "")
    }
  }
}
