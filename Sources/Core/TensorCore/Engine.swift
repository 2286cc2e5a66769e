import CKernels

/// What carries out matrix products and convolutions in this build on this machine.
public enum Engine {
  /// For reports: library and version.
  public static var name: String { String(cString: ck_engine_name()) }

  /// The precision to train in unless told otherwise: bfloat16 where the CPU multiplies it faster.
  public static var preferredPrecision: ElementType { ck_engine_has_fast_bfloat16() ? .bfloat16 : .float32 }
}
