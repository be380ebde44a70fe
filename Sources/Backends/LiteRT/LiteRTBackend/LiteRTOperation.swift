/// What the adapter has to know of an operator of TensorFlow Lite.
struct LiteRTOperation {
    /// The operators whose results have shapes that can be known before they run, by their numbers in the schema's
    /// BuiltinOperator.
    private enum Known: Int32 {
        case add = 0
        case averagePool2d, concatenation, conv2d, depthwiseConv2d, depthToSpace, dequantize, embeddingLookup
        case floor, fullyConnected
        case l2Normalization = 11
        case l2Pool2d, localResponseNormalization, logistic
        case maxPool2d = 17
        case mul, relu, reluN1To1, relu6, reshape, resizeBilinear
        case softmax = 25
        case spaceToDepth
        case tanh = 28
        case pad = 34
        case gather = 36
        case batchToSpaceNd, spaceToBatchNd, transpose, mean, sub, div, squeeze
        case stridedSlice = 45
        case exp = 47
        case topkV2, split, logSoftmax
        case cast = 53
        case prelu, maximum, argMax, minimum, less
        case neg, padv2, greater, greaterEqual, lessEqual, select, slice, sin, transposeConv
        case tile = 69
        case expandDims
        case equal, notEqual, log, sum, sqrt, rsqrt, shape, pow, argMin, fakeQuant, reduceProd, reduceMax, pack
        case logicalOr, oneHot, logicalAnd, logicalNot, unpack, reduceMin, floorDiv, reduceAny, square, zerosLike
        case fill, floorMod, range, resizeNearestNeighbor, leakyRelu, squaredDifference, mirrorPad, abs, splitV
        case ceil = 104
        case reverseV2, addN, gatherNd, cos
        case rank = 110
        case elu, reverseSequence, matrixDiag, quantize
        case matrixSetDiag, round, hardSwish
        case selectV2 = 123
        case batchMatmul = 126
        case cumsum = 128
        case broadcastTo = 130
        case conv3d = 132
        case imag, real, complexAbs
        case reduceAll = 140
        case bucketize = 147
        case gelu = 150
        case dynamicUpdateSlice
        case relu0To1
        case atan2 = 156
        case sign = 158
        case bitcast, bitwiseXor, rightShift
    }

    private let operation: Known?

    init(code: Int32) {
        operation = Known(rawValue: code)
    }

    /// Whether an input may be without content: it is only there for its shape.
    func ignoresContent(ofInput position: Int) -> Bool {
        operation == .reshape && position == 1
    }

    /// Whether the results depend on elements of inputs, not only on their shapes.
    var readsElements: Bool { operation != .shape && operation != .rank }

    /// Whether the shapes of the results follow from the shapes of the inputs.
    ///
    /// - Parameter isConstant: whether the input at a position is a constant, or the operator has no such input.
    func hasFixedShapes(isConstant: (Int) -> Bool) -> Bool {
        guard let operation else { return false }
        return Self.shapeInputs(operation).allSatisfy(isConstant)
    }

    /// The positions of inputs that say what shape the results have: sizes, axes, paddings. None for operators that
    /// calculate elements from elements, and for the layers of networks.
    private static func shapeInputs(_ operation: Known) -> [Int] {
        switch operation {
        case .split, .transposeConv, .fill:
            [0]
        case .range:
            [0, 1, 2]
        case .reshape, .resizeBilinear, .pad, .transpose, .mean, .topkV2, .argMax, .padv2, .tile, .expandDims, .sum,
            .argMin, .reduceProd, .reduceMax, .oneHot, .reduceMin, .reduceAny, .resizeNearestNeighbor, .mirrorPad,
            .broadcastTo, .reduceAll:
            [1]
        case .batchToSpaceNd, .spaceToBatchNd, .slice, .splitV:
            [1, 2]
        case .stridedSlice:
            [1, 2, 3]
        default: []
        }
    }
}
