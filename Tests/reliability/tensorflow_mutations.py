"""Damages TensorFlow's models: frozen graphs, and SavedModels as archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from random import Random

from reliability.model_mutations import damage_bytes
from reliability.wire_mutations import BYTES, VARINT, Field, Message, damage_message, encode_varint, parse

# Operations of the kinds that graphs are made of, and some that reach for what is not theirs.
OPERATIONS = [
    name.encode()
    for name in (
        "Abs Add AddV2 All Any ApplyGradientDescent ArgMax AsString Assert Assign AvgPool BatchMatMulV2 BiasAdd "
        "Bincount "
        "BroadcastTo Cast Ceil CheckNumerics Concat ConcatV2 Conv2D Conv2DBackpropInput Conv3D CropAndResize Cumsum "
        "DecodeBase64 DecodeImage DecodeJpeg DecodePng DecodeProtoV2 DecodeRaw DecodeWav Dequantize "
        "DeserializeManySparse "
        "DrawBoundingBoxes DynamicPartition DynamicStitch EditDistance Einsum EmptyTensorList EncodeJpeg Enter Exit "
        "ExpandDims FakeQuantWithMinMaxVars Fill FusedBatchNormV3 Gather GatherNd GatherV2 HashTableV2 Identity "
        "IdentityN If ImmutableConst InTopK InitializeTableFromTextFileV2 LRN LinSpace LoopCond LowerBound MatMul "
        "MatrixDiagPartV3 MatrixInverse Max MaxPool MaxPoolGrad MaxPoolWithArgmax Merge MirrorPad Mul Multinomial "
        "NextIteration NonMaxSuppressionV4 NoOp OneHot Pack Pad ParseExample ParseExampleV2 ParseTensor "
        "PartitionedCall "
        "Placeholder PlaceholderWithDefault Print PyFunc QuantizeV2 QuantizedConv2D QuantizedMatMul QueueDequeueV2 "
        "RaggedTensorToTensor RaggedRange RaggedGather RandomUniform RandomShuffle Range ReadFile ReadVariableOp Recv "
        "Relu Reshape ResizeBilinear ResourceGather RestoreV2 ReverseSequence ReverseV2 SaveV2 ScatterNd SegmentSum "
        "Select Send SerializeTensor Shape Slice Softmax SpaceToBatchND SparseAdd SparseConcat SparseDenseCwiseMul "
        "SparseFillEmptyRows SparseReshape SparseSplit SparseTensorDenseMatMul SparseToDense Split SplitV Squeeze "
        "Stack "
        "StackPopV2 StackPushV2 StagePeek StatefulPartitionedCall StridedSlice StringNGrams StringSplit StringToNumber "
        "Substr Sum Switch TensorArrayV3 TensorListReserve TensorListStack TensorScatterUpdate Tile TopKV2 Transpose "
        "UniformQuantize Unbatch UnicodeDecode Unique UnsortedSegmentSum UpperBound VarHandleOp VariableV2 Where While "
        "WriteFile"
    ).split()
]
Members = dict[str, bytes]
_CHECKPOINT_DATA = "variables/variables.data-00000-of-00001"
_NAMES = (
    "../../../tmp/redisai-escape",
    "/tmp/redisai-escape",
    "",
    "a" * 200,
    "a/" * 60 + "b",
    "saved_model.pb/x",
    "con:\0",
)
_KINDS = (
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"S", b"x",
    b"L", b"g", b"?",
)  # fmt: skip
_SIZE_FIELD, _CHECKSUM_FIELD, _BLOCK = slice(124, 136), slice(148, 156), 512


def damage_graph(blob: bytes, random: Random) -> bytes:
    """A damaged copy of a GraphDef."""
    return damage_message(blob, random, OPERATIONS)


def with_minimum_consumer(blob: bytes, version: int) -> bytes:
    """The same graph said to need a version of TensorFlow that is not there: VersionDef is field 4."""
    graph = parse(blob) or Message()
    graph.fields = [item for item in graph.fields if item.number != 4]
    graph.fields.append(Field(4, BYTES, Message([Field(1, VARINT, version), Field(2, VARINT, version)])))
    return graph.encode()


def claiming_2_gb(field: int) -> bytes:
    """A message whose only field is said to hold two thousand million bytes."""
    return encode_varint(field << 3 | BYTES) + encode_varint(2**31 - 1) + b"\x0a\x03abc"


# SavedModels


def read_archive(blob: bytes) -> Members:
    """The files of a tar archive by their names without `./`."""
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        members: Members = {}
        for member in archive:
            if file := archive.extractfile(member):
                members[member.name.removeprefix("./")] = file.read()
        return members


def write_tar(members: Members, special: dict[str, bytes] | None = None) -> bytes:
    """``special`` are the kinds of members that are no files."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if special and name in special:
                entry.type = special[name]
                entry.linkname = "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return memory.getvalue()


