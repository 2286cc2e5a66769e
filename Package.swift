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
    .executable(name: "dalle-server", targets: ["dalle-server"]),
  ],
  traits: [
    .trait(name: "OneDNN", description: "Matrix products and convolutions by oneDNN, bfloat16 above all."),
    .trait(name: "MPI", description: "Training by several processes, on one machine or many (mpirun)."),
    .default(enabledTraits: ["OneDNN"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-algorithms", from: "1.2.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
  ],
  targets: [
    // System libraries.
    .systemLibrary(
      name: "COpenBLAS", path: "Sources/Libraries/COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(
      name: "CPNG", path: "Sources/Libraries/CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(
      name: "CArchive", path: "Sources/Libraries/CArchive", pkgConfig: "libarchive",
      providers: [.apt(["libarchive-dev"])]),
    .systemLibrary(
      name: "CJPEG", path: "Sources/Libraries/CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg62-turbo-dev"])]),
    .systemLibrary(
      name: "CMPI", path: "Sources/Libraries/CMPI", pkgConfig: "ompi-c",
      providers: [.apt(["libopenmpi-dev", "openmpi-bin"])]),
    .systemLibrary(name: "CCSV", path: "Sources/Libraries/CCSV", providers: [.apt(["libcsv-dev"])]),
    .systemLibrary(
      name: "CWebP", path: "Sources/Libraries/CWebP", pkgConfig: "libwebpdemux", providers: [.apt(["libwebp-dev"])]),
    .systemLibrary(
      name: "CLittleCMS", path: "Sources/Libraries/CLittleCMS", pkgConfig: "lcms2",
      providers: [.apt(["liblcms2-dev"])]),
    .systemLibrary(
      name: "CFreeType", path: "Sources/Libraries/CFreeType", pkgConfig: "freetype2",
      providers: [.apt(["libfreetype-dev"])]),
    .systemLibrary(
      name: "CHarfBuzz", path: "Sources/Libraries/CHarfBuzz", pkgConfig: "harfbuzz",
      providers: [.apt(["libharfbuzz-dev"])]),
    .systemLibrary(
      name: "COniguruma", path: "Sources/Libraries/COniguruma", pkgConfig: "oniguruma",
      providers: [.apt(["libonig-dev"])]),

    // The numerical core.
    .target(
      name: "CKernels", dependencies: ["COpenBLAS"], path: "Sources/Core/CKernels",
      cSettings: [.headerSearchPath("."), .define("DALLE_ONEDNN", oneDNN)],
      linkerSettings: [.linkedLibrary("dnnl", oneDNN), .linkedLibrary("gomp", oneDNN), .linkedLibrary("m")]),
    .target(name: "Basics", dependencies: ["CKernels"], path: "Sources/Core/Basics"),
    .target(name: "TensorCore", dependencies: ["Basics", "CKernels"], path: "Sources/Core/TensorCore"),
    .target(name: "LinearAlgebra", dependencies: ["Basics", "CKernels"], path: "Sources/Core/LinearAlgebra"),
    .target(name: "NN", dependencies: ["Basics", "TensorCore"], path: "Sources/Core/NN"),
    .target(
      name: "Optimization", dependencies: ["Basics", "CKernels", "NN", "TensorCore"], path: "Sources/Core/Optimization"),
    .target(
      name: "MPIExchange",
      dependencies: [
        "Basics", .target(name: "CMPI", condition: .when(traits: ["MPI"])), "NN", "Optimization", "TensorCore",
      ], path: "Sources/Core/MPIExchange"),
    .target(
      name: "ArrayFiles", dependencies: ["Basics", "CArchive", "CKernels", "LinearAlgebra", "NN", "TensorCore"],
      path: "Sources/Core/ArrayFiles"),

    // Pictures, text and data sets: these know no model.
    .target(
      name: "Imaging", dependencies: ["Basics", "CJPEG", "CLittleCMS", "CPNG", "CWebP"], path: "Sources/Data/Imaging"),
    .target(
      name: "TextTokenizer", dependencies: ["Basics", .product(name: "HeapModule", package: "swift-collections")],
      path: "Sources/Data/TextTokenizer"),
    .target(
      name: "PretrainedTokenizers", dependencies: ["Basics", "COniguruma", "TextTokenizer"],
      path: "Sources/Data/PretrainedTokenizers"),
    .target(name: "Lexicon", dependencies: ["Basics"], path: "Sources/Data/Lexicon"),
    .target(name: "DataFiles", dependencies: ["Basics", "CCSV", "Imaging"], path: "Sources/Data/DataFiles"),
    .target(
      name: "Captions", dependencies: ["Basics", "Lexicon", "TextTokenizer"], path: "Sources/Data/Captions"),
    .target(
      name: "Datasets",
      dependencies: ["ArrayFiles", "Basics", "Captions", "DataFiles", "Imaging", "Lexicon", "TextTokenizer"],
      path: "Sources/Data/Datasets"),
    .target(
      name: "Compositions", dependencies: ["Basics", "Captions", "Datasets", "Imaging"],
      path: "Sources/Data/Compositions"),
    .target(
      name: "EmojiData", dependencies: ["Basics", "CFreeType", "CHarfBuzz", "Captions", "Datasets", "Imaging"],
      path: "Sources/Data/EmojiData"),
    .target(
      name: "VoiceData", dependencies: ["ArrayFiles", "Basics", "LinearAlgebra"], path: "Sources/Data/VoiceData"),

    // Models, one a file.
    .target(
      name: "ImageTokenizers", dependencies: ["Basics", "NN", "TensorCore"], path: "Sources/Models/ImageTokenizers"),
    .target(
      name: "Decoding",
      dependencies: [
        "Basics", "CKernels", "TensorCore", .product(name: "Algorithms", package: "swift-algorithms"),
      ], path: "Sources/Models/Decoding"),
    .target(name: "Priors", dependencies: ["Basics", "Decoding", "NN", "TensorCore"], path: "Sources/Models/Priors"),
    .target(name: "Rankers", dependencies: ["Basics", "NN", "TensorCore"], path: "Sources/Models/Rankers"),
    .target(
      name: "LatentModels",
      dependencies: ["ArrayFiles", "Basics", "LinearAlgebra", "NN", "Optimization", "TensorCore"],
      path: "Sources/Models/LatentModels"),

    // What joins them.
    .target(
      name: "Checkpoints",
      dependencies: [
        "ArrayFiles", "Basics", "Captions", "Datasets", "Decoding", "ImageTokenizers", "Imaging", "Lexicon", "NN",
        "Optimization",
        "PretrainedTokenizers", "Priors", "Rankers", "TensorCore", "TextTokenizer",
      ], path: "Sources/Pipeline/Checkpoints"),
    .target(
      name: "Generation",
      dependencies: [
        "Basics", "Captions", "Checkpoints", "Datasets", "Decoding", "ImageTokenizers", "Imaging", "Lexicon", "Priors",
        "Rankers",
        "TensorCore",
        "TextTokenizer",
      ], path: "Sources/Pipeline/Generation"),
    .target(
      name: "Pages", dependencies: ["Basics", "Imaging", .product(name: "Mustache", package: "swift-mustache")],
      path: "Sources/Pipeline/Pages"),
    .target(
      name: "Evaluation",
      dependencies: [
        "Basics", "Captions", "Checkpoints", "Compositions", "Datasets", "Generation", "ImageTokenizers", "Imaging",
        "Lexicon",
        "LinearAlgebra", "Pages", "Priors", "TensorCore",
      ], path: "Sources/Pipeline/Evaluation"),
    .target(
      name: "Training",
      dependencies: [
        "ArrayFiles", "Basics", "Captions", "Checkpoints", "Compositions", "Datasets", "Decoding", "Evaluation",
        "Generation",
        "ImageTokenizers", "Imaging", "Lexicon", "NN", "Optimization", "Pages", "Priors", "Rankers", "TensorCore",
        "TextTokenizer",
      ], path: "Sources/Pipeline/Training"),
    .target(
      name: "Ladder",
      dependencies: [
        "ArrayFiles", "Basics", "Checkpoints", "Decoding", "Generation", "ImageTokenizers", "LatentModels",
        "LinearAlgebra", "NN",
        "Optimization", "Priors", "TensorCore",
      ], path: "Sources/Pipeline/Ladder"),
    .target(
      name: "LadderReport",
      dependencies: [
        "Basics", "Captions", "Datasets", "Evaluation", "Generation", "Imaging", "Ladder", "LatentModels",
        "LinearAlgebra", "Pages",
        "Priors", "TensorCore",
      ], path: "Sources/Pipeline/LadderReport"),
    .target(
      name: "LectureFigures",
      dependencies: [
        "Basics", "Decoding", "Generation", "ImageTokenizers", "Imaging", "Ladder", "LadderReport", "LatentModels",
        "LinearAlgebra", "NN", "Priors", "TensorCore",
      ], path: "Sources/Pipeline/LectureFigures"),

    // The library, and the command line.
    .target(
      name: "DALLE",
      dependencies: [
        "Basics", "Captions", "Checkpoints", "Compositions", "Datasets", "Decoding", "EmojiData", "Evaluation",
        "Generation",
        "ImageTokenizers", "Imaging", "Ladder", "LadderReport", "LatentModels", "Lexicon", "LinearAlgebra", "NN",
        "Optimization", "Priors", "Rankers", "TensorCore", "TextTokenizer", "Training", "VoiceData",
      ]),
    .target(
      name: "BaselineCommands",
      dependencies: [
        "ArrayFiles", "Basics", "Checkpoints", "CommandSupport", "Datasets", "EmojiData", "Generation", "Imaging",
        "Ladder", "LadderReport", "LatentModels", "LectureFigures", "LinearAlgebra", "TensorCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(
      name: "CommandSupport",
      dependencies: [
        "Basics", "Checkpoints", "Imaging", "Optimization", "TensorCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "dalle-cli",
      dependencies: [
        "ArrayFiles", "BaselineCommands", "Captions", "CommandSupport", "DALLE", "DataFiles", "ImageTokenizers",
        "LatentModels", "Lexicon",
        "LinearAlgebra", "MPIExchange", "NN", "Optimization", "Priors", "TextTokenizer", "Training", "VoiceData",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // The server: drawing for many, the page, HTTP. The command line is built without it.
    .target(
      name: "DrawingService",
      dependencies: ["Basics", "Checkpoints", "Decoding", "Generation", "ImageTokenizers", "Imaging", "NN", "Priors"],
      path: "Sources/Server/DrawingService"),
    .target(
      name: "ServerPage", dependencies: ["Decoding", "Pages", "Priors"], path: "Sources/Server/ServerPage",
      resources: [.embedInCode("Files")]),
    .target(
      name: "ImageServer",
      dependencies: [
        "Basics", "Decoding", "DrawingService", "Generation", "Imaging", "Priors", "ServerPage",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], path: "Sources/Server/ImageServer"),
    .executableTarget(
      name: "dalle-server",
      dependencies: [
        "Basics", "Checkpoints", "CommandSupport", "DrawingService", "ImageServer",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ]),

    // What several test targets share: folders, fixtures of models, and tiny models that are trained.
    .target(name: "TestSupport", path: "Tests/TestSupport"),
    .target(
      name: "ModelTestSupport",
      dependencies: ["ArrayFiles", "Basics", "LinearAlgebra", "NN", "TensorCore", "TestSupport"],
      path: "Tests/ModelTestSupport"),
    // Readers of what others have made, for tests and for a fuzzer.
    .target(
      name: "FuzzedReaders",
      dependencies: [
        "ArrayFiles", "Basics", "Captions", "Checkpoints", "Datasets", "Imaging", "PretrainedTokenizers",
        "TextTokenizer",
      ],
      path: "Tests/FuzzedReaders"),
    .executableTarget(name: "fuzz-reader", dependencies: ["FuzzedReaders"], path: "Tests/fuzz-reader"),
    .testTarget(name: "FuzzedReadersTests", dependencies: ["Datasets", "FuzzedReaders", "fuzz-reader", "TestSupport"]),
    .target(
      name: "PipelineTestSupport",
      dependencies: [
        "Captions", "Checkpoints", "Datasets", "ImageTokenizers", "Imaging", "Priors", "Rankers", "TensorCore",
        "TestSupport",
        "TextTokenizer", "Training",
      ], path: "Tests/PipelineTestSupport"),
    .testTarget(name: "BasicsTests", dependencies: ["Basics", "TensorCore", "TestSupport"]),
    .testTarget(name: "TensorCoreTests", dependencies: ["Basics", "ModelTestSupport", "Optimization", "TensorCore"]),
    .testTarget(name: "LinearAlgebraTests", dependencies: ["Basics", "LinearAlgebra"]),
    .testTarget(name: "NNTests", dependencies: ["NN", "TensorCore"]),
    .testTarget(
      name: "OptimizationTests", dependencies: ["Basics", "ModelTestSupport", "NN", "Optimization", "TensorCore"]),
    .testTarget(
      name: "ArrayFilesTests",
      dependencies: ["ArrayFiles", "Basics", "CArchive", "LinearAlgebra", "NN", "TensorCore", "TestSupport"]),
    .testTarget(name: "ImagingTests", dependencies: ["Basics", "Imaging", "TestSupport"]),
    .testTarget(name: "TextTokenizerTests", dependencies: ["Basics", "TestSupport", "TextTokenizer"]),
    .testTarget(name: "PretrainedTokenizersTests", dependencies: ["Basics", "PretrainedTokenizers", "TestSupport"]),
    .testTarget(name: "LexiconTests", dependencies: ["Basics", "Lexicon", "TestSupport"]),
    .testTarget(name: "DataFilesTests", dependencies: ["Basics", "DataFiles", "TestSupport"]),
    .testTarget(name: "CaptionsTests", dependencies: ["Basics", "Captions", "Lexicon", "TestSupport"]),
    .testTarget(
      name: "DatasetsTests", dependencies: ["Basics", "Captions", "Datasets", "Imaging", "Lexicon", "TestSupport"]),
    .testTarget(
      name: "CompositionsTests",
      dependencies: ["Basics", "Captions", "Compositions", "Datasets", "Imaging", "TestSupport"]),
    .testTarget(
      name: "EmojiDataTests", dependencies: ["Basics", "Captions", "Datasets", "EmojiData", "Imaging", "TestSupport"]),
    .testTarget(
      name: "VoiceDataTests",
      dependencies: ["ArrayFiles", "Basics", "LinearAlgebra", "TestSupport", "VoiceData"]),
    .testTarget(
      name: "ImageTokenizersTests",
      dependencies: [
        "ArrayFiles", "Basics", "ImageTokenizers", "ModelTestSupport", "NN", "Optimization", "TensorCore",
        "TestSupport",
      ]),
    .testTarget(
      name: "PriorsTests",
      dependencies: [
        "Basics", "CKernels", "Decoding", "ModelTestSupport", "NN", "Optimization", "Priors", "TensorCore",
      ]),
    .testTarget(
      name: "RankersTests", dependencies: ["Basics", "ModelTestSupport", "NN", "Optimization", "Rankers", "TensorCore"]),
    .testTarget(
      name: "LatentModelsTests",
      dependencies: [
        "ArrayFiles", "Basics", "LatentModels", "LinearAlgebra", "ModelTestSupport", "NN", "TensorCore", "TestSupport",
      ]),
    .testTarget(
      name: "CheckpointsTests",
      dependencies: [
        "ArrayFiles", "Basics", "Checkpoints", "Datasets", "Decoding", "Generation", "Lexicon", "NN", "Optimization",
        "PipelineTestSupport",
        "Priors", "TestSupport",
      ]),
    .testTarget(
      name: "GenerationTests",
      dependencies: [
        "Basics", "Checkpoints", "Decoding", "Generation", "ImageTokenizers", "Imaging", "PipelineTestSupport",
        "Priors", "Rankers",
        "TestSupport",
      ]),
    .testTarget(name: "PagesTests", dependencies: ["Imaging", "Pages", "PipelineTestSupport"]),
    .testTarget(
      name: "EvaluationTests",
      dependencies: [
        "Basics", "Captions", "Checkpoints", "Compositions", "Datasets", "Evaluation", "Generation", "Imaging",
        "Lexicon", "Pages",
        "PipelineTestSupport", "TestSupport",
      ]),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "ArrayFiles", "Basics", "Captions", "Checkpoints", "Datasets", "Generation", "ImageTokenizers", "Imaging",
        "Lexicon", "NN",
        "Optimization", "PipelineTestSupport", "Priors", "TensorCore", "TestSupport", "TextTokenizer", "Training",
      ]),
    .testTarget(
      name: "LadderTests",
      dependencies: [
        "ArrayFiles", "Basics", "Checkpoints", "ImageTokenizers", "Ladder", "LinearAlgebra", "NN", "Optimization",
        "Priors", "TensorCore", "TestSupport",
      ]),
    .testTarget(
      name: "LadderReportTests",
      dependencies: [
        "Basics", "Datasets", "Generation", "Imaging", "Ladder", "LadderReport", "LatentModels", "LinearAlgebra",
        "Optimization", "PipelineTestSupport", "TestSupport",
      ]),
    .testTarget(
      name: "LectureFiguresTests",
      dependencies: [
        "Basics", "Datasets", "Imaging", "Ladder", "LadderReport", "LatentModels", "LectureFigures", "LinearAlgebra",
        "TestSupport",
      ]),
    .testTarget(
      name: "DrawingServiceTests",
      dependencies: [
        "Basics", "Checkpoints", "Decoding", "DrawingService", "Generation", "Imaging", "PipelineTestSupport", "Priors",
        "TestSupport",
      ]),
    .testTarget(
      name: "ImageServerTests",
      dependencies: [
        "Checkpoints", "DrawingService", "Generation", "ImageServer", "Imaging", "PipelineTestSupport", "TestSupport",
        .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
    .testTarget(
      name: "ServerPageTests", dependencies: ["Decoding", "Pages", "PipelineTestSupport", "Priors", "ServerPage"]),
    .testTarget(
      name: "BrowserTests", dependencies: ["dalle-server", "Imaging", "TestSupport"]),
    .testTarget(name: "DALLETests", dependencies: ["DALLE"]),
    .testTarget(
      name: "CommandSupportTests", dependencies: ["Basics", "Checkpoints", "CommandSupport", "Decoding", "Priors"]),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "dalle-cli", "dalle-server", "ArrayFiles", "Basics", "Imaging", "Ladder", "Lexicon", "LinearAlgebra",
        "TensorCore",
        "TestSupport",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
