// swift-tools-version: 6.2
import Foundation
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    // Small accessors of one target are called by others on every request: they are to become loads there.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    // What the compiler proves stays; the checks at run time would end somebody else's process. Tests have them.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
    // The products do not tell where they were built. (Test discovery needs the real paths.)
    .unsafeFlags(["-file-prefix-map", "\(Context.packageDirectory)=."], .when(configuration: .release)),
]

/// One folder of Sources/Backends per engine: `<Engine>Backend` is its adapter in Swift, `C<Engine>` the C interface that
/// the adapter drives, and Tests/<Engine>BackendTests tests both.
struct Engine {
    let name: String

    var backend: Target.Dependency { .init(stringLiteral: "\(name)Backend") }
    private var folder: String { "Sources/Backends/\(name)" }

    var targets: [Target] {
        [
            .target(name: "C\(name)", path: "\(folder)/C\(name)"),
            .target(
                name: "\(name)Backend",
                dependencies: ["Inference", "Tensors", "BackendSupport", .init(stringLiteral: "C\(name)")],
                path: "\(folder)/\(name)Backend", swiftSettings: swiftSettings),
            .testTarget(
                name: "\(name)BackendTests",
                dependencies: ["TestSupport", "ParserFuzzing", "Inference", "Tensors", "BackendSupport", backend],
                swiftSettings: swiftSettings),
        ]
    }
}

let backendsFolder = "\(Context.packageDirectory)/Sources/Backends"
let engines = try FileManager.default.contentsOfDirectory(atPath: backendsFolder).sorted()
    .filter { FileManager.default.fileExists(atPath: "\(backendsFolder)/\($0)/\($0)Backend") }
    .map { Engine(name: $0) }

let package = Package(
    name: "redisai-swift",
    products: [
        .library(name: "RedisAI", type: .dynamic, targets: ["RedisAI"]),
        .executable(name: "redisai-model-check", targets: ["ModelCheck"]),
        // For `make fuzz-parsers` alone.
        .library(name: "ParserFuzzing", type: .dynamic, targets: ["ParserFuzzing"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0")
    ],
    targets: [
        // The server's module API: our own declarations and shims, no logic.
        .target(name: "CRedisModule"),
        // The only Swift that touches the module API. Knows nothing of tensors.
        .target(name: "RedisModuleKit", dependencies: ["CRedisModule"], swiftSettings: swiftSettings),

        // The core, testable without a server.
        .target(name: "Tensors", swiftSettings: swiftSettings),
        .target(name: "CLinux"),
        .target(
            name: "Inference",
            dependencies: ["Tensors", "CLinux", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: swiftSettings),

        // What the adapters of engines share, and the list of engines.
        .target(
            name: "BackendSupport", dependencies: ["Inference", "Tensors"], path: "Sources/Backends/BackendSupport",
            swiftSettings: swiftSettings),
        .target(
            name: "Engines", dependencies: ["Inference"] + engines.map(\.backend), path: "Sources/Backends/Engines",
            swiftSettings: swiftSettings),

        // The module's face: how values are stored, and what the commands do.
        .target(
            name: "Persistence", dependencies: ["RedisModuleKit", "Inference", "Tensors"],
            swiftSettings: swiftSettings),
        .target(
            name: "Commands", dependencies: ["RedisModuleKit", "Persistence", "Inference", "Tensors"],
            swiftSettings: swiftSettings),
        .target(
            name: "CModuleBinary",
            cSettings: [.define("REDISAI_GIT_SHA", to: "\"\(Context.gitInformation?.currentCommit ?? "unknown")\"")]),
        .target(
            name: "RedisAI",
            dependencies: [
                "CModuleBinary", "Commands", "Persistence", "RedisModuleKit", "Inference", "Tensors",
                "Engines",
            ],
            exclude: ["exported-symbols.map"],
            swiftSettings: swiftSettings,
            linkerSettings: [
                // SwiftPM's --static-swift-stdlib is ignored for dynamic libraries.
                .unsafeFlags([
                    "-static-stdlib",
                    "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/RedisAI/exported-symbols.map",
                    "-Xlinker", "--gc-sections", "-Xlinker", "--strip-all", "-Xlinker", "-soname=redisai.so",
                    // Threads and thread-local data must never outlive the code: the library stays once it is loaded.
                    "-Xlinker", "-z", "-Xlinker", "nodelete",
                ])
            ]),

        // Tries a model out in a process of its own, before the server loads it.
        .executableTarget(
            name: "ModelCheck", dependencies: ["Inference", "Engines"], swiftSettings: swiftSettings,
            linkerSettings: [.unsafeFlags(["-static-stdlib", "-Xlinker", "--gc-sections", "-Xlinker", "--strip-all"])]),

        // Locks that Thread Sanitizer would not see.
        .target(name: "CThreadSanitizer", path: "Tests/CThreadSanitizer"),
        // What several unit test targets use.
        .target(
            name: "TestSupport", dependencies: ["CThreadSanitizer", "Inference", "Tensors"], path: "Tests/TestSupport",
            swiftSettings: swiftSettings),
        // The parsers of strangers' bytes, for tests and for libFuzzer.
        .target(
            name: "ParserFuzzing",
            dependencies: ["Inference", "Tensors", "LiteRTBackend", "ONNXRuntimeBackend", "TensorFlowBackend"],
            path: "Tests/ParserFuzzing", swiftSettings: swiftSettings),
        .testTarget(
            name: "TensorsTests", dependencies: ["TestSupport", "ParserFuzzing", "Tensors"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "InferenceTests", dependencies: ["TestSupport", "Inference", "Tensors"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "BackendSupportTests", dependencies: ["BackendSupport", "Inference", "TestSupport"],
            swiftSettings: swiftSettings),
    ] + engines.flatMap(\.targets),
    cxxLanguageStandard: .cxx17
)