def write_zip(members: Members) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name or "_", content)
    return memory.getvalue()


def damage_saved_model(blob: bytes, random: Random) -> bytes:
    """A damaged copy of an archive with a SavedModel."""
    choice = random.random()
    if choice < 0.08:
        return damage_bytes(blob, random)
    if choice < 0.2:
        return damage_tar_headers(blob, random)
    members = read_archive(blob)
    special: dict[str, bytes] = {}
    for _ in range(random.choice((1, 1, 1, 2))):
        random.choice(_DAMAGES)(members, special, random)
    return write_zip(members) if random.random() < 0.05 else write_tar(members, special)


def damage_tar_headers(blob: bytes, random: Random) -> bytes:
    """Sizes, kinds and names in the archive's own structure, with the right checksum as a rule."""
    damaged = bytearray(blob)
    headers = [start for start in range(0, len(blob) - _BLOCK, _BLOCK) if blob[start + 257 : start + 262] == b"ustar"]
    start = random.choice(headers)
    header = damaged[start : start + _BLOCK]
    kind = random.randrange(4)
    if kind == 0:
        header[_SIZE_FIELD] = random.choice(
            (b"17777777777\0", b"77777777777\0", b"-0000000001\0", b"\x80" + b"\xff" * 11)
        )
    elif kind == 1:
        header[156:157] = random.choice(_KINDS)
    elif kind == 2:
        header[0:100] = random.choice(_NAMES).encode()[:100].ljust(100, b"\0")
    else:
        place = random.randrange(_BLOCK)
        header[place] ^= 1 << random.randrange(8)
    if random.random() < 0.9:
        _set_checksum(header)
    damaged[start : start + _BLOCK] = header
    return bytes(damaged)


def with_members_of_2_gb(blob: bytes) -> bytes:
    """The same archive whose members are all said to hold two thousand million bytes."""
    damaged = bytearray(blob)
    for start in range(0, len(blob) - _BLOCK, _BLOCK):
        if blob[start + 257 : start + 262] == b"ustar":
            header = damaged[start : start + _BLOCK]
            header[_SIZE_FIELD] = b"17777777777\0"
            _set_checksum(header)
            damaged[start : start + _BLOCK] = header
    return bytes(damaged)


def with_schema_version(blob: bytes, version: int) -> bytes:
    """The same SavedModel said to be of another version: the first field of saved_model.pb."""
    members = read_archive(blob)
    model = parse(members["saved_model.pb"]) or Message()
    for item in model.fields:
        if item.number == 1 and item.wire == VARINT:
            item.value = version
    members["saved_model.pb"] = model.encode()
    return write_tar(members)


def _set_checksum(header: bytearray) -> None:
    header[_CHECKSUM_FIELD] = b" " * 8
    header[_CHECKSUM_FIELD] = b"%06o\0 " % sum(header)


def _change_graph(members: Members, special: dict[str, bytes], random: Random) -> None:
    if "saved_model.pb" in members:
        members["saved_model.pb"] = damage_message(members["saved_model.pb"], random, OPERATIONS)


def _change_file(members: Members, special: dict[str, bytes], random: Random) -> None:
    """The variables, their index or anything else."""
    name = random.choice(sorted(members))
    content = members[name]
    members[name] = random.choice(
        (b"", content[: len(content) // 2], content * 2, damage_bytes(content, random), damage_bytes(content, random))
    )


def _rename(members: Members, special: dict[str, bytes], random: Random) -> None:
    """A file elsewhere, gone, twice, or in the place of another."""
    name = random.choice(sorted(members))
    content = members.pop(name)
    new = random.choice((*_NAMES, f"x/{name}", _CHECKPOINT_DATA, "saved_model.pb", "saved_model.pbtxt", None))
    if new is not None:
        members[new] = content
    members.setdefault("saved_model.pb", content)


def _make_special(members: Members, special: dict[str, bytes], random: Random) -> None:
    """A link, a device or a folder instead of a file."""
    special[random.choice(sorted(members))] = random.choice(_KINDS)


def _add_escape(members: Members, special: dict[str, bytes], random: Random) -> None:
    """Files outside the folder, and a link that leads there."""
    members[random.choice(_NAMES)] = b"escaped"
    if random.random() < 0.5:
        members["variables"] = b""
        special["variables"] = tarfile.SYMTYPE


_DAMAGES: list[Callable[[Members, dict[str, bytes], Random], None]] = [
    *[_change_graph] * 12,
    *[_change_file] * 4,
    *[_rename] * 2,
    _make_special,
    _add_escape,
]
