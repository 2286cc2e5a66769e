import Foundation
import Testing

@testable import ImageServer

struct MultipartFormTests {
  private func parts(_ body: String, _ contentType: String = "multipart/form-data; boundary=b") throws -> [MultipartForm
    .Part]
  {
    try MultipartForm(Data(body.replacing("\n", with: "\r\n").utf8), contentType: contentType).parts
  }

  @Test func partsAreReadAsClientsWriteThem() throws {
    let part = "Content-Disposition: form-data; name=\"a\"\n\n"
    #expect(try parts("--b\n\(part)x\n--b--\n") == [.init(name: "a", content: Data("x".utf8))])
    // Empty, with line breaks, with what looks like a boundary, and two of them; text before and behind.
    #expect(try parts("before\n--b\n\(part)\n--b--").map(\.content) == [Data()])
    #expect(try parts("--b\n\(part)\nx\n\n--b--").map(\.content) == [Data("\r\nx\r\n".utf8)])
    #expect(
      try parts("--b\n\(part)x--b\n --b\n--b  \n\(part)y\n--b--\nbehind").map(\.content) == [
        Data("x--b\r\n --b".utf8), Data("y".utf8),
      ])
    // Spellings of headers.
    let spelled = try parts(
      "--b\ncontent-disposition:form-data ;NAME=a; filename=\"C:\\\\x \\\"y\\\".png\"\nX-Other: 1\n\nx\n--b--")
    #expect(spelled == [.init(name: "a", fileName: "C:\\x \"y\".png", content: Data("x".utf8))])
    #expect(try parts("--a b\n\(part)x\n--a b--", "Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"").count == 1)
    #expect(try parts("--b--") == [])
  }

  @Test func whatIsNoFormIsRefused() throws {
    let part = "Content-Disposition: form-data; name=\"a\"\n\n"
    for (body, words) in [
      ("", "no part"), ("x", "no part"), ("--c\n\(part)x\n--c--", "no part"), ("--b", "middle of a boundary"),
      ("--b\n\(part)x", "middle of a part"), ("--b\n\(part)x\n--c--", "middle of a part"),
      ("--b\nContent-Disposition: form-data; name=\"a\"", "does not end"), ("--b\nnonsense\n\nx\n--b--", "no colon"),
      ("--b\n\nx\n--b--", "no name"), ("--b\nContent-Disposition: form-data\n\nx\n--b--", "no name"),
      ("--b\nContent-Disposition: attachment; name=a\n\nx\n--b--", "no name"),
      ("--b\nContent-Disposition: form-data; name=\"\"\n\nx\n--b--", "no name"),
      ("--b\nX: \(String(repeating: "x", count: 5000))\n\nx\n--b--", "longer than"),
      ("--b\nContent-Transfer-Encoding: base64\n\(part)eA==\n--b--", "base64"),
      ("--bc\n\(part)x\n--b--", "middle of a boundary"),
      (String(repeating: "--b\n\(part)x\n", count: 65) + "--b--", "more than 64"),
    ] {
      let error = #expect(throws: APIError.self) { try parts(body) }
      #expect(error?.message.contains(words) == true, "\(body.prefix(60)): \(error?.message ?? "")")
    }
    for contentType in [
      "multipart/form-data", "multipart/form-data; boundary=",
      "multipart/form-data; boundary=\(String(repeating: "b", count: 71))",
    ] {
      #expect(throws: APIError.self) { try parts("--b--", contentType) }
    }
  }

  /// Any cut and any damage is read or refused, and nothing else.
  @Test func damageBreaksNothing() throws {
    let whole = FormPart.body([.field("prompt", "a red square"), .file("image", Data(0...255))])
    let contentType = "multipart/form-data; boundary=\(FormPart.boundary)"
    #expect(try MultipartForm(whole, contentType: contentType).parts.map(\.content.count) == [12, 256])
    for end in 0..<whole.count {
      #expect(throws: APIError.self) {
        try MultipartForm(whole.prefix(end - (end > whole.count - 3 ? 4 : 0)), contentType: contentType)
      }
    }
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var damaged = whole
      for _ in 0..<3 {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      _ = try? MultipartForm(damaged, contentType: contentType)
    }
  }
}
