internal import BackendSupport
internal import CTensorFlow
internal import Inference
internal import Tensors

/// Inputs for a first run nobody waits for.
enum TFWarmUp {
    /// Zeros for one input of a graph; nil without a rank, or for an element type that tensors do not have.
    static func zeros(_ graph: TFGraph, _ input: TF_Output) -> Tensor? {
        let functions = graph.library.functions
        guard let dataType = DataType(tensorFlowType: Tf_OperationOutputType(functions, input)) else { return nil }
        let rank = (try? graph.library.checked { Tf_GraphGetTensorNumDims(functions, graph.handle, input, $0) }) ?? -1
        guard (0...Int32(Shape.rankLimit)).contains(rank) else { return nil }
        var dimensions = [Int64](repeating: -1, count: Int(rank))
        do throws(InferenceError) {
            try graph.library.checked {
                Tf_GraphGetTensorShape(functions, graph.handle, input, &dimensions, rank, $0)
            }
        } catch {
            return nil
        }
        return WarmUpInputs.zeros(dataType, declared: Shape(dimensions.map { Int($0) }))
    }
}
