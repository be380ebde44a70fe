internal import Glibc

/// What libFuzzer calls with each of its inputs: see `make fuzz-parsers`. The parser is that of the environment.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    chosen.reads(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}

private let chosen: FuzzedParser = {
    let name = getenv("FUZZED_PARSER").map { String(cString: $0) } ?? ""
    guard let parser = FuzzedParser(rawValue: name) else {
        print("FUZZED_PARSER is to be one of", FuzzedParser.allCases.map(\.rawValue).joined(separator: ", "))
        exit(2)
    }
    return parser
}()
