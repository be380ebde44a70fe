import Inference
import Testing

@Suite struct DeviceTests {
    @Test(arguments: [
        ("CPU", Device.Kind.cpu, nil), ("GPU", .gpu, nil), ("gpu", .gpu, nil), ("cPu", .cpu, nil),
        ("CPU:", .cpu, nil), ("CPU:1", .cpu, 1), ("gpu:0", .gpu, 0), ("CPU:12345", .cpu, 12_345),
        ("GPU:00007", .gpu, 7),
    ])
    func `is a device`(name: String, kind: Device.Kind, index: Int?) throws {
        let device = try #require(Device(name))
        #expect(device.kind == kind)
        #expect(device.index == index)
        #expect(device.name == name)
    }

    @Test(arguments: [
        "", "C", "CP", "TPU", " CPU", "CPU ", "CPUX", "CPU1", "CPU::1", "CPU:123456", "CPU:000001", "GPU:1a", "GPU:a",
        "GPU:-1", "GPU:+1", "GPU: 1", "CPU:１", "CPU:1\0", "CPU\0", "ＣＰＵ",
    ])
    func `is no device`(name: String) {
        #expect(Device(name) == nil)
    }

    @Test(arguments: [("CPU", "cpu"), ("gpu:1", "GPU:1"), ("CPU:", "cpu:")])
    func `the case of a name makes no difference`(left: String, right: String) throws {
        #expect(Device(left) == Device(right))
        #expect(Device(left)?.queueName == Device(right)?.queueName)
    }

    @Test(arguments: [("CPU", "GPU"), ("CPU", "CPU:0"), ("CPU:0", "CPU:00"), ("CPU", "CPU:"), ("GPU:1", "GPU:2")])
    func `devices with different names have different queues`(left: String, right: String) {
        #expect(Device(left) != Device(right))
        #expect(Device(left)?.queueName != Device(right)?.queueName)
    }
}
