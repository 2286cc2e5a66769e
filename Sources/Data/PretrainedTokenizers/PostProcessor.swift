/// The tokens that are put around those of a text.
struct PostProcessor: Sendable {
  private(set) var before: [Int32] = []
  private(set) var after: [Int32] = []

  /// In tokens; what is in use puts one or two.
  private static let mostTokens = 1024

  init(_ json: JSONText?, count: inout ComponentCount) throws(FileFault) {
    var isTemplate = false
    if let json { try read(json, isTemplate: &isTemplate, count: &count) }
  }

  private mutating func read(
    _ json: JSONText, isTemplate: inout Bool, count: inout ComponentCount
  ) throws(FileFault) {
    try count.add()
    let fields = try json.members("type", "processors", "single", "special_tokens")
    switch try fields.required("type", of: json.name).text() {
    case "Sequence":
      // Written by hand: a closure may not change `self` and what was handed in at once.
      var processors: [JSONText] = []
      try fields.required("processors", of: json.name).forEachElement { (element) throws(FileFault) in
        try count.add()
        processors.append(element.named("post_processor"))
      }
      for processor in processors { try read(processor, isTemplate: &isTemplate, count: &count) }
    case "ByteLevel": break
    case "TemplateProcessing":
      guard !isTemplate else { throw FileFault("it has two post-processors TemplateProcessing") }
      isTemplate = true
      try readTemplate(fields.required("single", of: json.name), tokens: fields["special_tokens"])
    case let type: throw FileFault("its post-processor \(type.utf8.shown) is not known")
    }
  }

  private mutating func readTemplate(_ json: JSONText, tokens: JSONText?) throws(FileFault) {
    var idsOfToken: [[UInt8]: [Int32]] = [:]
    try tokens?.forEachMember { (name, token) throws(FileFault) in
      guard idsOfToken.count < Self.mostTokens else {
        throw FileFault("its post-processor has too many special tokens")
      }
      var ids: [Int32] = []
      try token.members("ids").required("ids", of: json.name).forEachElement { (id) throws(FileFault) in
        guard ids.count < Self.mostTokens else { throw FileFault("its post-processor has too many special tokens") }
        ids.append(try id.named("an id of the special token \"\(name.shown)\"").integer(upTo: BytePairModel.largestId))
      }
      idsOfToken[name] = ids
    }
    var before: [Int32] = []
    var after: [Int32] = []
    var hasText = false
    try json.forEachElement { (piece) throws(FileFault) in
      let fields = try piece.members("Sequence", "SpecialToken")
      if let sequence = fields["Sequence"] {
        guard try sequence.members("id")["id"]?.text() == "A", !hasText else {
          throw FileFault("\(json.name) does not hold the one text $A once")
        }
        hasText = true
      } else if let name = try fields["SpecialToken"]?.members("id")["id"]?.utf8() {
        guard let ids = idsOfToken[name] else {
          throw FileFault("\(json.name) names the missing token \"\(name.shown)\"")
        }
        if hasText { after += ids } else { before += ids }
        guard before.count + after.count <= Self.mostTokens else {
          throw FileFault("its post-processor has too many special tokens")
        }
      } else {
        throw FileFault("\(json.name) holds what is neither Sequence nor SpecialToken")
      }
    }
    guard hasText else { throw FileFault("\(json.name) does not hold the one text $A once") }
    (self.before, self.after) = (before, after)
  }
}
