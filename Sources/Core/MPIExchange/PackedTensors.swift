import NN
import TensorCore

/// Tensors of replicas as bytes, to be sent to processes of the same program.
enum PackedTensors {
  static func packed(_ replicas: [[NamedTensor]]) -> [UInt8] {
    var bytes: [UInt8] = []
    for tensor in replicas.joined().map(\.tensor) {
      let header = [tensor.shape.count] + tensor.shape
      header.withUnsafeBytes { bytes += $0 }
      tensor.withUnsafeBytes { bytes += $0 }
    }
    return bytes
  }

  /// - Parameter like: has as many replicas, whose tensors have the same names, types and numbers of axes.
  static func unpacked(_ bytes: ArraySlice<UInt8>, like replicas: [[NamedTensor]]) -> [[NamedTensor]] {
    bytes.withUnsafeBytes { bytes in
      var place = 0
      func integer() -> Int {
        defer { place += MemoryLayout<Int>.size }
        return bytes.loadUnaligned(fromByteOffset: place, as: Int.self)
      }
      return replicas.map { replica in
        replica.map { name, like in
          let shape = (0..<integer()).map { _ in integer() }
          let tensor = Tensor.zeros(shape, type: like.type)
          let size = tensor.count * like.type.size
          tensor.withUnsafeMutableBytes {
            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[place..<place + size]))
          }
          place += size
          return (name, tensor)
        }
      }
    }
  }
}
