import Basics

/// What the library says, in the words of the command line.
package enum FlagNames {
  /// Flags that are not called as the settings are.
  private static let exceptions = [
    "bound": "--steps, --epochs or --minutes", "isWarmStart": "--warm-start", "keptRows": "--keep-rows",
    "side": "--size", "augmentation": "--maximum-shift, --maximum-scaling or --horizontal-flip",
    "imageTokenizerKind": "--kind", "priorKind": "--kind",
  ]

  /// The message with the flag in the place of each setting, which is marked as code.
  package static func spelled(_ message: String) -> String {
    message.replacing(#/`([a-z][A-Za-z]*)`/#) { match in
      let name = String(match.output.1)
      return exceptions[name] ?? "--" + kebab(name)
    }
  }

  /// "train-prior" of "TrainPrior" and "trainPrior".
  package static func kebab(_ name: String) -> String {
    name.enumerated().map { $1.isUppercase ? ($0 > 0 ? "-" : "") + $1.lowercased() : String($1) }.joined()
  }
}

extension PipelineError {
  /// What a process exits with that failed so: of BSD's `sysexits`, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CANTCREAT, EX_IOERR.
  package var exitCode: Int32 {
    switch kind {
    case .usage: 64
    case .badData: 65
    case .noInput: 66
    case .cannotCreate: 73
    case .inputOutput: 74
    }
  }
}
