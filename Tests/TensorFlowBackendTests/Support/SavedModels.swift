import Tensors
import TestSupport

/// SavedModels written by hand, after the field numbers of saved_model.proto and meta_graph.proto.
enum SavedModels {
    struct Description {
        var nodes: [Protobuf] = []
        var functions: [Protobuf] = []
        var gradients: [Protobuf] = []
        /// By name: inputs and outputs, each from key to tensor.
        var signatures: [(name: String, inputs: [String: String], outputs: [String: String])] = []
        var restoreFile: String?
        var restoreOperation: String?
        /// In the collection of older models.
        var mainOperation: String?
        var assets: [(tensor: String, file: String)] = []
        var tags = ["serve"]
    }

    static func definition(_ description: Description) -> [UInt8] {
        Protobuf { model in
            model.number(1, 1)
            model.message(2, metaGraph(description))
        }.bytes
    }

    static func metaGraph(_ description: Description) -> Protobuf {
        Protobuf { meta in
            meta.message(1) { info in for tag in description.tags { info.text(4, tag) } }
            meta.message(
                2,
                TF.graph(description.nodes, functions: description.functions, gradients: description.gradients))
            if let file = description.restoreFile, let operation = description.restoreOperation {
                meta.message(3) { saver in
                    saver.text(1, file)
                    saver.text(3, operation)
                }
            }
            if let operation = description.mainOperation {
                meta.message(4) { entry in
                    entry.text(1, "saved_model_main_op")
                    entry.message(2) { collection in collection.message(1) { $0.text(1, operation) } }
                }
            }
            for signature in description.signatures { meta.message(5, self.signature(signature)) }
            for asset in description.assets {
                meta.message(6) { message in
                    message.message(1) { $0.text(1, asset.tensor) }
                    message.text(2, asset.file)
                }
            }
        }
    }

    private static func signature(
        _ signature: (name: String, inputs: [String: String], outputs: [String: String])
    ) -> Protobuf {
        func entry(_ key: String, _ tensor: String) -> Protobuf {
            Protobuf { entry in
                entry.text(1, key)
                entry.message(2) { info in
                    info.text(1, tensor)
                    info.number(2, 1)
                }
            }
        }
        return Protobuf { message in
            message.text(1, signature.name)
            message.message(2) { body in
                for (key, tensor) in signature.inputs { body.message(1, entry(key, tensor)) }
                for (key, tensor) in signature.outputs { body.message(2, entry(key, tensor)) }
                body.text(3, "tensorflow/serving/predict")
            }
        }
    }

    /// `product` and `copy` of `left` and `right`.
    static var product: Description {
        let type = TF.attribute("T", .float)
        return Description(
            nodes: [
                TF.placeholder("a", .float, [-1]), TF.placeholder("b", .float, [-1]),
                TF.node("mul", "Mul", ["a", "b"], [type]), TF.node("id", "Identity", ["b"], [type]),
            ],
            signatures: [
                (
                    "serving_default", ["left": "a:0", "right": "b:0"],
                    ["product": "mul:0", "copy": "id:0"]
                )
            ])
    }

    static func archive(_ description: Description, _ files: [Archives.File] = []) -> [UInt8] {
        Archives.tar([("saved_model.pb", definition(description))] + files)
    }
}
