"""Makes a wheel of TensorFlow's messages alone, for workers: `python messages_wheel.py FOLDER`.

tensorflow-serving-api needs them and asks for all of TensorFlow, 1.8 GB, to have them. They are 43 generated modules
of 150 kB, copied as they are from the TensorFlow that is installed here (Apache-2.0). Where TensorFlow itself is
installed this wheel must not be: both have the same files.
"""

import base64
import hashlib
import sys
from importlib.metadata import version
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import serving.messages
import serving.server.config_files

NAME = "hs_audit_tensorflow_messages"


def message_modules() -> dict[str, Path]:
    """Path in the wheel → file, of the modules that came in with ours; TensorFlow's own start is none of them."""
    assert serving.messages.TensorProto
    loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    files = [Path(file) for name, file in loaded.items() if name.startswith("tensorflow.") and file]
    return {str(Path(*path.parts[path.parts.index("tensorflow") :])): path for path in files}


def write_wheel(folder: Path) -> Path:
    """Writes the wheel and returns its path."""
    release = version("tensorflow")
    about = f"{NAME}-{release}.dist-info"
    metadata = (
        f"Metadata-Version: 2.4\nName: {NAME.replace('_', '-')}\nVersion: {release}\nLicense-Expression: Apache-2.0\n"
        "Summary: TensorFlow's generated messages, without TensorFlow\nRequires-Dist: protobuf\n"
    )
    tags = "Wheel-Version: 1.0\nGenerator: hs-audit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents = {name: path.read_bytes() for name, path in sorted(message_modules().items())}
    contents |= {f"{about}/METADATA": metadata.encode(), f"{about}/WHEEL": tags.encode()}
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in contents.items())
    contents[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}-{release}-py3-none-any.whl"
    with ZipFile(path, "w", ZIP_DEFLATED) as wheel:
        for name, content in contents.items():
            wheel.writestr(name, content)
    return path


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    print(write_wheel(Path(sys.argv[1])))
