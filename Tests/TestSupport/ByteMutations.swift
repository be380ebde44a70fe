/// Damage to files, at random but the same with every run: for parsers that must answer whatever they get.
public struct ByteMutations {
    /// Numbers at which sizes and offsets go wrong.
    private static let edges: [UInt64] = [
        0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, .max,
    ]

    private var random: SeededGenerator

    public init(seed: Int) {
        random = SeededGenerator(seed)
    }

    /// Calls `body` with each of `files` cut, and with `count` that are damaged in one to four places.
    public mutating func forEach(_ count: Int, of files: [[UInt8]], _ body: (UnsafeRawBufferPointer) -> Void) {
        for file in files {
            for length in stride(from: 0, to: file.count, by: max(1, file.count / 256)) {
                file.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
            }
        }
        for index in 0..<count {
            var file = files[index % files.count]
            for _ in 0...Int.random(in: 0...3, using: &random) { damage(&file) }
            file.withUnsafeBytes(body)
        }
    }

    private mutating func damage(_ file: inout [UInt8]) {
        guard !file.isEmpty else { return file.append(UInt8.random(in: .min ... .max, using: &random)) }
        let place = Int.random(in: 0..<file.count, using: &random)
        let end = min(file.count, place + Int.random(in: 1...16, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: file[place] = UInt8.random(in: .min ... .max, using: &random)
        case 1: file[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: file.removeSubrange(place..<end)
        case 3: file.insert(contentsOf: file[place..<end], at: Int.random(in: 0...file.count, using: &random))
        case 4:
            let number = Self.edges[Int.random(in: 0..<Self.edges.count, using: &random)]
            for index in place..<min(file.count, place + [1, 2, 4, 8][Int.random(in: 0..<4, using: &random)]) {
                file[index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * (index - place)))
            }
        default: file.swapAt(place, Int.random(in: 0..<file.count, using: &random))
        }
    }
}
