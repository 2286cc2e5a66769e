import Basics
import CKernels

/// What a tensor's elements are.
public enum ElementType: String, Sendable, Codable {
  case float32
  /// The upper half of a float32: the operand type of fast matrix products.
  case bfloat16

  /// Bytes an element.
  public var size: Int { self == .float32 ? 4 : 2 }

  package var kernelType: ck_type { self == .float32 ? CK_FLOAT32 : CK_BFLOAT16 }
}

/// A dense, row-major, contiguous array of float32 or bfloat16.
///
/// A tensor is a value: nothing changes the elements of one that somebody else holds, but for what ``Parameter`` and
/// `Buffer` give out, which is the memory that training works on. Where it came from operations on variables while a
/// ``Tape`` was recording, it also knows its place on that tape.
///
/// Images are `[batch, height, width, channel]`, sequences `[batch, position, feature]`.
public struct Tensor: @unchecked Sendable {
  public let shape: [Int]
  public let type: ElementType
  var storage: Storage
  /// Bytes from the storage's start.
  let offset: Int
  /// The place on the tape; nil for a constant.
  var variable: Variable?

  init(shape: [Int], type: ElementType, storage: Storage, offset: Int, variable: Variable? = nil) {
    self.shape = shape
    self.type = type
    self.storage = storage
    self.offset = offset
    self.variable = variable
  }

  /// Fresh memory with unspecified contents, for an operation to write.
  package init(uninitialized shape: [Int], _ type: ElementType = .float32) {
    self.init(
      shape: shape, type: type, storage: Storage(byteCount: shape.reduce(1, *) * type.size), offset: 0)
  }

  /// The number of elements.
  public var count: Int { shape.reduce(1, *) }
  /// The last axis: channels, features, classes.
  public var lastDimension: Int { shape.last ?? 1 }
  /// The product of all axes but the last.
  public var rows: Int { shape.dropLast().reduce(1, *) }

  package var kernelType: ck_type { type.kernelType }
  package var pointer: UnsafeMutableRawPointer { storage.base + offset }
  package var floats: UnsafeMutablePointer<Float> {
    assert(type == .float32)
    return pointer.assumingMemoryBound(to: Float.self)
  }
}

// MARK: - Making tensors

extension Tensor {
  /// - Parameters:
  ///   - scalars: as many as `shape` says, row-major.
  ///   - shape: of the tensor.
  public init(_ scalars: some Collection<Float>, shape: [Int]) {
    self.init(uninitialized: shape)
    precondition(scalars.count == count, "\(scalars.count) scalars do not fill the shape \(shape)")
    _ = UnsafeMutableBufferPointer(start: floats, count: count).initialize(from: scalars)
  }

  /// A tensor of shape [].
  public init(_ scalar: Float) { self.init([scalar], shape: []) }

  public init(repeating value: Float, shape: [Int], type: ElementType = .float32) {
    self.init(uninitialized: shape, type)
    ck_fill(kernelType, pointer, value, count)
  }

  public static func zeros(_ shape: [Int], type: ElementType = .float32) -> Tensor {
    Tensor(repeating: 0, shape: shape, type: type)
  }

  /// Bytes as numbers: `scale`·byte + `offset`.
  public init(bytes: [UInt8], shape: [Int], scale: Float, offset: Float, type: ElementType = .float32) {
    self.init(uninitialized: shape, type)
    precondition(bytes.count == count, "\(bytes.count) bytes do not fill the shape \(shape)")
    ck_convert_bytes(bytes, scale, offset, kernelType, pointer, count)
  }

  /// Memory that stays to the end of the process, as it is.
  package init(permanent memory: UnsafeMutableRawPointer, shape: [Int], type: ElementType = .float32) {
    self.init(shape: shape, type: type, storage: Storage(memory, keptBy: nil), offset: 0)
  }

