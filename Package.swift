// swift-tools-version: 6.1
import PackageDescription

/// Compiled into C and Swift alike, so that code without oneDNN says so at compile time.
let oneDNN = BuildSettingCondition.when(traits: ["OneDNN"])

let package = Package(
  name: "DALLE",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "DALLE", targets: ["DALLE"]),
    .executable(name: "dalle-cli", targets: ["dalle-cli"]),
  ],
  traits: [
    .trait(name: "OneDNN", description: "Matrix products and convolutions by oneDNN, bfloat16 above all."),
    .default(enabledTraits: ["OneDNN"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
  ],
  targets: [
    // System libraries.
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg62-turbo-dev"])]),
    .systemLibrary(name: "CFreeType", pkgConfig: "freetype2", providers: [.apt(["libfreetype-dev"])]),
    .systemLibrary(name: "CHarfBuzz", pkgConfig: "harfbuzz", providers: [.apt(["libharfbuzz-dev"])]),

    // The numerical core.
    .target(
      name: "CKernels", dependencies: ["COpenBLAS"],
      cSettings: [.define("DALLE_ONEDNN", oneDNN)],
      linkerSettings: [.linkedLibrary("dnnl", oneDNN), .linkedLibrary("gomp", oneDNN), .linkedLibrary("m")]),
    .target(name: "TensorCore", dependencies: ["CKernels"]),
    .target(name: "NN", dependencies: ["TensorCore"]),

    // Pictures, text and data sets: these know no model.
    .target(name: "Media", dependencies: ["TensorCore", "CPNG", "CJPEG"]),
    .target(
      name: "TextTokenizer",
      dependencies: ["TensorCore", .product(name: "HeapModule", package: "swift-collections")]),
    .target(name: "Corpus", dependencies: ["Media", "TextTokenizer", "CFreeType", "CHarfBuzz", "CZlib"]),

    // Models, what joins them, and the command line.
    .target(name: "LatentModels", dependencies: ["NN"]),
    .target(name: "Priors", dependencies: ["NN"]),
    .target(name: "DALLE", dependencies: ["LatentModels", "Priors", "Media", "TextTokenizer", "Corpus"]),
    .executableTarget(
      name: "dalle-cli",
      dependencies: ["DALLE", .product(name: "ArgumentParser", package: "swift-argument-parser")]),

    // What several test targets share: fixtures and comparisons.
    .target(name: "TestSupport", dependencies: ["NN"], path: "Tests/TestSupport"),
    .testTarget(name: "TensorCoreTests", dependencies: ["TensorCore", "TestSupport"]),
    .testTarget(name: "NNTests", dependencies: ["NN", "TestSupport"]),
    .testTarget(name: "MediaTests", dependencies: ["Media"]),
    .testTarget(name: "TextTokenizerTests", dependencies: ["TextTokenizer"]),
    .testTarget(name: "CorpusTests", dependencies: ["Corpus"]),
    .testTarget(name: "LatentModelsTests", dependencies: ["LatentModels", "TestSupport"]),
    .testTarget(name: "PriorsTests", dependencies: ["Priors", "TestSupport"]),
    .testTarget(name: "DALLETests", dependencies: ["DALLE"]),
    .testTarget(name: "CommandTests", dependencies: ["dalle-cli", "DALLE"]),
  ],
  swiftLanguageModes: [.v6]
)
