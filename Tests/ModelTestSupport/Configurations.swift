import Basics
import Foundation
import NN

/// The integer fields of a shape that may be -1 or 2⁶³ - 1 without being named in a refusal. It should be none.
public func uncheckedFields<Configuration: ModelConfiguration>(of configuration: Configuration) throws -> [String] {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  let json = try JSONSerialization.jsonObject(with: encoder.encode(configuration))
  guard let fields = json as? [String: Any] else { return ["the configuration is no JSON object"] }
  var unchecked: [String] = []
  for (name, value) in fields where value is Int {
    for absurd in [-1, Int.max] {
      var changed = fields
      changed[name] = absurd
      let data = try JSONSerialization.data(withJSONObject: changed)
      do throws(PipelineError) {
        guard let configuration = try? decoder.decode(Configuration.self, from: data) else { continue }
        try configuration.validate()
        unchecked.append(name)
      } catch {
        if !error.message.contains(name) { unchecked.append("\(name): \(error.message)") }
      }
    }
  }
  return unchecked
}

/// A shape after a trip through JSON as it stands in files.
public func afterJSON<Value: Codable>(_ value: Value) throws -> Value {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try decoder.decode(Value.self, from: encoder.encode(value))
}
