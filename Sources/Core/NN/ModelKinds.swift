import Basics

/// The kinds of models that there are for one purpose, in a list: a new one is one line there.
public protocol ModelKinds: Sendable {
  /// `any` of the protocol that the configurations of all kinds conform to.
  associatedtype Configuration: Sendable
  /// `any` of the protocol that the configurations of those kinds conform to that are trained here, and not only read.
  associatedtype Trainable: Sendable
  /// What the models are, for messages: "image tokenizer".
  static var noun: String { get }
  /// Each conforms to ``Configuration``'s protocol. The first is taken where nothing is said.
  static var all: [any ListedConfiguration.Type] { get }
  /// The kind of a description that names none; nil where each must.
  static var implied: String? { get }
}

/// One of the kinds, by its name.
public struct Kind<Kinds: ModelKinds>: RawRepresentable, Codable, Hashable, Sendable, CaseIterable {
  public let rawValue: String

  /// Nil where there is no such kind.
  public init?(rawValue: String) {
    guard Kinds.all.contains(where: { $0.kind == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  /// - Parameter type: of the list.
  public init(_ type: any ListedConfiguration.Type) { rawValue = type.kind }

  public static var allCases: [Self] { Kinds.all.map(Self.init) }
  /// Those that are trained here.
  public static var trainable: [Self] { allCases.filter { $0.type is any TrainableConfiguration.Type } }
  /// The one that is taken where nothing is said.
  public static var standard: Self { Self(Kinds.all[0]) }

  package var type: any ListedConfiguration.Type {
    guard let type = Kinds.all.first(where: { $0.kind == rawValue }) else {
      preconditionFailure("no \(Kinds.noun) is of kind \(rawValue)")
    }
    return type
  }

  /// What a person calls it.
  public var title: String { type.title }

  /// - Throws: `PipelineError` of kind `.usage` where models of this kind are not trained here.
  public func preset(_ preset: Preset) throws(PipelineError) -> Kinds.Trainable {
    guard let type = type as? any (ListedConfiguration & TrainableConfiguration).Type else { throw isNotTrained }
    return try AnyConfiguration<Kinds>(type.preset(preset)).trainable()
  }

  fileprivate var isNotTrained: PipelineError {
    PipelineError(.usage, "a \(Kinds.noun) of kind \(rawValue) only draws: it cannot be trained")
  }
}

/// The shape of a model of any of the kinds. In JSON its fields stand beside `kind`.
@dynamicMemberLookup
public struct AnyConfiguration<Kinds: ModelKinds>: Codable, Sendable, Equatable {
  private var listed: any ListedConfiguration

  /// - Parameter listed: of a kind in the list.
  public init(_ listed: any ListedConfiguration) { self.listed = listed }

  public var kind: Kind<Kinds> { Kind(type(of: listed)) }

  /// The kind's own configuration.
  public var base: Kinds.Configuration {
    get {
      guard let base = listed as? Kinds.Configuration else {
        preconditionFailure("\(type(of: listed)) is not the configuration of a \(Kinds.noun)")
      }
      return base
    }
    set {
      guard let new = newValue as? any ListedConfiguration else { preconditionFailure("\(newValue) has no kind") }
      listed = new
    }
  }

  /// The kind's own configuration, to be trained.
  /// - Throws: `PipelineError` of kind `.usage` where models of this kind are not trained here.
  public func trainable() throws(PipelineError) -> Kinds.Trainable {
    guard let trainable = listed as? Kinds.Trainable else { throw kind.isNotTrained }
    return trainable
  }

  public subscript<Value>(dynamicMember path: KeyPath<Kinds.Configuration, Value>) -> Value { base[keyPath: path] }

  public subscript<Value>(dynamicMember path: WritableKeyPath<Kinds.Configuration, Value>) -> Value {
    get { base[keyPath: path] }
    set { base[keyPath: path] = newValue }
  }

  private enum CodingKeys: CodingKey { case kind }

  public init(from decoder: any Decoder) throws {
    let name = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(String.self, forKey: .kind)
    guard let name = name ?? Kinds.implied else {
      throw PipelineError(.badData, "the \(Kinds.noun) names no kind")
    }
    guard let kind = Kind<Kinds>(rawValue: name) else {
      throw PipelineError(.badData, "the \(Kinds.noun) is of kind \(name), which this version does not know")
    }
    listed = try kind.type.init(from: decoder)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind.rawValue, forKey: .kind)
    try listed.encode(to: encoder)
  }

  public static func == (a: Self, b: Self) -> Bool {
    func isEqual<C: ListedConfiguration>(_ a: C) -> Bool { a == b.listed as? C }
    return isEqual(a.listed)
  }
}
