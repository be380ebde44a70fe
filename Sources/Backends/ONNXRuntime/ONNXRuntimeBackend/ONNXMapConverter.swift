internal import BackendSupport
internal import CONNXRuntime
internal import Inference
internal import Tensors

/// Turns the map outputs of scikit-learn and XGBoost exports into tensors.
///
/// A map from class to number becomes a tensor [classes], a sequence of such maps a tensor [rows, classes]; the
/// columns stand in ascending order of the classes, as in the `classes_` of the libraries.
struct ONNXMapConverter {
    private let library: ONNXRuntimeLibrary

    init(_ library: ONNXRuntimeLibrary) {
        self.library = library
    }

    private var api: OpaquePointer { library.api }
    private static let unlikeRows = InferenceError("ERR the maps of a sequence output have different keys")

    /// Nil for a sequence that does not hold maps.
    func tensor(_ value: OpaquePointer, type: Int32) throws(InferenceError) -> Tensor? {
        if type == ORT_TYPE_MAP { return try row(value).values }
        let count: Int = try readNumber(api) { Ort_GetValueCount(api, value, $0) }
        var rows: [Row] = []
        for index in 0..<count {
            let element = try member(value, index)
            defer { Ort_ReleaseValue(api, element) }
            let type: Int32 = try readNumber(api) { Ort_GetValueType(api, element, $0) }
            guard type == ORT_TYPE_MAP else { return nil }
            rows.append(try row(element))
        }
        return try stack(rows)
    }

    /// One map: its keys as stored bytes, and its values.
    private struct Row {
        let keys: Tensor
        let values: Tensor
    }

    private func row(_ map: OpaquePointer) throws(InferenceError) -> Row {
        let keys = try member(map, 0)
        defer { Ort_ReleaseValue(api, keys) }
        let values = try member(map, 1)
        defer { Ort_ReleaseValue(api, values) }
        return Row(keys: try ONNXTensorReader.tensor(api, keys), values: try ONNXTensorReader.tensor(api, values))
    }

    private func member(_ value: OpaquePointer, _ index: Int) throws(InferenceError) -> OpaquePointer {
        try makeHandle(api) {
            Ort_GetValue(api, value, Int32(clamping: index), connx_allocator_interface(library.allocator), $0)
        }
    }

    private func stack(_ rows: [Row]) throws(InferenceError) -> Tensor? {
        guard let first = rows.first else { return nil }
        let dataType = first.values.dataType
        guard dataType != .string else { return nil }
        for row in rows where !hasSameKeys(row, first) || row.values.dataType != dataType { throw Self.unlikeRows }
        do throws(TensorError) {
            return try Tensor(dataType, [rows.count, first.values.elementCount]) { bytes in
                let width = first.values.byteCount
                for (index, row) in rows.enumerated() {
                    row.values.withBytes {
                        UnsafeMutableRawBufferPointer(rebasing: bytes[index * width..<(index + 1) * width])
                            .copyMemory(from: $0)
                    }
                }
            }
        } catch {
            throw .tensorTooLarge
        }
    }

    private func hasSameKeys(_ left: Row, _ right: Row) -> Bool {
        left.values.byteCount == right.values.byteCount
            && left.keys.withBytes { left in right.keys.withBytes { left.elementsEqual($0) } }
    }
}
