import NN
import Optimization
import TensorCore
import Testing

struct ParameterStoreTests {
  @Test(arguments: [ElementType.float32, .bfloat16])
  func keepsValuesInFlatMemory(precision: ElementType) throws {
    var initializer = Initializer(seed: 1)
    let layer = Linear(5, 7, &initializer)
    layer.bias?.overwrite(with: Tensor.normal([7], seed: 2, stream: 1))
    let before = layer.parameters().map(\.value.scalars)
    let store = ParameterStore(layer, precision: precision)
    #expect(store.names == ["weight", "bias"])
    #expect(store.ranges == [0..<35, 48..<55])
    #expect(store.values.count == 64)
    #expect(layer.parameters().map(\.value.scalars) == before)
    let flat = store.values.scalars
    #expect(Array(flat[0..<35]) == before[0] && Array(flat[48..<55]) == before[1])
    #expect((flat[35..<48] + flat[55...]).allSatisfy { $0 == 0 })
    #expect(store.named(store.values).map(\.tensor.scalars) == before)

    // The parameters read the flat memory.
    store.values.withUnsafeMutableFloats { $0[48] = 1.2345 }
    #expect(layer.bias?.value.scalars.first == 1.2345)
    store.refreshOperands()
    #expect((store.operands != nil) == (precision == .bfloat16))
    if let operands = store.operands {
      #expect(operands.scalars == store.values.cast(to: .bfloat16).scalars)
      #expect(layer.weight(as: .bfloat16).scalars == layer.weight.value.cast(to: .bfloat16).scalars)
    }
    let memory = Tensor(Array(0..<64).map(Float.init), shape: [64])
    #expect(try #require(store.slice(of: memory, for: layer.weight)).shape == [7, 5])
    #expect(store.slice(of: memory, for: try #require(layer.bias))?.scalars == [48, 49, 50, 51, 52, 53, 54])
    #expect(store.slice(of: memory, for: Parameter(.zeros([1]))) == nil)
  }
  /// What `value` gives is the parameter's memory, and a copy of it is not.
  @Test(arguments: [ElementType.float32, .bfloat16])
  func valuesFromOutsideReachAllThatSharesTheMemory(precision: ElementType) throws {
    var initializer = Initializer(seed: 1)
    let layer = Linear(3, 4, &initializer)
    let store = ParameterStore(layer, precision: precision)
    let (shared, copy) = (layer.weight.value, layer.weight.value.copied())
    let before = copy.scalars
    let new = Tensor.normal([4, 3], seed: 2, stream: 1)
    layer.weight.overwrite(with: new)
    #expect(layer.weight.value.scalars == new.scalars && shared.scalars == new.scalars)
    #expect(Array(store.values.scalars.prefix(12)) == new.scalars && copy.scalars == before)
    #expect(layer.weight(as: .bfloat16).scalars == new.cast(to: .bfloat16).scalars)
    // It holds numbers of its own.
    layer.weight.overwrite(with: .zeros([4, 3]))
    #expect(new.scalars != shared.scalars)

    let buffer = Buffer(Tensor([1, 2], shape: [2]))
    buffer.overwrite(with: Tensor([3, 4], shape: [2]))
    #expect(buffer.value.scalars == [3, 4])
  }
}
