import Basics
import DataFiles
import Foundation
import Testing

@Suite struct CSVFileTests {
  private func records(_ text: String) throws -> [(line: Int, fields: [String?])] {
    try CSVFile.records(of: Data(text.utf8), name: "x.csv").map { ($0.line, $0.fields) }
  }

  private func error(_ text: String) -> String? {
    do throws(PipelineError) {
      _ = try CSVFile.records(of: Data(text.utf8), name: "x.csv")
      return nil
    } catch { return error.message }
  }

  @Test func fieldsAreReadAsTheyWereWritten() throws {
    let found = try records("\u{FEFF}a,b\r\n\r\n\"x, \"\"y\"\"\r\nz\", größer \r\n,\n\"\",last")
    #expect(found.map(\.fields) == [["a", "b"], ["x, \"y\"\r\nz", "größer"], ["", ""], ["", "last"]])
    #expect(found.map(\.line) == [1, 3, 5, 6])
    #expect(try records("").isEmpty)
    #expect(try records("\n\n").isEmpty)
    #expect(try records("a\rb\r\rc").map(\.line) == [1, 2, 4])
  }

  @Test func whatIsNotUTF8IsNoField() throws {
    let found = try CSVFile.records(of: Data("a,".utf8) + [0x63, 0xE9] + Data("\n".utf8), name: "x.csv")
    #expect(found.map(\.fields) == [["a", nil]])
  }

  @Test func quotesThatDoNotMatchAreRefused() {
    #expect(error("a,b\n1,\"open\n2,3\n")?.hasPrefix("x.csv: in the record that begins on line 2, a quote is") == true)
    #expect(error("a,b\n1,2\n3,5\" nail\n")?.contains("begins on line 3") == true)
    #expect(error("a,b\n1,\"x\"y\n")?.contains("begins on line 2") == true)
    #expect(error("a,b\n1,\"x\"") == nil)
  }

  @Test func filesCutAnywhereNeverCrash() {
    let text = Array("a,\"b\"\"c\",d\r\n\"x\ny\",,\"\"\r\n".utf8)
    for count in text.indices { _ = try? CSVFile.records(of: Data(text[..<count]), name: "cut.csv") }
  }
}
