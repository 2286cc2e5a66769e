import Basics
import Foundation
import NN
import TensorCore

/// The codebook of a VQ-VAE, learnt by exponential moving averages (van den Oord et al. 2017, appendix A.1), with codes that
/// nobody uses moved to where data is (Dhariwal et al. 2020, section 3.1).
public struct VectorQuantizer: Module, Sendable {
  /// What vectors are quantised.
  public enum Vectors: Sendable {
    /// Vectors of length one, and so are the codes (Yu et al. 2022, section 3.2).
    case unit
    /// Vectors of any length, and the codes are their means, as in the paper.
    case any
  }

  /// e, [K, E]
  public let codebook: Buffer
  /// N, [K]: the moving average of how often each code is chosen in a step. Negative before the first step.
  public let counts: Buffer
  /// m, [K, E]: the moving average of the sum of the vectors that chose each code.
  public let sums: Buffer
  /// γ
  private let decay: Float
  private let kind: Vectors

  public init(
    codes: Int, dimensions: Int, of kind: Vectors = .unit, decay: Float = 0.98, _ initializer: inout Initializer
  ) {
    self.kind = kind
    let start = l2Normalized(initializer.normal([codes, dimensions], deviation: 1))
    codebook = Buffer(start)
    counts = Buffer(Tensor(repeating: -1, shape: [codes]))
    sums = Buffer(.zeros([codes, dimensions]))
    self.decay = decay
  }

  /// What one shard of a batch chose.
  public struct Statistics {
    /// [K] and [K, E]
    let counts, sums: Tensor
    /// Encoder outputs of the shard [N, E], where codes may be moved to.
    let vectors: Tensor
  }

  /// k(z) = argmin ‖z - e_k‖ for each row of `z` [.., E].
  public func indices(_ z: Tensor) -> [Int32] { nearestCodes(z, codebook: codebook.value) }

  /// e_k for each index.
  public func vectors(_ indices: [Int32], shape: [Int]) -> Tensor {
    embedding(codebook.value, tokens: indices, shape: shape)
  }

  func statistics(_ z: Tensor, indices: [Int32]) -> Statistics {
    let counts = Tensor.zeros(counts.value.shape)
    let sums = Tensor.zeros(sums.value.shape)
    scatterSum(z, indices: indices, counts: counts, sums: sums)
    return Statistics(counts: counts, sums: sums, vectors: z.detached().reshaped([-1, z.lastDimension]))
  }

  /// N ← γN + (1-γ)n, m ← γm + (1-γ)Σz, e ← m/N (equations 6-8 of the appendix), or m/‖m‖ for unit vectors.
  ///
  /// A code whose average use falls below a fiftieth of an even share starts anew at a random vector of the batch.
  func update(_ shards: [Statistics], step: Int, seed: UInt64) {
    let (K, E) = (codebook.value.shape[0], codebook.value.shape[1])
    let vectors = shards.map(\.vectors)
    let total = vectors.reduce(0) { $0 + $1.rows }
    let evenShare = Float(total) / Float(K)
    var random = Philox(seed: seed, stream: RandomStream.codeRevival(UInt64(step)))
    codebook.value.withUnsafeMutableFloats { e in
      counts.value.withUnsafeMutableFloats { N in
        sums.value.withUnsafeMutableFloats { m in
          let first = N[0] < 0
          for (number, shard) in shards.enumerated() {
            // The old average enters once, each shard's sums with their full weight.
            let keep = number == 0 ? decay : 1
            shard.counts.withUnsafeMutableFloats { n in
              for k in 0..<K { N[k] = keep * max(N[k], 0) + (1 - decay) * n[k] }
            }
            shard.sums.withUnsafeMutableFloats { s in
              for i in 0..<K * E { m[i] = keep * m[i] + (1 - decay) * s[i] }
            }
          }
          for k in 0..<K {
            let row = k * E
            if first || N[k] < 0.02 * evenShare {
              var pick = random.index(below: total)
              var shard = 0
              while pick >= vectors[shard].rows {
                pick -= vectors[shard].rows
                shard += 1
              }
              vectors[shard].withUnsafeMutableFloats { z in
                for j in 0..<E { m[row + j] = z[pick * E + j] * evenShare }
              }
              N[k] = evenShare
            }
            var size = N[k]
            if kind == .unit {
              size = 0
              for j in 0..<E { size += m[row + j] * m[row + j] }
              size.formSquareRoot()
            }
            let scale = 1 / max(size, 1e-12)
            for j in 0..<E { e[row + j] = m[row + j] * scale }
          }
        }
      }
    }
  }
}

extension [VectorQuantizer] {
  /// What a shard chose of each codebook.
  func statistics(_ chosen: [(z: Tensor, indices: [Int32])]) -> [NamedTensor] {
    zip(self, chosen).enumerated().flatMap { number, pair in
      let statistics = pair.0.statistics(pair.1.z, indices: pair.1.indices)
      return [
        ("quantizers.\(number).counts", statistics.counts), ("quantizers.\(number).sums", statistics.sums),
        ("quantizers.\(number).vectors", statistics.vectors),
      ]
    }
  }

  /// Updates each codebook from what the shards chose of it.
  func update(_ shards: [[NamedTensor]], step: Int, seed: UInt64) {
    for (number, quantizer) in enumerated() {
      let own = shards.map { tensors in
        let own = tensors[3 * number..<3 * number + 3].map(\.tensor)
        return VectorQuantizer.Statistics(counts: own[0], sums: own[1], vectors: own[2])
      }
      // Codebooks draw different vectors to bring dead codes back to life with.
      quantizer.update(own, step: step, seed: seed &+ UInt64(number) << 32)
    }
  }
}
