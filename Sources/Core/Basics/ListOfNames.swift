extension Array where Element: RawRepresentable<String> & CaseIterable {
  /// - Parameters:
  ///   - list: the kinds with commas between them.
  ///   - setting: what the message calls what they are for.
  /// - Throws: `PipelineError` of kind `.usage` where one is none.
  public init(list: String, setting: String) throws(PipelineError) {
    self = []
    for name in list.split(separator: ",", omittingEmptySubsequences: false) {
      guard let kind = Element(rawValue: String(name)) else {
        let known = Element.allCases.map(\.rawValue)
        throw PipelineError(
          .usage,
          "\(setting) must be a list of \(known.joined(separator: ", ")) with commas between, such as "
            + "\(known.suffix(2).joined(separator: ",")), not \"\(list)\"")
      }
      append(kind)
    }
  }

  /// The kinds with commas between them.
  public var list: String { map(\.rawValue).joined(separator: ",") }
}
