import ArrayFiles
import Basics
import Foundation
import LinearAlgebra
import TensorCore

/// A rung that can be written to one safetensors file, whose metadata name the model and describe its shape.
public protocol WritableModel: GenerativeModel {
  /// The model's shape and how it was fitted.
  associatedtype Configuration: Codable & Sendable

  /// What `model` in the file's metadata says.
  var modelName: String { get }
  var configuration: Configuration { get }
  /// The fitted numbers of a classical model.
  var matrices: [(name: String, matrix: Matrix)] { get }
  /// The fitted numbers of a network.
  var tensors: [(name: String, tensor: Tensor)] { get }
}

extension WritableModel {
  public var matrices: [(name: String, matrix: Matrix)] { [] }
  public var tensors: [(name: String, tensor: Tensor)] { [] }

  /// - Throws: `PipelineError` where the file cannot be written; what was there before then stays.
  public func write(to url: URL) throws(PipelineError) {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys]
    guard let json = try? encoder.encode(configuration) else {
      throw PipelineError(.inputOutput, "cannot describe the model for \(url.path)")
    }
    try SafeTensors.write(
      tensors, matrices: matrices,
      metadata: ["model": modelName, "configuration": String(decoding: json, as: UTF8.self)], to: url)
  }

  /// The configuration that ``write(to:)`` has put into a file's metadata, as JSON; nil where it is not one of this model.
  public static func configuration(json: String) -> Configuration? {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try? decoder.decode(Configuration.self, from: Data(json.utf8))
  }
}

/// A rung of one kind, whose files are told by its name.
public protocol SavedModel: WritableModel {
  /// What `model` in the file's metadata says, and what the command line calls it.
  static var name: String { get }

  /// - Throws: `PipelineError` of kind `.badData` where the file's numbers do not fit the configuration.
  init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError)
}

extension SavedModel {
  public var modelName: String { Self.name }

  /// - Throws: `PipelineError` of kind `.noInput` where there is no file, `.badData` where it holds no such model.
  public init(contentsOf url: URL) throws(PipelineError) {
    try self.init(SafeTensors(contentsOf: url), path: url.path)
  }

  /// - Parameters:
  ///   - file: as opened.
  ///   - path: what messages call the file.
  public init(_ file: SafeTensors, path: String) throws(PipelineError) {
    guard file.metadata["model"] == Self.name, let json = file.metadata["configuration"] else {
      throw PipelineError(.badData, "\(path) holds no model of kind \(Self.name)")
    }
    guard let configuration = Self.configuration(json: json) else {
      throw PipelineError(.badData, "\(path) does not describe its \(Self.name) as this version does")
    }
    try self.init(configuration, from: file)
  }
}

extension Matrix {
  /// - Throws: `PipelineError` of kind `.badData` where there are no rows or columns, or an element is not finite.
  func checkData() throws(PipelineError) {
    guard rows > 0, columns > 0 else { throw PipelineError(.badData, "the matrix is empty: \(rows)×\(columns)") }
    guard isFinite else {
      let at = elements.firstIndex { !$0.isFinite } ?? 0
      throw PipelineError(
        .badData, "the element in row \(at / columns), column \(at % columns) of the matrix is \(elements[at])")
    }
  }

  /// - Throws: also where there are not as many columns as the model has dimensions.
  func checkData(dimensions: Int) throws(PipelineError) {
    guard columns == dimensions else {
      throw PipelineError(.badData, "the matrix has \(columns) columns, and the model was fitted to \(dimensions)")
    }
    try checkData()
  }
}

extension SafeTensors {
  /// A matrix of a known shape.
  func matrix(_ name: String, rows: Int, columns: Int) throws(PipelineError) -> Matrix {
    let matrix = try matrix(name)
    guard matrix.rows == rows, matrix.columns == columns, matrix.isFinite else {
      throw PipelineError(
        .badData, "\(name) is \(matrix.rows)×\(matrix.columns) where finite \(rows)×\(columns) is expected")
    }
    return matrix
  }
}
