import NN
import TensorCore

/// What replicas bring together as bytes, to be sent to processes of the same program. Replicas may bring different tensors.
enum PackedTensors {
  static func packed(_ replicas: [[NamedTensor]]) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ numbers: [Int]) { numbers.withUnsafeBytes { bytes += $0 } }
    for tensors in replicas {
      append([tensors.count])
      for (name, tensor) in tensors {
        append([name.utf8.count, tensor.type.size, tensor.shape.count] + tensor.shape)
        bytes += name.utf8
        tensor.withUnsafeBytes { bytes += $0 }
      }
    }
    return bytes
  }

  static func unpacked(_ bytes: ArraySlice<UInt8>) -> [[NamedTensor]] {
    bytes.withUnsafeBytes { bytes in
      var place = 0
      func take(_ count: Int) -> UnsafeRawBufferPointer {
        defer { place += count }
        return UnsafeRawBufferPointer(rebasing: bytes[place..<place + count])
      }
      func integer() -> Int { take(MemoryLayout<Int>.size).loadUnaligned(as: Int.self) }
      func tensor() -> NamedTensor {
        let (nameSize, elementSize, axes) = (integer(), integer(), integer())
        let shape = (0..<axes).map { _ in integer() }
        let name = String(decoding: take(nameSize), as: UTF8.self)
        let tensor = Tensor.zeros(shape, type: elementSize == ElementType.float32.size ? .float32 : .bfloat16)
        let content = take(tensor.count * elementSize)
        tensor.withUnsafeMutableBytes { $0.copyMemory(from: content) }
        return (name, tensor)
      }
      var replicas: [[NamedTensor]] = []
      while place < bytes.count { replicas.append((0..<integer()).map { _ in tensor() }) }
      return replicas
    }
  }
}
