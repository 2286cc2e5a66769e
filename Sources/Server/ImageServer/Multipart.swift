import Foundation

/// A form of several parts (multipart/form-data, RFC 7578 and RFC 2046 section 5.1), read whole.
struct MultipartForm: Sendable {
  struct Part: Sendable, Equatable {
    var name: String
    /// Nil for a plain field.
    var fileName: String?
    var content: Data
  }

  var parts: [Part]

  /// Far more than the interface has fields.
  static let mostParts = 64
  private static let longestHeader = 4096

  /// - Parameters:
  ///   - body: the whole body.
  ///   - contentType: the request's header, which has the boundary.
  /// - Throws: what is wrong with it.
  init(_ body: Data, contentType: String) throws(APIError) {
    guard let boundary = HeaderValue(contentType).parameters["boundary"], (1...70).contains(boundary.utf8.count) else {
      throw .badRequest("the header Content-Type names no boundary of 1 to 70 characters")
    }
    let body = [UInt8](body)
    let delimiter = Array("--\(boundary)".utf8)
    parts = []
    // What stands before the first delimiter is no part. A delimiter begins a line.
    guard var position = Self.delimiterEnd(delimiter, in: body, from: 0, isFirst: true) else {
      throw .badRequest("the form has no part: its boundary is not in the body")
    }
    while true {
      if body[position...].starts(with: "--".utf8) { return }
      // Spaces may follow, and the end of the line.
      guard let line = Self.endOfLine(body, from: position),
        body[position..<line - 2].allSatisfy({ $0 == 0x20 || $0 == 0x09 })
      else {
        throw .badRequest("the form ends in the middle of a boundary")
      }
      guard parts.count < Self.mostParts else {
        throw .badRequest("the form has more than \(Self.mostParts) parts")
      }
      let (header, start) = try Self.header(body, from: line)
      guard let end = Self.next(Array("\r\n".utf8) + delimiter, in: body, from: start - 2) else {
        throw .badRequest("the form ends in the middle of a part")
      }
      parts.append(try Self.part(header, Data(body[start..<max(start, end)])))
      position = end + 2 + delimiter.count
    }
  }

  private static func part(_ header: [String: String], _ content: Data) throws(APIError) -> Part {
    let disposition = HeaderValue(header["content-disposition"] ?? "")
    guard disposition.value == "form-data", let name = disposition.parameters["name"], !name.isEmpty else {
      throw .badRequest("a part of the form has no name: Content-Disposition: form-data; name=\"…\" is missing")
    }
    if let encoding = header["content-transfer-encoding"]?.lowercased(), !["binary", "8bit", "7bit"].contains(encoding)
    {
      throw .badRequest("the part is in the encoding \(encoding.prefix(40)), and only binary is read", name)
    }
    return Part(name: name, fileName: disposition.parameters["filename"], content: content)
  }

  /// The lines up to an empty one, by their names in lower case, and where the content begins.
  private static func header(_ body: [UInt8], from start: Int) throws(APIError) -> ([String: String], Int) {
    var fields: [String: String] = [:]
    var position = start
    while true {
      guard let next = endOfLine(body, from: position), next - start <= longestHeader else {
        throw .badRequest("the header of a part does not end, or is longer than \(longestHeader) bytes")
      }
      let line = String(decoding: body[position..<next - 2], as: UTF8.self)
      position = next
      if line.isEmpty { return (fields, position) }
      guard let colon = line.firstIndex(of: ":") else {
        throw .badRequest("a line in the header of a part has no colon")
      }
      fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
  }

  /// Behind the next CR LF.
  private static func endOfLine(_ body: [UInt8], from start: Int) -> Int? {
    next([0x0D, 0x0A], in: body, from: start).map { $0 + 2 }
  }

  private static func delimiterEnd(_ delimiter: [UInt8], in body: [UInt8], from start: Int, isFirst: Bool) -> Int? {
    if body.starts(with: delimiter) { return delimiter.count }
    return next(Array("\r\n".utf8) + delimiter, in: body, from: start).map { $0 + 2 + delimiter.count }
  }

  /// Where a sequence of bytes stands next. Bytes are skipped by the system's search for the first of them.
  private static func next(_ bytes: [UInt8], in body: [UInt8], from start: Int) -> Int? {
    guard start >= 0, body.count >= bytes.count else { return nil }
    return body.withUnsafeBufferPointer { body in
      var position = start
      while position + bytes.count <= body.count {
        guard let base = body.baseAddress,
          let found = memchr(base + position, Int32(bytes[0]), body.count - bytes.count + 1 - position)
        else { return nil }
        position = UnsafeRawPointer(found) - UnsafeRawPointer(base)
        if memcmp(base + position, bytes, bytes.count) == 0 { return position }
        position += 1
      }
      return nil
    }
  }
}

/// A header with parameters: `form-data; name="image"; filename="a \"b\".png"`.
struct HeaderValue: Sendable, Equatable {
  /// In lower case.
  var value: String
  /// By their names in lower case.
  var parameters: [String: String] = [:]

  init(_ text: String) {
    var rest = Substring(text)
    value = Self.token(&rest).lowercased()
    while rest.first == ";" {
      rest.removeFirst()
      let name = Self.token(&rest, until: "=;").lowercased()
      guard rest.first == "=" else { continue }
      rest.removeFirst()
      rest = rest.drop { $0 == " " || $0 == "\t" }
      parameters[name] = rest.first == "\"" ? Self.quoted(&rest) : Self.token(&rest)
    }
  }

  private static func token(_ text: inout Substring, until end: String = ";") -> String {
    let token = text.prefix { !end.contains($0) }
    text = text[token.endIndex...]
    return token.trimmingCharacters(in: .whitespaces)
  }

  private static func quoted(_ text: inout Substring) -> String {
    var value = ""
    text.removeFirst()
    while let character = text.popFirst(), character != "\"" {
      // Browsers write %22 for a quotation mark and leave a backslash as it is; others write \".
      if character == "\\", let next = text.first, next == "\"" || next == "\\" {
        value.append(next)
        text.removeFirst()
      } else {
        value.append(character)
      }
    }
    text = text.drop { $0 != ";" }
    return value
  }
}
