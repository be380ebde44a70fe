import FoundationEssentials
import NIOCore
import NIOHPACK

/// The framing of gRPC over HTTP/2, for calls with one message each way.
enum GRPCMessage {
    /// A flag that says "not compressed", and the message's length in four bytes.
    static let prefixLength = 5

    static func frame(_ message: Data) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(prefixLength + message.count)
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt32(truncatingIfNeeded: message.count))
        buffer.writeBytes(message)
        return buffer
    }

    static func headers(path: String, authority: String) -> HPACKHeaders {
        [
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": authority,
            "content-type": "application/grpc", "te": "trailers", "user-agent": "aibench",
        ]
    }

    /// - Returns: the error that the last headers of a call tell, if they do.
    static func failure(in headers: HPACKHeaders) -> String? {
        guard let status = headers.first(name: "grpc-status") else {
            guard let http = headers.first(name: ":status"), http != "200" else { return "no grpc-status" }
            return "HTTP \(http)"
        }
        guard status != "0" else { return nil }
        var text = ErrorText()
        text.append("grpc-status \(status)".utf8)
        if let message = headers.first(name: "grpc-message") {
            text.append(": ".utf8)
            text.append(percentDecoded(message))
        }
        return text.text
    }

    private static func percentDecoded(_ text: String) -> [UInt8] {
        var decoded: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                decoded.append(code)
                rest.removeFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return decoded
    }
}