  /// What a file holds, where it is mapped, to be read only; or memory of no file.
  package init(_ bytes: MappedBytes, shape: [Int], type: ElementType) {
    let memory = UnsafeMutableRawPointer(mutating: bytes.pointer)
    self.init(shape: shape, type: type, storage: Storage(memory, keptBy: bytes), offset: 0)
    precondition(bytes.byteCount == count * type.size, "\(bytes.byteCount) bytes do not fill the shape \(shape)")
  }

  /// Standard normal numbers of a Philox stream.
  public static func normal(_ shape: [Int], seed: UInt64, stream: UInt64) -> Tensor {
    let result = Tensor(uninitialized: shape)
    ck_normal(result.floats, result.count, seed, stream)
    return result
  }

  /// Numbers of a Philox stream, uniform in [0, 1).
  public static func uniform(_ shape: [Int], seed: UInt64, stream: UInt64) -> Tensor {
    let result = Tensor(uninitialized: shape)
    ck_uniform(result.floats, result.count, seed, stream)
    return result
  }
}

// MARK: - Reading

extension Tensor {
  /// The elements as float32, row-major.
  public var scalars: [Float] {
    let source = converted(to: .float32)
    return withExtendedLifetime(source) {
      Array(UnsafeBufferPointer(start: source.floats, count: count))
    }
  }

  /// The element of a tensor that has one.
  public var item: Float {
    precondition(count == 1, "a tensor of shape \(shape) is not a scalar")
    return scalars[0]
  }

  /// The bytes of the elements, in this machine's order.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(storage) {
      try body(UnsafeRawBufferPointer(start: pointer, count: count * type.size))
    }
  }

  /// The elements `range` of the flattened tensor, sharing its memory.
  public func view(_ range: Range<Int>, shape: [Int]) -> Tensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= count && shape.reduce(1, *) == range.count)
    return Tensor(shape: shape, type: type, storage: storage, offset: offset + range.lowerBound * type.size)
  }

  /// This tensor without its place on a tape: gradients stop here.
  public func detached() -> Tensor {
    Tensor(shape: shape, type: type, storage: storage, offset: offset)
  }

  /// The same numbers in the other type; itself where the type is right already. Off the tape; see ``cast(to:)``.
  func converted(to type: ElementType) -> Tensor {
    if type == self.type { return detached() }
    let result = Tensor(uninitialized: shape, type)
    ck_convert(kernelType, pointer, type.kernelType, result.pointer, count)
    return result
  }
}

extension Tensor {
  /// The same numbers in memory of their own. Off the tape.
  public func copied() -> Tensor {
    let result = Tensor(uninitialized: shape, type)
    ck_convert(kernelType, pointer, kernelType, result.pointer, count)
    return result
  }
}

// MARK: - Writing in place

/// For whoever owns the memory: all tensors that share it change.
extension Tensor {
  /// The elements as bytes that may be written.
  package func withUnsafeMutableBytes<Result>(
    _ body: (UnsafeMutableRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    try withExtendedLifetime(storage) {
      try body(UnsafeMutableRawBufferPointer(start: pointer, count: count * type.size))
    }
  }

  /// The elements of a float32 tensor, which may be written.
  package func withUnsafeMutableFloats<Result>(
    _ body: (UnsafeMutableBufferPointer<Float>) throws -> Result
  ) rethrows -> Result {
    precondition(type == .float32, "the elements are \(type)")
    return try withExtendedLifetime(storage) {
      try body(UnsafeMutableBufferPointer(start: floats, count: count))
    }
  }

  /// Overwrites the elements with those of another tensor of as many, converting.
  package func overwrite(with other: Tensor) {
    precondition(other.count == count, "\(other.shape) does not fit \(shape)")
    ck_convert(other.kernelType, other.pointer, kernelType, pointer, count)
  }

  /// Overwrites the elements `range` with those of a tensor that is laid out like this one, converting.
  package func overwrite(with other: Tensor, range: Range<Int>) {
    view(range, shape: [range.count]).overwrite(with: other.view(range, shape: [range.count]))
  }
}
